"""The voice role: a process's voice worker, and who can call it. Started when somebody can call, so that a server
without telephones loads none of it."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from aiohttp import web

from channels.audio import Admitted, Carrier, Ear, Leg, Refused
from channels.phone.addresses import MEDIA_PATH, media_url
from channels.phone.directory import Directory
from omni.access.seal import Sealer
from omni.app.process import Process
from omni.app.sip import PhoneCarriers, make_sip, open_sip, warn_of_unknown
from omni.app.speech import Speech
from omni.app.voice_services import open_services
from omni.bus.base import BusError
from omni.model.agent import Agent
from omni.model.channel import Channel, takes_calls
from omni.model.inbound import AnyInput, CallOffered
from omni.settings import SettingsError
from omni.store.base import StoreError
from sessions.world import World

if TYPE_CHECKING:
    from channels.phone.media import MediaSide
    from channels.sip.service import SipService
    from workers.voice.worker import VoiceWorker

log = logging.getLogger("omni.voice")

NEEDED: Final = ("numpy", "av", "webrtcvad")
START_AGAIN_SECONDS: Final = 10.0
MISSING: Final = (
    "calls with sound need more packages: pip install 'omni-server[local-speech]' (or [voice], with speech services)"
)


def is_installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in NEEDED)


def has_sound(agents: Iterable[Agent], more: Iterable[Channel] = ()) -> bool:
    """Whether anybody can call any of them."""
    return any(takes_calls(one) for agent in agents for one in agent.channels) or any(takes_calls(one) for one in more)


class VoiceRole:
    """`name` is unique among the processes that live; `url` is our public address, `own_url` that of this process's
    sound; `speech` takes the place of what the settings name."""

    def __init__(
        self,
        process: Process,
        world: World,
        *,
        name: str,
        url: Callable[[], str],
        sealer: Sealer,
        directory: Callable[[], Directory],
        speech: Speech | None = None,
    ) -> None:
        self._process = process
        self._settings = process.settings
        self._world = world
        self._name = name
        self._url = url
        self._sealer = sealer
        self._directory = directory
        self._speech = speech
        self._carriers: dict[str, Carrier] = {}
        self._stack = AsyncExitStack()
        self._starting = asyncio.Lock()
        self._worker: VoiceWorker | None = None
        self._media: MediaSide | None = None
        self._sip: SipService | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_ending = False

    def own_url(self) -> str:
        return self._settings.voice_url or self._url()

    def routes(self) -> list[web.RouteDef]:
        """The media sockets."""
        return [web.get(MEDIA_PATH, self._open), web.get(f"{MEDIA_PATH}/{{account}}", self._open)]

    def wanted(self, agents: tuple[Agent, ...]) -> None:
        """Start, if somebody can call by now and nothing has been started."""
        if self._worker is not None or self._task is not None or not has_sound(agents, self._settings.inventory):
            return
        if self._is_ending:
            return
        if not is_installed():
            log.error("an agent has a channel with sound, and nobody can call it: %s", MISSING)
            return
        self._task = asyncio.create_task(self._start_in_the_end(), name="start the voice role")

    async def start(self) -> None:
        """Raises SettingsError when it cannot be had here."""
        if not is_installed():
            raise SettingsError(MISSING)
        async with self._starting:
            if self._worker is None:
                async with AsyncExitStack() as stack:
                    worker = await self._opened_worker(stack)
                    self._stack = stack.pop_all()
                self._worker = worker
                await self._open_sip()

    async def _open_sip(self) -> None:
        """When there is somebody to take the calls. Raises SettingsError."""
        process, trunks = self._process, self._process.trunks
        sip = make_sip(self._settings, self, process.book.everyone, trunks.everyone(), process.presence.dev_owner)
        if sip is not None:
            warn_of_unknown(process.book.everyone(), trunks.everyone())
            self._stack.push_async_callback(sip.close)
            self._stack.callback(trunks.watch(sip.follow))
            self._sip = sip
            carrier = await open_sip(sip)
            self._carriers |= {"sip": carrier, "phone": PhoneCarriers(self._carriers["phone"], carrier)}

    async def _start_in_the_end(self) -> None:
        """An engine that is away for a moment keeps nobody from being called for ever."""
        while True:
            try:
                await self.start()
            except (BusError, StoreError) as error:
                log.warning("the voice role cannot start yet: %s", error)
                await asyncio.sleep(START_AGAIN_SECONDS)
            except Exception:
                log.exception("the voice role could not be started: calls hear a busy line")
                return
            else:
                return

    async def _start_quietly(self) -> None:
        try:
            await self.start()
        except Exception:
            log.exception("the voice role could not be started: calls hear a busy line")

    async def drain(self) -> None:
        """No new calls; returns when the last one is over."""
        self._is_ending = True
        if self._sip is not None:
            await self._sip.drain()
        if self._worker is not None:
            if self._worker.calls:
                log.info("%d calls go on until they are over", self._worker.calls)
            await self._worker.drain()

    async def stop(self, grace: float) -> None:
        self._is_ending = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.stop(grace)
        await self._stack.aclose()

    # Switchboard

    async def offer(self, offered: CallOffered) -> Admitted | Refused:
        if self._worker is None and is_installed() and not self._is_ending:
            await self._start_quietly()  # somebody calls whose channel no agent needs to name
        return Refused("busy") if self._worker is None else await self._worker.offer(offered)

    def tell(self, command: AnyInput) -> None:
        if self._worker is not None:
            self._worker.tell(command)

    def connect(self, token: str, call: str, leg: Leg) -> Ear | None:
        return None if self._worker is None else self._worker.connect(token, call, leg)

    def dismiss(self, token: str) -> None:
        if self._worker is not None:
            self._worker.dismiss(token)

    async def _open(self, request: web.Request) -> web.StreamResponse:
        if self._worker is None:
            return web.Response(status=503, text="calls with sound are not served here")
        if self._media is None:
            from channels.phone.media import MediaSide

            self._media = MediaSide(self, self._directory, self.own_url)
        return await self._media.open(request)

    async def _opened_worker(self, stack: AsyncExitStack) -> VoiceWorker:
        from workers.voice.worker import VoiceWorker

        services = await open_services(
            self._process,
            self._world,
            stack,
            self,
            url=self._url,
            own_url=self.own_url,
            sealer=self._sealer,
            directory=self._directory,
            speech=self._speech,
        )
        self._carriers = services.carriers
        worker = VoiceWorker(
            services, name=self._name, media_url=lambda: media_url(self.own_url()), max_calls=self._settings.max_calls
        )
        await worker.start()
        return worker
