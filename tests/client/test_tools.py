"""The model on our side and the program beside it: the preparing barrier and tools (wire protocol §6.6, §6.7)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.brains.llm_server import calls, says
from tests.client.program import Frame, Program
from tests.client.stage import Row, Rows, Stage
from tests.server.shop import agent_of

rows = Rows()
TOOLS = [{"name": name, "description": name, "parameters": {"type": "object"}} for name in ("find", "book")]


async def desk(stage: Stage, **config: Any) -> Program:
    await stage.open(agent_of("desk", brain="llm"))
    return await stage.desk(**{"llm": "openai/m", "preparing": False, "tools": TOOLS, **config})


def result(asked: Frame, value: Any, **flags: Any) -> Frame:
    answer = {"tool_call_id": asked["tool_calls"][0]["id"], "result": value, **flags}
    return {"event": "llm.tool_result", "call_id": asked["call_id"], "msg_id": asked["msg_id"], "results": [answer]}


def tool_lines(request: Frame) -> list[str]:
    return [message["content"] for message in request["messages"] if message["role"] == "tool"]


@rows("6.6-absent-signals-and-goes-on-by-itself")
async def _(stage: Stage) -> None:
    program = await desk(stage, preparing=None)
    stage.shop.say("hello")
    before = await program.expect("llm.before", turn=1)
    assert before["turn"] == 1
    await program.expect("bot.finished")
    assert program.all("llm.preparing_timeout") == []


@rows("6.6-llm.ready-releases")
async def _(stage: Stage) -> None:
    program = await desk(stage, preparing={"timeout_ms": 5000})
    stage.shop.say("hello")
    before = await program.expect("llm.before", turn=1)
    await program.send({"event": "llm.ready", "call_id": before["call_id"], "agent_id": "desk", "turn": 9})
    await program.settled()
    assert stage.llm.requests == []
    await program.send({"event": "llm.ready", "call_id": before["call_id"], "agent_id": "desk", "turn": 1})
    await program.expect("bot.finished")
    assert program.all("llm.preparing_timeout") == []


@rows("6.6-llm.preparing_timeout")
async def _(stage: Stage) -> None:
    program = await desk(stage, preparing={"timeout_ms": 60})
    stage.shop.say("hello")
    late = await program.expect("llm.preparing_timeout")
    assert (late["turn"], late["budget_ms"]) == (1, 60)
    assert late["waited_ms"] >= 60
    await program.expect("bot.finished")


@rows("6.6-false-is-silent")
async def _(stage: Stage) -> None:
    program = await desk(stage, preparing=False)
    stage.shop.say("hello")
    await program.expect("bot.finished")
    assert program.all("llm.before") == []


@rows("6.14-a-session-that-opens-is-signalled-before-what-was-said-in-it")
async def _(stage: Stage) -> None:
    program = await desk(stage, preparing={"timeout_ms": 5000})
    stage.shop.say("hello")
    opened = await program.expect("llm.before")
    assert opened["turn"] == 0
    await program.expect("whatsapp.message")
    before = await program.expect("llm.before", turn=1)
    await program.send({"event": "llm.ready", "call_id": before["call_id"], "turn": opened["turn"]})
    await program.settled()
    assert stage.llm.requests == [], "an answer to the first signal is none to the second"
    await program.send({"event": "llm.ready", "call_id": before["call_id"], "turn": 1})
    await program.expect("bot.finished")
    stage.shop.say("again")
    await program.expect("llm.before", turn=2)
    began = [event for event in program.events() if event.startswith(("whatsapp.session", "whatsapp.m", "llm.b"))]
    assert began == ["whatsapp.session_started", "llm.before", *2 * ["whatsapp.message", "llm.before"]]


@rows("6.6-a-chat-that-opens-is-signalled-and-what-was-set-is-read")
async def _(stage: Stage) -> None:
    program = await desk(stage, prompt="You serve {{tier}}.", preparing=None)
    await program.send({"event": "llm.chat", "agent_id": "desk", "session_id": "s-1", "text": "hello"})
    opened = await program.expect("llm.before", turn=0)
    await program.send({"event": "history.set_vars", "call_id": opened["call_id"], "vars": {"tier": "gold"}})
    await program.expect("llm.before", turn=1)
    await program.expect("llm.chat.done")
    assert stage.llm.requests[0]["messages"][0]["content"].startswith("You serve gold.")


@rows("6.6-no-signal-where-the-program-answers-by-itself")
async def _(stage: Stage) -> None:
    program = await stage.desk(preparing=True)
    await stage.asked(program)
    assert program.all("llm.before") == []


@rows("6.14-no-barrier-for-a-session-older-than-the-socket")
async def _(stage: Stage) -> None:
    program = await desk(stage, preparing={"timeout_ms": 5000})
    stage.shop.say("hello")
    before = await program.expect("llm.before", turn=1)
    await program.send({"event": "llm.ready", "call_id": before["call_id"]})
    await program.expect("bot.finished")
    await program.close()
    second = await stage.desk(llm="openai/m", preparing={"timeout_ms": 5000}, tools=TOOLS)
    stage.llm.will(calls(("find", "{}")), says("found"))
    stage.shop.say("again")
    asked = await second.expect("llm.tool_call")
    await second.send(result(asked, "x"))
    await second.expect("whatsapp.response", text="found")
    assert second.all("llm.before") == second.all("whatsapp.session_started") == second.all("bot.speaking") == []


@rows("6.7-a-round")
async def _(stage: Stage) -> None:
    program = await desk(stage)
    stage.llm.will(calls(("find", '{"id": "A-9"}')), says("It is on its way."))
    stage.shop.say("where is it?")
    asked = await program.expect("llm.tool_call")
    assert asked["msg_id"]
    (call,) = asked["tool_calls"]
    assert (call["name"], call["arguments"]) == ("find", '{"id": "A-9"}')
    await program.send(result(asked, {"status": "shipped"}))
    spoken = await program.expect("bot.speaking")
    assert spoken["text"] == "It is on its way."
    assert tool_lines(stage.llm.requests[1]) == ['{"status": "shipped"}']


@rows("6.7-text-goes-verbatim")
async def _(stage: Stage) -> None:
    program = await desk(stage)
    stage.llm.will(calls(("find", "{}")), says("ok"))
    stage.shop.say("x")
    await program.send(result(await program.expect("llm.tool_call"), "as it is"))
    await program.expect("bot.finished")
    assert tool_lines(stage.llm.requests[1]) == ["as it is"]


@rows("6.7-several-tools-and-answers-in-any-order")
async def _(stage: Stage) -> None:
    program = await desk(stage)
    stage.llm.will(calls(("find", "{}"), ("book", "{}")), says("both"))
    stage.shop.say("x")
    first, second = await program.expect("llm.tool_call"), await program.expect("llm.tool_call")
    assert first["msg_id"] != second["msg_id"]
    await program.send(result(second, 2))
    await program.send({**result(first, 7), "results": [{"tool_call_id": "nobody", "result": 1}]})
    await program.send({**result(first, 7), "msg_id": "no such round"}, result(first, 1))
    await program.expect("bot.finished")
    by_name = {first["tool_calls"][0]["name"]: "1", second["tool_calls"][0]["name"]: "2"}
    assert tool_lines(stage.llm.requests[1]) == [by_name["find"], by_name["book"]]


@rows("6.7-the-first-answer-counts")
async def _(stage: Stage) -> None:
    program = await desk(stage)
    stage.llm.will(calls(("find", "{}")), says("ok"))
    stage.shop.say("x")
    asked = await program.expect("llm.tool_call")
    await program.send(result(asked, "first"), result(asked, "second"))
    await program.expect("bot.finished")
    assert tool_lines(stage.llm.requests[1]) == ["first"]


@rows("6.7.8-unknown-tool-waits-for-another-answer")
async def _(stage: Stage) -> None:
    program = await desk(stage)
    stage.llm.will(calls(("find", "{}")), says("ok"))
    stage.shop.say("x")
    asked = await program.expect("llm.tool_call")
    await program.send(result(asked, {"error": "Unknown tool: find"}), result(asked, "the real one"))
    await program.expect("bot.finished")
    assert tool_lines(stage.llm.requests[1]) == ["the real one"]


@rows("6.7.8-unknown-tool-stands-when-nothing-else-comes")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("desk", brain="llm"), timing={"unknown_tool": 0.1})
    program = await stage.desk(llm="openai/m", preparing=False, tools=TOOLS)
    stage.llm.will(calls(("find", "{}")), says("ok"))
    stage.shop.say("x")
    asked = await program.expect("llm.tool_call")
    await program.send(result(asked, {"error": "Unknown tool: find"}))
    await program.expect("bot.finished")
    assert tool_lines(stage.llm.requests[1]) == ['{"error": "Unknown tool: find"}']


@rows("11.15-ephemeral")
async def _(stage: Stage) -> None:
    program = await desk(stage)
    stage.llm.will(calls(("find", "{}")), says("I looked."), says("next"))
    stage.shop.say("x")
    asked = await program.expect("llm.tool_call")
    await program.send(result(asked, "secret number", ephemeral=True))
    await program.expect("bot.finished")
    assert tool_lines(stage.llm.requests[1]) == ["secret number"]
    stage.shop.say("and?")
    await program.expect("bot.finished")
    assert "secret number" not in str(stage.llm.requests[2])
    assert not any(message.get("tool_calls") for message in stage.llm.requests[2]["messages"])
    await program.send({"event": "call.hangup", "call_id": asked["call_id"]})
    end = await program.expect("whatsapp.session_ended")
    assert "secret number" not in str(end["messages"])
    assert not any(message.get("tool_calls") for message in end["messages"])


@rows("11.15-no_followup-ends-the-turn")
async def _(stage: Stage) -> None:
    program = await desk(stage)
    stage.llm.will(calls(("book", "{}")))
    stage.shop.say("x")
    asked = await program.expect("llm.tool_call")
    await program.send(result(asked, "done", no_followup=True))
    await stage.shop.logged("turn.end")
    stage.llm.will(says("fine"))
    stage.shop.say("thanks")
    await program.expect("bot.finished")
    assert [m["content"] for m in stage.llm.requests[1]["messages"] if m["role"] == "user"] == ["x", "thanks"]
    assert len(stage.llm.requests) == 2


@rows("11.16-what-is-said-during-a-round-stays-out-of-it")
async def _(stage: Stage) -> None:
    program = await desk(stage)
    stage.llm.will(calls(("find", "{}")), says("found"), says("next"))
    stage.shop.say("x")
    asked = await program.expect("llm.tool_call")
    say = {"event": "bot.reply", "call_id": asked["call_id"], "message_id": "m1", "text": "One moment."}
    await program.send(say)
    await program.expect("bot.finished", message_id="m1")
    await program.send(result(asked, "y"))
    await program.expect("bot.finished")
    stage.shop.say("more")
    await program.expect("bot.finished")
    for request in stage.llm.requests[1:]:
        roles = [message["role"] for message in request["messages"]]
        for place, message in enumerate(request["messages"]):
            if message.get("tool_calls"):
                assert roles[place + 1] == "tool"
    assert "One moment." in await stage.shop.answers(3)


@rows("6.7.7-a-tool-may-configure-and-hang-up-first")
async def _(stage: Stage) -> None:
    program = await desk(stage)
    stage.llm.will(calls(("find", "{}")))
    stage.shop.say("x")
    asked = await program.expect("llm.tool_call")
    await program.send(
        {"event": "session.configure", "session_id": asked["call_id"], "language": "es"},
        {"event": "call.hangup", "call_id": asked["call_id"], "reason": "bye"},
        result(asked, "y"),
    )
    assert (await program.expect("whatsapp.session_ended"))["reason"] == "bye"


@rows("6.7-a-program-that-leaves-does-not-hold-the-turn")
async def _(stage: Stage) -> None:
    program = await desk(stage)
    stage.llm.will(calls(("find", "{}")), says("I could not look."))
    await program.close()
    stage.shop.say("x")
    assert await stage.shop.answers() == ["I could not look."]
    assert "cannot run" in tool_lines(stage.llm.requests[1])[0]


@pytest.mark.parametrize("row", rows.all())
async def test_row(row: Row, stage: Stage) -> None:
    async with asyncio.timeout(50):
        await row(stage)
