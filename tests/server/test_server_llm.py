"""A model as the brain, from the webhook to the phone, with everything that can go wrong between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.brains.llm_server import LlmServer, calls, refuses, says
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, ECHO, NUMBER, Shop, agent_of


class ToolServer:
    """Somebody's order system: answers `order_status` and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status = 200
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        return web.json_response({"status": "on its way"}, status=self.status)


@pytest.fixture
async def orders() -> AsyncIterator[ToolServer]:
    tool = ToolServer()
    app = web.Application()
    app.router.add_post("/orders", tool.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    tool.url = f"http://127.0.0.1:{runner.addresses[0][1]}/orders"
    yield tool
    await runner.cleanup()


async def open_with_model(
    open_shop: OpenShop, engine: dict[str, Any], llm: LlmServer, *, script: Any = (), **agent: Any
) -> Shop:
    model = {"retries": 0, "first_token_timeout": 5}
    asked = agent_of(brain="llm", script=script, prompt="You serve {{ name }}.", llm=model, **agent)
    return await open_shop(engine, asked, llm_base_url=llm.base_url)


def order_tool(url: str) -> list[dict[str, Any]]:
    return [{"name": "order_status", "description": "Where an order is.", "url": url}]


async def test_a_model_answers_with_the_conversation_in_mind(
    open_shop: OpenShop, engine: dict[str, Any], llm: LlmServer
) -> None:
    shop = await open_with_model(open_shop, engine, llm)
    llm.will(says("Good ", "day, ", "Ada", in_pieces_of=7), says("You asked before."))
    shop.say("hello")
    assert await shop.answers(1) == ["Good day, Ada"]
    shop.say("what did I say?")
    assert (await shop.answers(2))[1] == "You asked before."
    first, second = llm.requests
    assert first["stream"] is True
    assert first["messages"][0] == {"role": "system", "content": "You serve Ada Quill."}
    assert [(m["role"], m["content"]) for m in second["messages"][1:]] == [
        ("user", "hello"),
        ("assistant", "Good day, Ada"),
        ("user", "what did I say?"),
    ]


async def test_a_model_uses_a_tool_and_reads_its_result(
    open_shop: OpenShop, engine: dict[str, Any], llm: LlmServer, orders: ToolServer
) -> None:
    shop = await open_with_model(open_shop, engine, llm, tools=order_tool(orders.url))
    llm.will(calls(("order_status", '{"order": "1042"}')), says("It is on its way."))
    shop.say("where is order 1042?")
    assert await shop.answers(1) == ["It is on its way."]
    (asked,) = orders.asked
    call = await shop.call()
    assert (asked["name"], asked["arguments"]) == ("order_status", {"order": "1042"})
    assert asked["call"] == {
        "id": call.id,
        "agent_id": "echo",
        "from": ADA,
        "to": NUMBER,
        "channel": "whatsapp",
        "metadata": {},
    }
    (result,) = await shop.logged("tool.result")
    assert result.result == {"status": "on its way"}
    told = llm.requests[1]["messages"][-1]
    assert told["role"] == "tool"
    assert "on its way" in told["content"]


async def test_a_tool_that_fails_is_an_answer_the_model_can_read(
    open_shop: OpenShop, embedded: dict[str, Any], llm: LlmServer, orders: ToolServer
) -> None:
    orders.status = 500
    shop = await open_with_model(open_shop, embedded, llm, tools=order_tool(orders.url))
    llm.will(calls(("order_status", "{}")), says("I cannot see it now."))
    shop.say("where is it?")
    assert await shop.answers(1) == ["I cannot see it now."]
    (result,) = await shop.logged("tool.result")
    assert result.error


@pytest.mark.parametrize("fault", ["500", "429", "cut", "garbage"])
async def test_while_the_model_is_down_the_rules_answer(
    open_shop: OpenShop, embedded: dict[str, Any], llm: LlmServer, fault: str
) -> None:
    shop = await open_with_model(open_shop, embedded, llm, script=[ECHO])
    match fault:
        case "500" | "429":
            llm.will(refuses(int(fault)))
        case "cut":
            llm.will(says("I was ab", finish=None, then="cut"))
        case _:
            reply = says("x")
            llm.will(type(reply)(events=(b"{not json",)))
    shop.say("hello")
    assert await shop.answers(1) == ["You said: hello"]
    llm.will(says("Here I am."))
    shop.say("back?")
    assert (await shop.answers(2))[1] == "Here I am."
    await shop.quiet()
    assert len(shop.simulator.sent()) == 2


async def test_without_rules_the_fallback_text_is_sent_once(
    open_shop: OpenShop, engine: dict[str, Any], llm: LlmServer
) -> None:
    shop = await open_with_model(open_shop, engine, llm, fallback="We will write back soon.")
    llm.will(refuses(500))
    shop.say("hello")
    assert await shop.answers(1) == ["We will write back soon."]
    (ended,) = await shop.logged("turn.end")
    assert ended.error
    await shop.quiet()
    assert len(shop.simulator.sent()) == 1


async def test_a_newer_message_hangs_up_on_the_model(
    open_shop: OpenShop, embedded: dict[str, Any], llm: LlmServer
) -> None:
    shop = await open_with_model(open_shop, embedded, llm)
    llm.will(says("I think", finish=None, then="hang"), says("Both of them."))
    shop.say("first")
    await llm.came.wait()
    shop.say("second")
    assert await shop.answers(1) == ["Both of them."]
    await llm.gone.wait()
    assert llm.requests[-1]["messages"][-1]["content"].split() == ["first", "second"]
    await shop.quiet()
    assert len(shop.simulator.sent()) == 1
