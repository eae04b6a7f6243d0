"""The server: the roles of one process and its HTTP front, started and drained in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Protocol

from aiohttp import web

from channels.mic.socket import MicSide
from channels.phone.directory import Directory as PhoneDirectory
from channels.sms.directory import Directory as SmsDirectory
from channels.whatsapp.directory import Directory
from omni.access.keys import Keys
from omni.app.delivery import open_delivery, open_webhooks
from omni.app.gateway import Directories, open_gateway
from omni.app.links import open_sealer
from omni.app.listening import listen
from omni.app.process import Process, open_process
from omni.app.requests import tell_of_requests
from omni.app.sms import require_sms
from omni.app.speech import Speech
from omni.app.voice import VoiceRole
from omni.app.world import open_world
from omni.gateway.health import Health
from omni.model.agent import Agent
from omni.model.ids import new_id
from omni.model.queues import every_queue
from omni.settings import Role, Settings, SettingsError
from omni.telemetry import tracing
from omni.telemetry.lateness import Lateness
from omni.telemetry.otel import traces
from sessions.world import World
from workers.session import SessionWorker

log = logging.getLogger("omni.server")

PRESSED_SECONDS = 1.5
"""Webhooks are put off while even the quickest message waits for so long."""

DRAIN_SECONDS = 6.0
"""How long work in hand may take to finish once the process was asked to stop; what is left goes back to the bus."""

DRAIN_CALLS_SECONDS = 600.0
"""How long calls with sound may go on in a process that does nothing else; elsewhere as long as other work."""


class Worker(Protocol):
    async def start(self) -> None: ...

    async def stop(self, grace: float) -> None:
        """Take nothing more, finish what is in hand within `grace` seconds, hand the rest back."""


Mount = Callable[[web.Application], None]


class Server:
    """One process with one role, or all of them. `mount` adds to the HTTP front before it starts (the demo does);
    `speech` hears and speaks instead of what the settings name."""

    def __init__(
        self, settings: Settings, role: Role = "all", mount: Mount | None = None, speech: Speech | None = None
    ) -> None:
        if role != "all" and settings.is_embedded:
            raise SettingsError(
                f"--role {role} needs a bus that processes share, and the embedded one lives in one process; "
                "set OMNI_BUS_URL=amqp://… or run --role all"
            )
        if role != "all" and settings.sqlite_path is not None:
            raise SettingsError(
                f"--role {role} needs a store that processes share; set OMNI_STORE_URL=mongodb://… or run --role all"
            )
        require_sms(settings)
        self._settings = settings
        self._role: Role = role
        self._mount = mount
        self._speech = speech
        self._stack = AsyncExitStack()
        self._health: Health | None = None
        self._directory = Directory(())
        self._sms_lines = SmsDirectory()
        self._phones = PhoneDirectory()
        self._voice: VoiceRole | None = None
        self._workers: list[Worker] = []
        self._latenesses: list[Lateness] = []
        self.port: int | None = None
        """The port it listens on, once started."""

    @property
    def url(self) -> str:
        return f"http://{self._settings.host}:{self.port}"

    def _public_url(self) -> str | None:
        """Where the world reaches the gateway, as far as this process knows."""
        if self._settings.public_url is not None or self._role != "all":
            return self._settings.public_url
        port = self.port or self._settings.port
        return f"http://{self._settings.host}:{port}" if port else None

    def _has(self, role: Role) -> bool:
        return self._role in ("all", role)

    async def start(self) -> None:
        """Open the engines and start the roles. Raises SettingsError, and what an unreachable engine raises; then
        nothing is left running."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(traces(self._role))
            process = await open_process(stack, self._settings, self._learn, self._public_url)
            try:
                if self._has("delivery"):
                    deliveries, statuses, media = await open_delivery(process, stack)
                    self._latenesses.append(deliveries.lateness)
                    await self._start_workers(deliveries, statuses, media)
                    await self._start_workers(open_webhooks(process, stack))
                if self._has("session") or self._has("voice"):
                    world = await open_world(process, stack)
                    if self._has("session"):
                        await self._start_session(process, world)
                    if self._has("voice"):
                        await self._start_voice(process, world)
            finally:  # before what they use is closed, also when one of them could not start
                stack.push_async_callback(self._stop_workers)
            await self._start_http(process, stack)
            self._stack = stack.pop_all()
        log.info("omni (%s) listens on %s", self._role, self.url)

    async def drain(self) -> None:
        """Before `stop`: let calls with sound go on until they are over, or for as long as they may. Until then the
        process does all it does, but takes no new ones. May be cancelled."""
        if self._health is not None:
            self._health.draining = True
        if self._voice is None:
            return
        given, usual = self._settings.drain_calls, DRAIN_CALLS_SECONDS if self._role == "voice" else DRAIN_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(usual if given is None else given):
                await self._voice.drain()

    async def stop(self) -> None:
        """Stop taking, finish or hand back what is in hand, close the engines."""
        if self._health is not None:
            self._health.draining = True
        if self._voice is not None:  # before the sockets of its calls are closed: its last words are how they ended
            await self._voice.stop(0)
        await self._stack.aclose()

    def _is_pressed(self) -> bool:
        """True when the workers of this process are so far behind that taking more would only make everybody wait.

        Where they are processes of their own, the broker holds what they have not come to.
        """
        now = time.time()
        return any(lateness.seconds(now) > PRESSED_SECONDS for lateness in self._latenesses)

    def _learn(self, agents: tuple[Agent, ...]) -> None:
        self._directory = Directory.of(agents)
        self._sms_lines = SmsDirectory.of(agents)
        self._phones = PhoneDirectory.of(agents, self._settings.inventory)
        if self._voice is not None:
            self._voice.wanted(agents)

    async def _start_session(self, process: Process, world: World) -> None:
        settings = self._settings
        worker = SessionWorker(
            world, prefetch=settings.session_prefetch, hot_calls=settings.hot_calls, serves=process.served
        )
        self._latenesses.append(world.lateness)
        await self._start_workers(worker)

    async def _start_voice(self, process: Process, world: World) -> None:
        """At once where it is the role; else when somebody can call."""
        settings = self._settings
        voice = VoiceRole(
            process,
            world,
            name="here" if settings.is_embedded else new_id("vw"),
            url=lambda: self._public_url() or self.url,
            sealer=await open_sealer(settings, process.engines),
            directory=lambda: self._phones,
            speech=self._speech,
        )
        self._voice = voice
        self._workers.append(voice)
        if self._role == "voice":
            await voice.start()
        else:
            voice.wanted(process.book.everyone())

    async def _start_workers(self, *workers: Worker) -> None:
        for worker in workers:
            self._workers.append(worker)
            await worker.start()

    async def _stop_workers(self) -> None:
        """All at once: what one of them still publishes stays on the bus for whoever starts next."""
        workers, self._workers = self._workers, []
        await asyncio.gather(*(worker.stop(DRAIN_SECONDS) for worker in workers))

    async def _start_http(self, process: Process, stack: AsyncExitStack) -> None:
        opened, book = process.engines, process.book
        app = web.Application(middlewares=[tell_of_requests] if tracing.is_on() else [])
        queues = [queue.name for queue in every_queue(process.served)]
        self._health = Health(opened.bus, opened.store, opened.blobs, queues)
        app.add_routes(self._health.routes())
        keys: Keys | None = None
        if self._has("gateway"):
            directories = Directories(lambda: self._directory, lambda: self._sms_lines, lambda: self._phones)
            keys = await open_gateway(
                app, process, stack, directories, own_url=lambda: self.url, is_pressed=self._is_pressed
            )
        if self._voice is not None:
            app.add_routes(self._voice.routes())
        if self._voice is not None and keys is not None:
            app.add_routes(MicSide(self._voice, keys, lambda *agent: book.get(*agent) is not None).routes())
        if self._mount is not None:
            self._mount(app)
        self.port = await listen(app, self._settings, stack)
