"""The files under examples/ load, and the scripted ones answer through a real server and a real Graph stand-in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from channels.whatsapp.simulator import SimulatorSettings, running
from omni.app.server import Server
from omni.settings import load

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.yaml"))
PRETEND = SimulatorSettings(port=0)
VARIABLES = {
    "WHATSAPP_PHONE_NUMBER_ID": PRETEND.phone_number_id,
    "WHATSAPP_ACCESS_TOKEN": PRETEND.access_token,
    "WHATSAPP_APP_SECRET": PRETEND.app_secret,
    "WHATSAPP_VERIFY_TOKEN": PRETEND.verify_token,
    "ORDER_STATUS_URL": "http://127.0.0.1:1/",
}


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    for name in ("OPENAI_API_KEY", "OMNI_LLM_BASE_URL", "OMNI_STORE_URL", "OMNI_BUS_URL"):
        monkeypatch.delenv(name, raising=False)


def _settings(file: Path, tmp_path: Path, port: int, graph_url: str) -> Any:
    return load(
        file, port=port, store_url=f"sqlite:///{tmp_path / 'omni.db'}", bus_url="", whatsapp_graph_url=graph_url
    )


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_it_loads(file: Path) -> None:
    assert load(file).agents


@asynccontextmanager
async def _conversation(name: str, tmp_path: Path, port: int) -> AsyncIterator[Callable[..., Any]]:
    """`await say("text")` returns the texts and bodies that the bot sent in all, once there are `expect` of them."""
    file = next(one for one in EXAMPLES if one.name == name)
    webhook = SimulatorSettings(port=0, webhook_url=f"http://127.0.0.1:{port}/whatsapp/webhook")
    async with running(webhook) as (_, url), aiohttp.ClientSession() as session:
        server = Server(_settings(file, tmp_path, port, url))
        await server.start()
        try:

            async def say(text: str, *, expect: int) -> list[str]:
                body = {"from": "15551230001", "type": "text", "text": text}
                async with session.post(f"{url}/control/messages", json=body) as answer:
                    assert answer.ok
                while True:
                    async with session.get(f"{url}/control/sent") as answer:
                        sent = [one["message"] for one in (await answer.json())["sent"]]
                    if len(sent) >= expect:
                        return [
                            one.get("text", one.get("interactive", {}).get("body"))["body" if "text" in one else "text"]
                            for one in sent
                        ]
                    await asyncio.sleep(0.02)

            yield say
        finally:
            await server.stop()


async def test_echo_says_what_it_hears_and_hands_over(tmp_path: Path, free_port: int) -> None:
    async with _conversation("echo.yaml", tmp_path, free_port) as say:
        assert await say("ahoy", expect=1) == ["You said: ahoy"]
        assert (await say("a human please", expect=2))[1] == "One moment, a colleague is joining."


async def test_support_looks_an_order_up(
    tmp_path: Path, free_ports: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, tools = free_ports(2)
    monkeypatch.setenv("ORDER_STATUS_URL", f"http://127.0.0.1:{tools}/")
    monkeypatch.setenv("OMNI_ALLOW_PRIVATE_WEBHOOKS", "true")

    async def status(request: web.Request) -> web.Response:
        asked = await request.json()
        return web.json_response({"status": f"on its way ({asked['arguments']['order']})"})

    shop = web.Application()
    shop.router.add_post("/", status)
    runner = web.AppRunner(shop)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", tools).start()
        async with _conversation("support.yaml", tmp_path, port) as say:
            greeted = await say("where is order 4711?", expect=2)
            assert greeted == [
                "Welcome to The Paper Shop! I can look up an order for you.",
                "Order 4711 is on its way (4711).",
            ]
            assert (await say("hm", expect=3))[2] == "What can I do for you?"
    finally:
        await runner.cleanup()


async def test_a_model_that_is_not_configured_is_stood_in_for_by_the_rules(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNI_LLM_BASE_URL", "http://127.0.0.1:1/v1")
    async with _conversation("llm.yaml", tmp_path, free_port) as say:
        answers = await say("a room, please", expect=1)
        assert answers == ["Our concierge is not at the desk. A colleague will answer you soon."]
