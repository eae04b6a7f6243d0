"""A whole server with a trunk: who calls by SIP talks to the agent, and the agent calls by SIP."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from omni.app.engines import Engines, engines
from omni.app.server import Server
from omni.app.speech import Speech
from omni.bus.base import Outgoing
from omni.model.agent import Agent
from omni.model.base import DEFAULT_ORG
from omni.model.call import Call
from omni.model.callers import on_the_line
from omni.model.inbound import Dial, pack
from omni.model.queues import VOICE
from omni.settings import Settings
from omni.store.base import CallFilter
from tests.agentphone.marks import mulaw_of, text_of
from tests.agentphone.speaking_server import MarkRecogniser, MarkSpeaker, MarkVad
from tests.ports import free_port
from tests.server.shop import OURS, until
from tests.sip.caller import Caller, calling
from tests.sip.conftest import NUMBER, trunk

THEM = "+4930123456"
GREETING = "Hello, this is the desk."
DESK = Agent.model_validate(
    {
        "slug": "desk",
        "brain": "script",
        "language": "en",
        "greeting": GREETING,
        "script": [{"when": "(?s).*", "say": "You said: {{ text }}"}],
        "channels": [{"kind": "phone", "number": NUMBER}],
    }
)


class Shop:
    def __init__(self, server: Server, settings: Settings, found: Engines, trunk_port: int) -> None:
        self.trunk_port = trunk_port
        self.server = server
        self.settings = settings
        self.engines = found

    @property
    def port(self) -> int:
        return self.settings.sip_listens[0].port

    async def calls(self) -> list[Call]:
        return await self.engines.store.calls(CallFilter(DEFAULT_ORG), limit=10)

    async def facts(self, call: str, kind: str) -> list[Any]:
        return [entry.fact for entry in await self.engines.store.entries(call, limit=1000) if entry.fact.type == kind]


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    port, trunk_port = free_port(), free_port()
    settings = Settings(
        port=0,
        agents=(DESK,),
        store_url=f"sqlite:///{tmp_path}/omni.db",
        sqlite_sync="normal",
        partitions=2,
        sip_bind=f"127.0.0.1:{port}",
        sip_trunks=(trunk(host=f"127.0.0.1:{trunk_port}", numbers=[NUMBER]),),
    )
    server = Server(settings, speech=Speech(MarkRecogniser(), MarkSpeaker(), MarkVad))
    await server.start()
    try:
        async with engines(settings) as found:
            yield Shop(server, settings, found, trunk_port)
    finally:
        await server.stop()


async def hears(caller: Caller, text: str) -> None:
    async def look() -> bool:
        caller.listen()
        return text in text_of(bytes(caller.heard))

    await until(look, 20)


async def test_who_calls_by_sip_talks_to_the_agent(shop: Shop) -> None:
    async with calling(shop.port) as caller:

        async def answered() -> bool:
            return (await caller.call()).status == 200

        async def up() -> bool:  # the voice role starts beside the rest
            caller.cseq += 1
            caller.answer = None
            caller.name = f"{caller.name}x"
            caller.send(caller.request("OPTIONS"))
            try:
                return (await caller.receive(0.5)).status == 200
            except TimeoutError:
                return False

        await until(up, 20)
        caller.name = "ada"
        while not await answered():
            caller.cseq += 1
        await hears(caller, GREETING)
        await caller.say(mulaw_of("Do you have bread?") + b"\xff" * 8000)
        await hears(caller, "You said: Do you have bread?")
        assert (await caller.bye()).status == 200

    async def over() -> Call | None:
        return next((each for each in await shop.calls() if not each.is_open), None)

    call = await until(over, 20)
    assert call.id.startswith("sip-")
    assert call.reason == "hangup"
    assert [fact.text for fact in await shop.facts(call.id, "user.message")] == ["Do you have bread?"]
    assert len(await shop.calls()) == 1


async def test_the_agent_calls_a_number_by_its_trunk(shop: Shop, sipp: Any) -> None:
    running = asyncio.create_task(sipp("outbound_they_end", None, port=shop.trunk_port))

    async def placed() -> Call | None:  # the voice role starts beside the rest
        dial = Dial(
            key="dial-1",
            agent="desk",
            channel=f"phone:{NUMBER}",
            at=time.time(),
            person=on_the_line(THEM, "x"),
            from_=NUMBER,
            to=THEM,
            by="test",
            until=time.time() + 20,
        )
        if shop.server._voice is not None and shop.server._voice._sip is not None:
            await shop.engines.bus.publish([Outgoing(VOICE.name, pack((dial,)), dial.key)])
            return await until(over, 20)
        return None

    async def over() -> Call | None:
        return next((each for each in await shop.calls() if not each.is_open), None)

    call = await until(placed, 30)
    ran = await running
    assert ran, ran.out
    assert (call.direction, call.reason) == ("outbound", "hangup")
    assert call.id.startswith("sip-")
