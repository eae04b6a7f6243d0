"""Running tools against a server on a real socket."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from omni.model.agent import Agent
from omni.model.behaviour import Tool
from omni.model.webhook import WebhookEndpoint
from omni.model.webhook_brain import WebhookSettings
from omni.outgoing.http import OutgoingHttp
from omni.sdk import webhooks
from sessions.brains.base import ToolOutcome
from sessions.brains.webhook.address import Endpoints, no_endpoints
from sessions.tools import ToolRunner

CALL: dict[str, Any] = {"id": "wa-1", "agent_id": "a", "from": "49", "to": "50", "channel": "whatsapp", "metadata": {}}


class Place:
    """A server for tools: `orders` are the bodies that came, `answer` makes the answers."""

    def __init__(self) -> None:
        self.orders: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.url = ""
        self.came = asyncio.Event()
        self.gone = asyncio.Event()
        self.answer: Callable[[], Awaitable[web.StreamResponse]]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.orders.append(await request.json())
        self.headers.append(dict(request.headers))
        self.bodies.append(await request.read())
        self.came.set()
        try:
            return await self.answer()
        except asyncio.CancelledError:
            self.gone.set()
            raise

    def answers(self, **response: Any) -> None:
        async def answer() -> web.StreamResponse:
            return web.Response(**response)

        self.answer = answer


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    app = web.Application()
    app.router.add_post("/tool", place.handle)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    place.url = f"http://127.0.0.1:{runner.addresses[0][1]}/tool"
    yield place
    await runner.cleanup()


@pytest.fixture
async def run(place: Place) -> AsyncIterator[Callable[..., Awaitable[ToolOutcome]]]:
    http = OutgoingHttp(allow_private=True)
    runner = ToolRunner(http)

    async def run(arguments: Any = None, name: str = "t", **tool: Any) -> ToolOutcome:
        agent = Agent(slug="a", tools=(Tool(**{"name": "t", "url": place.url, **tool}),))
        return await runner.run(agent, CALL, "id-1", name, {"x": 1} if arguments is None else arguments)

    yield run
    await http.close()
    await http.close()


async def test_the_order_says_who_asks_for_what(place: Place, run: Any) -> None:
    place.answers(text='{"ok": [1, null, "ü"]}', content_type="application/json")
    assert await run() == ToolOutcome({"ok": [1, None, "ü"]})
    assert place.orders == [{"tool_call_id": "id-1", "name": "t", "arguments": {"x": 1}, "call": CALL}]


@pytest.mark.parametrize(
    ("response", "result"),
    [
        ({"text": "sunny"}, "sunny"),
        ({"text": "null", "content_type": "application/json"}, None),
        ({"text": "3", "content_type": "application/problem+json"}, 3),
        ({"text": "", "content_type": "application/json"}, None),
        ({"status": 204}, None),
        ({"body": gzip.compress(b"small"), "headers": {"Content-Encoding": "gzip"}}, "small"),
    ],
)
async def test_any_json_and_any_text_is_a_result(response: Any, result: Any, place: Place, run: Any) -> None:
    place.answers(**response)
    assert await run() == ToolOutcome(result)


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        ({"status": 500, "text": "out of order"}, "answered 500: out of order"),
        ({"status": 404}, "answered 404"),
        ({"status": 302, "headers": {"Location": "http://127.0.0.1/other"}}, "redirect"),
        ({"text": "{", "content_type": "application/json"}, "not application/json"),
        ({"text": "NaN", "content_type": "application/json"}, "not application/json"),
        ({"text": "[" * 100_000, "content_type": "application/json"}, "not application/json"),
        ({"body": b"\xff\xfe", "content_type": "text/plain"}, "not text/plain"),
        ({"body": b"x" * 300_000}, "more than 256 KiB"),
        ({"body": gzip.compress(b"x" * 9_000_000), "headers": {"Content-Encoding": "gzip"}}, "more than 256 KiB"),
        ({"body": b"no gzip", "headers": {"Content-Encoding": "gzip"}}, "could not be reached"),
    ],
)
async def test_a_failure_is_a_sentence(response: Any, sentence: str, place: Place, run: Any) -> None:
    place.answers(**response)
    outcome = await run()
    assert outcome.is_error
    assert sentence in str(outcome.result)
    assert len(place.orders) == 1


async def test_a_tool_that_takes_too_long_is_given_up(place: Place, run: Any) -> None:
    async def never() -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    place.answer = never
    assert await run(timeout=0.3) == ToolOutcome("The tool 't' did not answer within 0.3 seconds.", is_error=True)
    await place.gone.wait()


async def test_cancelling_hangs_up(place: Place, run: Any) -> None:
    async def never() -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    place.answer = never
    task = asyncio.create_task(run())
    await place.came.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await place.gone.wait()


async def test_a_place_that_is_not_there_is_an_error(run: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        outcome = await run(url=f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert outcome.is_error
    assert "could not be reached" in outcome.result


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ({"url": None}, "give it a `url`"),
        ({"name": "other"}, "There is no tool 'other'"),
        ({"arguments": [1]}, "takes a JSON object"),
        ({"parameters": {"type": "object", "required": ["x", "city"]}}, "needs city"),
        ({"url": "http://"}, "its `url` is refused"),
        ({"url": "http://[::1"}, "its `url` is refused: the address cannot be read"),
        ({"url": "http://169.254.169.254/latest"}, "never asked"),
    ],
)
async def test_what_cannot_run_is_told_with_the_mend(case: Any, sentence: str, place: Place) -> None:
    tool = {"name": "t", "url": place.url, **{k: v for k, v in case.items() if k in ("url", "parameters")}}
    http = OutgoingHttp(allow_private=True)
    agent = Agent(slug="a", tools=(Tool(**tool),))
    outcome = await ToolRunner(http).run(agent, CALL, "id-1", case.get("name", "t"), case.get("arguments", {"x": 1}))
    await http.close()
    assert outcome.is_error
    assert sentence in str(outcome.result)
    assert place.orders == []


async def test_a_tool_in_a_private_network_needs_the_operators_leave(place: Place) -> None:
    http = OutgoingHttp()
    agent = Agent(slug="a", tools=(Tool(name="t", url=place.url.replace("http:", "https:")),))
    outcome = await ToolRunner(http).run(agent, CALL, "id-1", "t", {})
    await http.close()
    assert outcome.is_error
    assert "OMNI_ALLOW_PRIVATE_WEBHOOKS" in str(outcome.result)
    assert place.orders == []


async def test_a_tool_without_its_own_url_runs_at_the_agents_tool_url(place: Place) -> None:
    place.answers(text="done")
    http = OutgoingHttp(allow_private=True)
    agent = Agent(slug="a", tool_url=place.url, tools=(Tool(name="t"),))
    assert await ToolRunner(http).run(agent, CALL, "id-1", "t", {}) == ToolOutcome("done")
    await http.close()
    assert place.orders == [{"tool_call_id": "id-1", "name": "t", "arguments": {}, "call": CALL}]


ENDPOINT = WebhookEndpoint(id="wh_1", url="https://example.com/hook", secret=SecretStr("of the endpoint"))


async def one_endpoint(org: str) -> tuple[WebhookEndpoint, ...]:
    return (ENDPOINT,)


@pytest.mark.parametrize(
    ("own", "endpoints", "secret"),
    [
        (WebhookSettings(secret=SecretStr("of the agent")), one_endpoint, "of the agent"),
        (None, one_endpoint, "of the endpoint"),
        (None, no_endpoints, None),
    ],
)
async def test_a_tools_request_is_signed_like_a_webhook(
    own: WebhookSettings | None, endpoints: Endpoints, secret: str | None, place: Place
) -> None:
    place.answers(text="done")
    http = OutgoingHttp(allow_private=True)
    agent = Agent(slug="a", webhook=own, tools=(Tool(name="t", url=place.url),))
    await ToolRunner(http, endpoints).run(agent, CALL, "id-1", "t", {})
    await http.close()
    (headers,), (body,) = place.headers, place.bodies
    assert headers["Omni-Event"] == "tool.call"
    if secret is None:
        assert "Omni-Signature" not in headers
    else:
        webhooks.verify(body, headers, secret)
