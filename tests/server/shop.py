"""A running business as its customers and its people meet it, and a door to an engine that can be shut."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from channels.whatsapp.simulator import Simulator, SimulatorSettings, StatusPlan, WebhookPlan
from omni.app.engines import Engines
from omni.app.server import Server
from omni.model.agent import Agent
from omni.model.call import Call
from omni.model.entry import CallStarted, Entry
from omni.model.queues import every_queue
from omni.settings import Settings
from omni.store.base import CallFilter
from sessions.commands import Commands

ROOT = Path(__file__).resolve().parents[2]
ADA = "12025550171"
NUMBER = "100200300"
SECRETS = {
    "app_secret": "an-app-secret-9f3c51",
    "verify_token": "a-verify-token-77ab02",
    "access_token": "EAAGaccessTokenOfTheTests0123456789",
}
ECHO = {"when": "(?s).*", "say": "You said: {{ text }}"}
PATIENCE = 30.0
"""Seconds after which something that has not happened is taken for lost; nothing here is timed."""

OURS = ("OMNI_", "OPENAI_", "WHATSAPP_")


async def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `condition` (a function, also a coroutine function) returns, as soon as that is true."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.005)


def agent_of(slug: str = "echo", *, number: str = NUMBER, channel: dict[str, Any] | None = None, **more: Any) -> Agent:
    """An agent that echoes at once, unless `more` says otherwise."""
    line = {"kind": "whatsapp", "phone_number_id": number, **SECRETS, "pair_interval": 0, **(channel or {})}
    return Agent.model_validate(
        {"slug": slug, "brain": "script", "debounce_ms": 0, "script": [ECHO], "channels": [line], **more}
    )


@dataclass(slots=True)
class Shop:
    """A business with a running server. `engines` are the test's own look at what the server stores."""

    simulator: Simulator
    graph_url: str
    server: Server
    settings: Settings
    engines: Engines
    commands: Commands
    http: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return self.server.url

    def say(self, text: str, who: str = ADA, **more: Any) -> str:
        return self.does({"type": "text", "text": text, **more}, who)

    def does(self, action: dict[str, Any], who: str = ADA) -> str:
        """Whatever a person can do (`channels/whatsapp/simulator/inbound.py`); returns the message's id."""
        return self.simulator.user_does({"from": who, **action})

    async def arrived(self, number: int = 1, who: str = ADA) -> list[Any]:
        """The messages on the person's phone, once there are so many."""
        return list(await self.simulator.wait_sent(number, to=who, timeout=PATIENCE))

    async def answers(self, number: int = 1, who: str = ADA) -> list[str]:
        """The texts on the person's phone, once there are so many messages."""
        return [sent.body["text"]["body"] for sent in await self.arrived(number, who) if sent.type == "text"]

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event.body for event in self.simulator.journal.after(0, 20_000) if event.type == kind]

    async def calls(self) -> list[Call]:
        found: list[Call] = []
        for agent in self.settings.agents:
            found += await self.engines.store.calls(CallFilter(org=agent.org, agent=agent.slug))
        return found

    async def call(self, who: str = ADA) -> Call:
        """The newest call of a person, once there is one."""
        return await until(lambda: self._call(who))

    async def _call(self, who: str) -> Call | None:
        for call in await self.calls():
            first = (await self.engines.store.entries(call.id, limit=1))[0].fact
            if isinstance(first, CallStarted) and first.from_.removeprefix("+") == who:
                return call
        return None

    async def log(self, who: str = ADA) -> list[Entry]:
        call = await self._call(who)
        return [] if call is None else await self.engines.store.entries(call.id)

    async def logged(self, kind: str, number: int = 1, who: str = ADA) -> list[Any]:
        """The facts of a type in the person's log, once there are so many."""

        async def look() -> list[Any] | None:
            facts = [entry.fact for entry in await self.log(who) if entry.fact.type == kind]
            return facts if len(facts) >= number else None

        return await until(look)

    async def delivered(self, state: str, number: int = 1, who: str = ADA) -> list[Any]:
        """All deliveries of the person's call, once so many are in a state."""

        async def look() -> list[Any] | None:
            call = await self._call(who)
            found = [] if call is None else await self.engines.store.deliveries(call.id)
            return found if sum(one.state == state for one in found) >= number else None

        return await until(look)

    async def quiet(self) -> None:
        """Return once every webhook was taken, no queue holds anything and every delivery is settled."""
        await self.simulator.webhooks.idle()

        async def is_quiet() -> bool:
            for queue in every_queue(self.settings.partitions):
                depth = await self.engines.bus.depth(queue.name)
                if depth.ready or depth.taken:
                    return False
            for call in await self.calls():
                if not all(one.is_settled for one in await self.engines.store.deliveries(call.id)):
                    return False
            return True

        await until(is_quiet)

    async def restart(self) -> None:
        """Stop the server as SIGTERM does, and start it again on the same port."""
        port = self.server.port
        await self.server.stop()
        self.server = Server(self.settings.model_copy(update={"port": port}))
        await self.server.start()

    async def get(self, path: str) -> tuple[int, str]:
        async with self.http.get(self.url + path) as answer:
            return answer.status, await answer.text()


def simulator_settings(server_url: str, **changes: Any) -> SimulatorSettings:
    quick = {
        "webhook_url": f"{server_url}/whatsapp/webhook",
        "statuses": StatusPlan(sent_ms=5, delivered_ms=10, read_ms=15),
        "webhooks": WebhookPlan(retry_ms=(20,) * 200),
        "phone_number_id": NUMBER,
        **SECRETS,
    }
    return SimulatorSettings(**{**quick, **changes})


class Proxy:
    """A TCP door to an engine: `cut` resets what is open and refuses what comes, `restore` ends that."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for pipe in list(self._pipes):
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        for writer in list(self._writers):
            with suppress(OSError):
                await writer.wait_closed()
        await self._server.wait_closed()

    def cut(self) -> None:
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def restore(self) -> None:
        self._is_cut = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            theirs, ours = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(ours)
        for source, sink in ((reader, ours), (theirs, writer)):
            pipe = asyncio.create_task(self._pipe(source, sink))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while some := await source.read(65536):
                sink.write(some)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()
