"""A whole server, watched: a conversation as customers have it, and as supervisors and dashboards see it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from omni.model.agent import Agent
from tests.server.shop import PATIENCE, Shop, agent_of, until

KEY = "pk_the_key_of_the_settings"
BEARER = {"Authorization": f"Bearer {KEY}"}


async def mint(shop: Shop, **params: str) -> str:
    async with shop.http.get(
        f"{shop.url}/stream/token", params={"agent_id": "echo", **params}, headers=BEARER
    ) as answer:
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["token"])


@asynccontextmanager
async def attached(shop: Shop, token: str, **params: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    query = {"token": token, **{name: str(value) for name, value in params.items()}}
    async with shop.http.ws_connect(f"{shop.url}/v1/attach", params=query) as ws:
        yield ws


async def frames_until(ws: aiohttp.ClientWebSocketResponse, type_: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE):
        while not found or found[-1]["type"] != type_:
            message = await ws.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, (message, found)
            found.append(json.loads(message.data))
    return found


def agent() -> Agent:
    return agent_of("echo")


async def test_a_supervisor_watches_takes_over_speaks_and_ends(open_shop: Any, engine: dict[str, Any]) -> None:
    shop: Shop = await open_shop(engine, agent(), api_key=KEY)
    shop.say("hello")
    call = await shop.call()
    await shop.arrived()
    token = await mint(shop, scope="supervise", metadata=json.dumps({"name": "Eva"}))
    async with attached(shop, token, call=call.id) as ws:
        late = await frames_until(ws, "log.caught_up")
        texts = {frame["type"]: frame["data"].get("text") for frame in late}
        assert (texts["user.message"], texts["bot.speaking"]) == ("hello", "You said: hello")
        await ws.send_str('{"verb":"takeover"}')
        await frames_until(ws, "handoff.active")
        shop.say("are you human?")
        await frames_until(ws, "user.message")
        await ws.send_str('{"verb":"say","text":"Yes, Eva here."}')
        said = (await frames_until(ws, "supervisor.said"))[-1]
        assert said["data"] | {"id": ""} == {"id": "", "text": "Yes, Eva here.", "by": "Eva"}
        await ws.send_str('{"verb":"whisper","text":"Be brief."}')
        await frames_until(ws, "supervisor.whispered")
        await ws.send_str('{"verb":"release"}')
        await frames_until(ws, "handoff.released")
        shop.say("thanks")
        answered = (await frames_until(ws, "bot.speaking"))[-1]
        assert answered["data"]["text"] == "You said: thanks"
        await ws.send_str('{"verb":"end"}')
        ended = await frames_until(ws, "call.summary")
        assert ended[-2]["type"] == "call.ended"
        async with asyncio.timeout(PATIENCE):
            assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 1000
    async with shop.http.get(f"{shop.url}/v1/calls/{call.id}/events", headers=BEARER) as answer:
        page = await answer.json()
    assert page["live"] is False
    assert "You said: are you human?" not in json.dumps(page)
    secrets = json.dumps([late, page])
    for entry in await shop.log():
        for leaked in (
            getattr(entry.fact, "provider_id", None),
            getattr(getattr(entry.fact, "delivery", None), "id", None),
        ):
            assert leaked is None or leaked not in secrets
    headers = {**BEARER, "Accept": "text/event-stream", "Last-Event-ID": str(page["entries"][-1]["seq"])}
    async with shop.http.get(f"{shop.url}/v1/calls/{call.id}/events", headers=headers) as answer:
        assert answer.status == 204


async def test_a_dashboard_follows_an_agent_across_a_restart_of_the_server(
    open_shop: Any, engine: dict[str, Any]
) -> None:
    """Everybody's conversation begins once in its log, however often the server and the reader came back."""
    shop: Shop = await open_shop(engine, agent(), api_key=KEY)
    people = [f"1202555{number:04d}" for number in range(12)]
    begun: list[tuple[int, str]] = []

    async def watch() -> None:
        while len(begun) < len(people):
            try:
                after = begun[-1][0] if begun else 0
                async with attached(shop, await mint(shop), agent="echo", after=after) as ws:
                    async for message in ws:
                        frame = json.loads(message.data)
                        if frame.get("type") == "call.started":
                            begun.append((frame["seq"], frame["data"]["from"]))
                        if len(begun) == len(people):
                            return
            except (aiohttp.ClientError, AssertionError):
                await asyncio.sleep(0.02)

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(watch())
        for number, person in enumerate(people):
            shop.say("hello", person)
            if number == 5:
                await until(lambda: len(begun) >= 3)
                await shop.restart()
    assert [seq for seq, _ in begun] == list(range(1, len(people) + 1))
    assert {person for _, person in begun} == set(people)


@pytest.mark.parametrize("path", ["/v1/agents/echo/calls", "/ws/stream", "/v1/attach"])
async def test_nobody_looks_on_without_a_credential(open_shop: Any, embedded: dict[str, Any], path: str) -> None:
    shop: Shop = await open_shop(embedded, agent(), api_key=KEY)
    if path.startswith("/v1/agents"):
        assert (await shop.get(path))[0] == 401
        return
    async with shop.http.ws_connect(f"{shop.url}{path}", params={"agent": "echo"}) as ws, asyncio.timeout(PATIENCE):
        await ws.receive()
        assert ws.close_code == 4401
