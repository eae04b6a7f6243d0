"""A gateway on a real socket, and a voice worker played by the test: it writes and tells the logs of calls with sound,
and takes what programs ask of them, as the worker does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from omni.access.keys import Keys
from omni.blobs.folder import FolderBlobs
from omni.bus.base import Received
from omni.bus.sqlite import SqliteBus
from omni.gateway.client.gear import Gear
from omni.gateway.client.server import ClientServer
from omni.gateway.client.timing import Limits, Timing
from omni.live.hub import Hub
from omni.live.presence import Presence
from omni.live.teller import Teller
from omni.live.told import Answered, Signal
from omni.live.visitor import Visits
from omni.model.entry import CallEnded, CallRinging, CallStarted, CallSummary, Fact
from omni.model.inbound import AnyInput, Dial, Input, unpack
from omni.model.queues import VOICE, every_queue, voice_home, voice_of
from omni.sqlite import SqliteFile
from omni.store.base import Lease
from omni.store.sqlite import SqliteStore
from sessions.book import Book
from sessions.commands import Commands
from tests.client.program import KEY, Frame, Program
from tests.client.rules import check_stream
from tests.live.line import Line, begin

WORKER = "w1"
CALLER, NUMBER = "+34600111222", "+34911222333"
PATIENCE = 20.0
InputT = TypeVar("InputT", bound=Input)


@dataclass
class PhoneLine:
    """A call with sound, as its voice has it."""

    line: Line

    async def log(self, *facts: Fact) -> None:
        await self.line.go_on(*facts)

    async def signal(self, *signals: Signal) -> None:
        await self.line.tell(self.line.news((), *signals))

    async def end(self, reason: str = "hangup", *before: Fact) -> None:
        await self.log(*before, CallEnded(reason=reason, duration=1.0), CallSummary(reason=reason))


@dataclass
class Exchange:
    """`asked` takes what programs ask of the voice, in its order."""

    gear: Gear
    http: aiohttp.ClientSession
    url: str
    blobs: FolderBlobs
    programs: list[Program] = field(default_factory=list)
    inputs: asyncio.Queue[AnyInput] = field(default_factory=asyncio.Queue)

    async def program(self, **config: Any) -> Program:
        """The connected program of the agent `desk`, with its phone number."""
        program = await Program.connect(self.http, self.url)
        self.programs.append(program)
        await program.create("desk", **config)
        await program.send({"event": "channel.add", "agent_id": "desk", "type": "phone", "ref": NUMBER})
        await program.expect("channel.added", ref=NUMBER)
        return program

    async def call(self, *first: Fact, call: str = "CA7", agent: str = "desk") -> PhoneLine:
        """A new call that begins with these facts, or is answered."""
        channel = {
            "channel": f"phone:{NUMBER}", "transport": "phone", "home": voice_home(WORKER), "agent": agent
        }  # fmt: skip
        line = begin(self.gear.bus, self.gear.store, call, f"ct_{call}", **channel)
        phone = PhoneLine(line)
        await phone.log(*(first or (started(),)))
        return phone

    async def has_voice(self, *, alive: bool = True) -> None:
        """Whether the voice worker says that it lives."""
        name = voice_home(WORKER)
        if alive:
            now = self.gear.clock()
            await self.gear.store.take_lease(Lease(name=name, holder=WORKER, until=now + 3600), now=now)
        else:
            await self.gear.store.drop_lease(name, WORKER)

    async def asked(self, kind: type[InputT]) -> InputT:
        """The next input, which is of this kind."""
        async with asyncio.timeout(PATIENCE):
            found = await self.inputs.get()
        assert isinstance(found, kind), found
        return found

    async def answer(self, dial: Dial, error: str | None = None, **data: Any) -> None:
        assert dial.ask is not None
        await self.gear.teller.answer(dial.ask.desk, Answered(id=dial.ask.id, data=data, error=error))

    def take(self, received: Received) -> None:
        for one in unpack(received.body):
            self.inputs.put_nowait(one)
        received.ack()


def _ends(direction: str, **more: Any) -> dict[str, Any]:
    from_, to = (CALLER, NUMBER) if direction == "inbound" else (NUMBER, CALLER)
    return {
        "direction": direction, "from": from_, "to": to, "channel": f"phone:{NUMBER}", "contact": "ct_1", **more
    }  # fmt: skip


def started(direction: str = "inbound", **more: Any) -> CallStarted:
    return CallStarted.model_validate(_ends(direction, **more))


def ringing(direction: str = "inbound", **more: Any) -> CallRinging:
    return CallRinging.model_validate(_ends(direction, **more))


@asynccontextmanager
async def open_exchange(folder: Path, timing: Timing, limits: Limits | None = None) -> AsyncIterator[Exchange]:
    async with AsyncExitStack() as stack:
        file = SqliteFile(folder / "omni.db", sync="normal")
        store, bus, blobs = SqliteStore(file), SqliteBus(file), FolderBlobs(folder / "blobs")
        for engine in (store, bus, blobs):
            await engine.open()
            stack.push_async_callback(engine.close)
        await bus.declare([*every_queue(1), voice_of(WORKER)])
        hub, book, presence = Hub(bus, store, "desk_1", compare_every=3600.0), Book(store, bus), Presence(bus, store)
        for part in (hub, book, presence):
            await part.start()
            stack.push_async_callback(part.stop)
        gear = Gear(
            store=store, bus=bus, blobs=blobs, hub=hub, presence=presence, book=book,
            commands=Commands(store, bus, 1), keys=Keys(store, KEY), visits=Visits(store, bus, hub, 1),
            teller=Teller(bus), timing=timing, limits=limits or Limits(),
        )  # fmt: skip
        server = ClientServer(gear)
        await server.start()
        stack.push_async_callback(server.stop)
        app = web.Application()
        app.add_routes(server.routes())
        app.on_shutdown.append(lambda _: server.drain())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        http = await stack.enter_async_context(aiohttp.ClientSession())
        exchange = Exchange(gear, http, f"http://127.0.0.1:{runner.addresses[0][1]}", blobs)
        await exchange.has_voice()
        for queue in (VOICE, voice_of(WORKER)):
            consumer = await bus.consume(queue, exchange.take, prefetch=1_000)
            stack.push_async_callback(consumer.stop)
        yield exchange
        for program in exchange.programs:
            check_stream(_heard_of_calls(program.heard))
            await program.close()


def _heard_of_calls(heard: list[Frame]) -> list[Frame]:
    """What belongs to calls: acknowledgements of a command that was refused may come at any time."""
    return [frame for frame in heard if frame.get("event") != "error"]
