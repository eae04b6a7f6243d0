"""Agents with the server's model, on a real server in a process of its own: tools, prompts, memory."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from omni import Call, JsonHistory, Omni, ToolResult, tool
from omni.sdk.agent import Agent
from tests.brains.llm_server import calls, says
from tests.sdk.house import ANA, NUMBER, SECRETS, House, until


@tool
async def order_status(call: Call, order: int) -> dict[str, Any]:
    """Where an order is.

    Args:
        order: Its number.
    """
    return {"order": order, "status": "on its way", "asked_on": call.transport}


@pytest.fixture
def model(bot: Omni) -> Agent:
    agent = bot.agent(
        "desk", prompt="Be kind to {{who}}.", vars={"who": "all"}, llm="openai/test", tools=[order_status]
    )
    agent.add_channel("whatsapp", phone_number_id=NUMBER, **SECRETS)
    return agent


def told(request: dict[str, Any], role: str) -> list[str]:
    return [one["content"] for one in request["messages"] if one["role"] == role]


async def test_a_tool_is_run_by_the_program_and_read_by_the_model(bot: Omni, model: Agent, house: House) -> None:
    house.llm.will(calls(("order_status", '{"order": 1042}')), says("It is on its way."))
    await bot.start()
    house.writes("where is order 1042?")
    assert await house.reads(1) == ["It is on its way."]
    first, second = house.llm.requests
    offered = next(one["function"] for one in first["tools"] if one["function"]["name"] == "order_status")
    assert offered == order_status.wire()["function"]
    (result,) = told(second, "tool")
    assert json.loads(result) == {"order": 1042, "status": "on its way", "asked_on": "whatsapp"}


async def test_wrong_arguments_and_failures_are_read_by_the_model(bot: Omni, house: House) -> None:
    @tool
    def fails() -> None:
        raise LookupError("no such thing")

    agent = bot.agent("desk", llm="openai/test", tools=[order_status, fails])
    agent.add_channel("whatsapp", phone_number_id=NUMBER, **SECRETS)
    house.llm.will(calls(("order_status", '{"order": "soon"}'), ("fails", "{}")), says("Sorry."))
    await bot.start()
    house.writes("order soon")
    assert await house.reads(1) == ["Sorry."]
    wrong, failed = told(house.llm.requests[1], "tool")
    assert "wrong arguments: order: Input should be a valid integer" in wrong
    assert "fails failed: no such thing" in failed


async def test_a_tool_that_ends_the_turn_says_nothing_more(bot: Omni, house: House) -> None:
    @tool
    def goodbye(call: Call) -> ToolResult:
        """Ends the conversation."""
        call.say("Goodbye!")
        return ToolResult("said", no_followup=True)

    agent = bot.agent("desk", llm="openai/test", tools=[goodbye])
    agent.add_channel("whatsapp", phone_number_id=NUMBER, **SECRETS)
    house.llm.will(calls(("goodbye", "{}")))
    await bot.start()
    house.writes("bye")
    assert await house.reads(1) == ["Goodbye!"]
    house.llm.will(says("Hello again."))
    house.writes("one more")
    assert await house.reads(2) == ["Goodbye!", "Hello again."]
    assert len(house.llm.requests) == 2


async def test_what_handlers_set_is_in_the_prompt_of_the_very_next_answer(
    bot: Omni, model: Agent, house: House
) -> None:
    @model.on("whatsapp.started")
    async def look_up(call: Call) -> None:
        await asyncio.sleep(0.02)  # a customer database
        await call.add_context("Orders: 1042 (paper)")

    @model.on("call.preparing")
    async def refresh(call: Call) -> None:
        await call.set_prompt_vars(who=call.from_)

    house.llm.will(says("Hello."))
    model.configure(preparing=True)
    await bot.start()
    house.writes("hi")
    await house.reads(1)
    (system,) = told(house.llm.requests[0], "system")[:1]
    assert f"Be kind to {ANA}." in system
    assert "Orders: 1042 (paper)" in "\n".join(told(house.llm.requests[0], "system"))


async def test_a_call_may_be_configured_on_its_own(bot: Omni, model: Agent, house: House) -> None:
    @tool
    def vip() -> str:
        """For guests of honour."""
        return "champagne"

    @model.on("whatsapp.started")
    async def upgrade(call: Call) -> None:
        call.configure(tools=[vip], prompt="Be very kind.")
        await call.get_history()  # configured by then: commands of a call keep their order

    model.configure(preparing=True)
    house.llm.will(calls(("vip", "{}")), says("Champagne!"))
    await bot.start()
    house.writes("hi")
    assert await house.reads(1) == ["Champagne!"]
    assert [one["function"]["name"] for one in house.llm.requests[0]["tools"]].count("vip") == 1
    assert told(house.llm.requests[1], "tool") == ["champagne"]
    assert "Be very kind." in told(house.llm.requests[0], "system")[0]


async def test_the_end_brings_everything_the_model_saw(bot: Omni, model: Agent, house: House) -> None:
    over: asyncio.Queue[Call] = asyncio.Queue()
    model.on("call.ended", over.put_nowait)
    model.on("message.confirmed", lambda event, call: call.hangup())
    house.llm.will(calls(("order_status", '{"order": 7}')), says("Here."))
    await bot.start()
    house.writes("order 7")
    call = await over.get()
    assert [one["role"] for one in call.messages] == ["user", "assistant", "tool", "assistant"]
    assert call.messages[1]["tool_calls"][0]["function"]["name"] == "order_status"
    assert [line["content"] for line in call.transcript] == ["order 7", "Here."]
    assert call.duration is not None


async def test_a_returning_contact_is_known(bot: Omni, model: Agent, house: House, tmp_path: Path) -> None:
    store = JsonHistory(tmp_path / "memory")
    await store.save(
        f"desk/{ANA}", [{"role": "user", "content": "I am Ana."}, {"role": "assistant", "content": "Hello Ana."}]
    )
    model.remember(store)
    model.configure(preparing=True)
    house.llm.will(says("You are Ana."))
    await bot.start()
    house.writes("who am I?")
    assert await house.reads(1) == ["You are Ana."]
    asked = [(one["role"], one["content"]) for one in house.llm.requests[0]["messages"] if one["role"] != "system"]
    assert asked == [("user", "I am Ana."), ("assistant", "Hello Ana."), ("user", "who am I?")]
    await until(lambda: (call := model.call(house_call(model))) is not None and len(call.transcript) == 2)
    await bot.close()
    kept = [one["content"] for one in await store.load(f"desk/{ANA}")]
    assert kept == ["I am Ana.", "Hello Ana.", "who am I?", "You are Ana."]


def house_call(agent: Agent) -> str:
    return next(iter(agent._desk._calls))


async def test_changes_of_the_agent_are_for_calls_to_come(bot: Omni, model: Agent, house: House) -> None:
    await bot.start()
    house.llm.will(says("one"), says("two"))
    house.writes("hi")
    await house.reads(1)
    model.configure(prompt="Be quick.")
    house.writes("hi", "34600333444")
    await house.reads(1, "34600333444")
    first, second = (told(request, "system")[0] for request in house.llm.requests)
    assert ("Be kind to all." in first, "Be quick." in second) == (True, True)
