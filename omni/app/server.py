"""The server: engines, roles and the HTTP front of one process, started and drained in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Protocol

from aiohttp import web
from pydantic import SecretStr

from channels.base import Adapter
from channels.chat.adapter import ChatAdapter
from channels.sms.directory import Directory as SmsDirectory
from channels.sms.links import LinkedFiles
from channels.sms.webhook import routes as sms_routes
from channels.whatsapp.adapter import WhatsAppAdapter
from channels.whatsapp.directory import Directory
from channels.whatsapp.webhook import routes as whatsapp_routes
from omni.access.access import open_access
from omni.app.declared import introduce
from omni.app.engines import Engines, engines
from omni.app.front import open_front
from omni.app.links import media_link, open_links
from omni.app.partitions import partitions_to_serve
from omni.app.parts import Parts
from omni.app.routes import Routes
from omni.app.sms import open_sms, require_sms
from omni.app.templates import WhatsAppTemplates
from omni.gateway.health import Health
from omni.live.hub import Hub
from omni.live.presence import Presence, Program
from omni.live.teller import Teller
from omni.model.agent import Agent
from omni.model.ids import new_call_id, new_id
from omni.model.queues import every_queue
from omni.outgoing.http import OutgoingHttp
from omni.settings import Role, Settings, SettingsError
from omni.telemetry.lateness import Lateness
from omni.telemetry.looplag import LoopLag
from sessions.book import Book
from sessions.brains.choose import Brains
from sessions.brains.endpoint import LlmDefaults
from sessions.brains.webhook.brain import WebhookBrain
from sessions.commands import Commands
from sessions.past import business_of
from sessions.prompt import render
from sessions.tools import ToolRunner
from sessions.webhooks.book import EndpointBook
from sessions.webhooks.courier import Courier
from sessions.webhooks.service import WebhookService
from sessions.webhooks.turns import TurnList
from sessions.world import World
from workers.session import SessionWorker

log = logging.getLogger("omni.server")

PRESSED_SECONDS = 1.5
"""Webhooks are put off while even the quickest message waits for so long."""

EXACT_SECONDS = 3600.0
"""Timers of connections are exact up to here. aiohttp would put off those over 5 s to the next whole second, and ping
thousands of idle sockets in the same moment."""

DRAIN_SECONDS = 6.0
"""How long work in hand may take to finish once the process was asked to stop; what is left goes back to the bus."""


class Worker(Protocol):
    async def start(self) -> None: ...

    async def stop(self, grace: float) -> None:
        """Take nothing more, finish what is in hand within `grace` seconds, hand the rest back."""


Mount = Callable[[web.Application], None]


class Server:
    """One process with one role, or all of them. `mount` adds to the HTTP front before it starts (the demo does)."""

    def __init__(self, settings: Settings, role: Role = "all", mount: Mount | None = None) -> None:
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
        self._stack = AsyncExitStack()
        self._health: Health | None = None
        self._directory = Directory(())
        self._sms_lines = SmsDirectory()
        self._served = settings.partitions
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
            opened = await stack.enter_async_context(engines(self._settings, serves=True))
            self._served = await partitions_to_serve(opened.bus, self._settings.partitions)
            await opened.bus.declare(every_queue(self._served))
            presence = Presence(opened.bus, opened.store)
            book = Book(opened.store, opened.bus, self._learn)
            for agent in self._settings.agents:
                await introduce(opened.store, agent)
            await book.start()
            stack.push_async_callback(book.stop)
            await presence.start()
            stack.push_async_callback(presence.stop)
            endpoints = EndpointBook(opened.store, opened.bus)
            await endpoints.start()
            stack.push_async_callback(endpoints.stop)
            lag = LoopLag()
            lag.start()
            stack.push_async_callback(lag.stop)
            try:
                if self._has("delivery"):
                    await self._start_delivery(stack, opened, book)
                    await self._start_webhooks(stack, opened, book)
                if self._has("session"):
                    await self._start_session(stack, opened, book, presence, endpoints)
            finally:  # before what they use is closed, also when one of them could not start
                stack.push_async_callback(self._stop_workers)
            await self._start_http(stack, opened, book, presence, endpoints)
            self._stack = stack.pop_all()
        log.info("omni (%s) listens on %s", self._role, self.url)

    async def stop(self) -> None:
        """Drain: stop taking, finish or hand back what is in hand, close the engines."""
        if self._health is not None:
            self._health.draining = True
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

    async def _start_session(
        self, stack: AsyncExitStack, opened: Engines, book: Book, presence: Presence, endpoints: EndpointBook
    ) -> None:
        settings = self._settings
        http = OutgoingHttp(allow_private=settings.allow_private_webhooks)
        stack.push_async_callback(http.close)
        links = await open_links(settings, opened, self._public_url)
        turns = TurnList(opened.store, endpoints)
        turns.start()
        stack.push_async_callback(turns.stop)
        brains = Brains(
            LlmDefaults(base_url=settings.llm_base_url, api_key=settings.openai_api_key, model=settings.llm_model),
            WebhookBrain(http, endpoints.endpoints, turns=turns, link=media_link(links)),
        )
        stack.push_async_callback(brains.close)
        tools = ToolRunner(http, endpoints.endpoints)
        teller = Teller(opened.bus)
        world = World(
            store=opened.store,
            bus=opened.bus,
            agents=book,
            brains=brains.brain_for,
            run_tool=tools.run,
            partitions=settings.partitions,
            clock=time.time,
            new_id=new_id,
            new_call_id=new_call_id,
            render=render,
            tell=teller.tell,
            answer=teller.answer,
            program_since=lambda org, slug: _since(presence.program(org, slug)),
            is_heard=endpoints.hears,
        )
        worker = SessionWorker(
            world, prefetch=settings.session_prefetch, hot_calls=settings.hot_calls, serves=self._served
        )
        self._latenesses.append(world.lateness)
        await self._start_workers(worker)

    async def _start_delivery(self, stack: AsyncExitStack, opened: Engines, book: Book) -> None:
        from workers.delivery import DeliveryWorker
        from workers.media import MediaWorker
        from workers.statuses import StatusWorker
        from workers.transcribe import load_transcriber

        settings = self._settings
        whatsapp = WhatsAppAdapter(graph_url=settings.whatsapp_graph_url, blobs=opened.blobs)
        await whatsapp.open()
        stack.push_async_callback(whatsapp.close)
        sms = await open_sms(stack, settings, opened, self._public_url)
        adapters: dict[str, Adapter] = {"whatsapp": whatsapp, "sms": sms, "chat": ChatAdapter(opened.blobs)}
        channels = Routes(book)
        transcriber = load_transcriber(settings.stt_model)
        if transcriber is not None:
            stack.push_async_callback(transcriber.close)
        deliveries = DeliveryWorker(
            bus=opened.bus,
            store=opened.store,
            adapters=adapters,
            channels=channels,
            partition_count=settings.partitions,
            partitions=range(self._served),
            settle_wait=settings.settle_wait,
            probe_every=settings.probe_every,
        )
        statuses = StatusWorker(
            bus=opened.bus, store=opened.store, partition_count=settings.partitions, tell=Teller(opened.bus).tell
        )
        media = MediaWorker(
            bus=opened.bus,
            blobs=opened.blobs,
            adapters=adapters,
            channels=channels,
            partition_count=settings.partitions,
            transcriber=transcriber,
        )
        self._latenesses.append(deliveries.lateness)
        await self._start_workers(deliveries, statuses, media)

    async def _start_webhooks(self, stack: AsyncExitStack, opened: Engines, book: Book) -> None:
        """Connections of their own: what developers are told must not wait for those who answer turns."""
        from workers.webhooks.worker import WebhookWorker

        settings = self._settings
        http = OutgoingHttp(allow_private=settings.allow_private_webhooks)
        stack.push_async_callback(http.close)
        worker = WebhookWorker(
            bus=opened.bus,
            store=opened.store,
            courier=Courier(http),
            partitions=range(self._served),
            kept_seconds=settings.webhook_log_days * 86_400.0,
            business=lambda call: business_of(book.get(call.org, call.agent), call.channel),
            holder="alone" if settings.is_embedded else None,
        )
        await self._start_workers(worker)

    async def _start_workers(self, *workers: Worker) -> None:
        for worker in workers:
            self._workers.append(worker)
            await worker.start()

    async def _stop_workers(self) -> None:
        """All at once: what one of them still publishes stays on the bus for whoever starts next."""
        workers, self._workers = self._workers, []
        await asyncio.gather(*(worker.stop(DRAIN_SECONDS) for worker in workers))

    async def _start_http(
        self, stack: AsyncExitStack, opened: Engines, book: Book, presence: Presence, endpoints: EndpointBook
    ) -> None:
        settings = self._settings
        app = web.Application()
        queues = [queue.name for queue in every_queue(self._served)]
        self._health = Health(opened.bus, opened.store, opened.blobs, queues)
        app.add_routes(self._health.routes())
        if self._has("gateway"):
            app.add_routes(
                whatsapp_routes(
                    lambda: self._directory,
                    opened.bus,
                    settings.partitions,
                    is_pressed=self._is_pressed,
                    reroute=presence.dev_owner,
                )
            )
            parts = await self._parts(stack, opened, book, presence, endpoints)
            app.add_routes(
                sms_routes(
                    lambda: self._sms_lines, opened.bus, settings.partitions, parts.url, reroute=presence.dev_owner
                )
            )
            app.add_routes(LinkedFiles(opened.blobs, parts.access.sealer).routes())
            app.add_routes(await open_front(parts, stack))
            app.on_shutdown.append(lambda _: _all(parts.drains))
        if self._mount is not None:
            self._mount(app)
        runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=2.0, timeout_ceil_threshold=EXACT_SECONDS
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, settings.host, settings.port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            raise SettingsError(
                f"OMNI_PORT {settings.port}: cannot listen on {settings.host}:{settings.port} ({error.strerror}); "
                "stop what uses it or choose another with --port"
            ) from None
        address = runner.addresses[0]
        self.port = int(address[1])

    async def _parts(
        self, stack: AsyncExitStack, opened: Engines, book: Book, presence: Presence, endpoints: EndpointBook
    ) -> Parts:
        """What the gateway's surfaces share, started."""
        hub = Hub(opened.bus, opened.store, new_id("desk"))
        await hub.start()
        stack.push_async_callback(hub.stop)
        commands = Commands(opened.store, opened.bus, self._settings.partitions)
        access = await open_access(
            opened.store,
            api_key=_clear(self._settings.api_key),
            secret=_clear(self._settings.secret),
            previous_secret=_clear(self._settings.previous_secret),
            proxies=self._settings.proxies,
        )
        may_be_private = self._settings.allow_private_webhooks
        http = OutgoingHttp(allow_private=may_be_private)
        stack.push_async_callback(http.close)
        webhooks = WebhookService(opened.store, opened.bus, endpoints, Courier(http), allow_private=may_be_private)
        adapter = WhatsAppAdapter(opened.blobs, graph_url=self._settings.whatsapp_graph_url)
        await adapter.open()
        stack.push_async_callback(adapter.close)
        templates = WhatsAppTemplates(book, adapter)
        public = self._settings.public_url
        return Parts(
            self._settings,
            opened,
            book,
            hub,
            presence,
            commands,
            access,
            lambda: public or self.url,
            webhooks,
            templates,
        )


def _clear(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


def _since(program: Program | None) -> float | None:
    return None if program is None else program.since


async def _all(drains: Iterable[Callable[[], Awaitable[None]]]) -> None:
    await asyncio.gather(*(drain() for drain in drains))
