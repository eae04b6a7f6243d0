"""The voice worker: it takes calls with sound while it has room, brings each its sound, and what people ask of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from channels.audio import Admitted, Ear, Leg, Refused
from omni.bus.base import BusError, Consumer
from omni.model.inbound import AnyInput, CallOffered, ToCall
from omni.model.queues import VOICE, voice_of
from omni.store.base import StoreError
from omni.telemetry.tasks import Tasks
from workers.voice.call import VoiceCall
from workers.voice.dispatch import Dispatch
from workers.voice.inhand import CallsInHand
from workers.voice.neighbours import Neighbours
from workers.voice.places import Places
from workers.voice.placing import Placing
from workers.voice.services import Services
from workers.voice.stt.base import SttError
from workers.voice.taking import Elsewhere, Taking
from workers.voice.tidying import Tidying
from workers.voice.tokens import Tokens
from workers.voice.tts.base import TtsError

log = logging.getLogger("omni.voice")

REFRESH_SECONDS: Final = 2.5
AT_MOST_EVERY: Final = 0.25
"""Seconds between two tellings of how much room there is, when that changes."""
KEEP_SECONDS: Final = 20.0
"""How often the store is told that a call is still here (`sessions.rules.ending.SOUND_SECONDS`)."""
TIDY_SECONDS: Final = 4.0
PREFETCH: Final = 8
COMMANDS_PREFETCH: Final = 256


class VoiceWorker:
    """`name` is unique among the processes that live; `media_url` is where the sound of telephone calls goes;
    `max_calls` bounds the calls in hand, and the next one is another worker's, or refused, before it harms them."""

    def __init__(self, services: Services, *, name: str, media_url: Callable[[], str], max_calls: int = 50) -> None:
        self._services = services
        self._world = services.world
        self.name = name
        self._max_calls = max_calls
        self._tasks = Tasks("the voice worker", log)
        self._tokens = Tokens(self._world.clock)
        self._neighbours = Neighbours(self._world, name)
        self._hand = CallsInHand(self._neighbours, self._tokens, self._tasks, media_url, max_calls)
        self._calls = self._hand.calls
        places = Places(self._world, name, self._neighbours)
        self._taking = Taking(services, name, self._hand, places, self._neighbours, media_url)
        placing = Placing(services, self._hand, places)
        self._dispatch = Dispatch(self._world, self._hand, self._taking, placing, self._tasks)
        self._commands: Consumer | None = None
        self._offers: Consumer | None = None
        self._tidying = Tidying()
        self._upkeep: list[asyncio.Task[None]] = []

    # its life

    async def start(self) -> None:
        bus = self._world.bus
        mine = voice_of(self.name)
        await bus.declare((VOICE, mine))
        self._services.pacer.start()
        self._commands = await bus.consume(mine, self._dispatch.commanded, prefetch=COMMANDS_PREFETCH)
        await self._advertise()  # before the first offer: whoever is asked for a call must be known to live
        self._offers = await bus.consume(VOICE, self._dispatch.offered, prefetch=PREFETCH)
        self._upkeep = [
            asyncio.create_task(self._advertise_for_ever(), name="advertise the voice worker"),
            asyncio.create_task(self._every(REFRESH_SECONDS, self._end_unheard), name="end calls without sound"),
            asyncio.create_task(self._every(KEEP_SECONDS, self._keep_calls), name="keep calls with sound"),
            asyncio.create_task(self._every(TIDY_SECONDS, self._tidy), name="tidy up after calls"),
        ]
        log.info("the voice worker %s takes up to %d calls", self.name, self._max_calls)

    async def drain(self) -> None:
        """No new calls from now on; returns when the last of those in hand is over. Until then the others know that
        this worker lives: its calls are not given up."""
        await self._take_no_more()
        while not self._hand.is_empty:
            self._hand.freed.clear()
            await self._hand.freed.wait()

    async def _take_no_more(self) -> None:
        self._hand.is_draining = True
        self._hand.changed.set()
        offers, self._offers = self._offers, None
        if offers is not None:
            await offers.stop()

    async def stop(self, grace: float = 6.0) -> None:
        """No new calls. Those in hand may end by themselves for `grace` seconds; then they are ended."""
        await self._take_no_more()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self.drain()
        self._hand.gives_up.set()
        for call in list(self._calls.values()):
            call.finish("error")
        await self._finish_tasks()
        commands, self._commands = self._commands, None
        if commands is not None:
            await commands.stop()
        await self._services.pacer.stop()
        for task in self._upkeep:
            task.cancel()
        if self._upkeep:
            await asyncio.wait(self._upkeep)
        try:
            await self._neighbours.sign_off()
        except StoreError as error:
            log.warning("the voice worker could not sign off: %s", error)

    async def _finish_tasks(self) -> None:
        while True:
            work: list[asyncio.Future[Any]] = [*self._tasks, *self._taking.undecided()]
            if not work:
                return
            await asyncio.wait(work)

    @property
    def calls(self) -> int:
        return len(self._calls)

    @property
    def has_room(self) -> bool:
        """Counted before a call is taken, so that two can never take the last place."""
        return self._hand.room > 0

    def find(self, call: str) -> VoiceCall | None:
        return self._calls.get(call)

    # upkeep

    async def _every(self, seconds: float, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await act()
            except (StoreError, BusError) as error:
                log.warning("the voice worker could not say that it is here: %s", error)
            except Exception:
                log.exception("the voice worker's upkeep broke; the next round tries again")

    async def _advertise(self) -> None:
        await self._neighbours.sign_on(calls=len(self._calls), room=self._hand.room)

    async def _advertise_for_ever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._hand.changed.wait()
            self._hand.changed.clear()
            try:
                await self._advertise()
            except StoreError as error:
                log.warning("the voice worker could not say that it is here: %s", error)
            except Exception:
                log.exception("the voice worker could not say that it is here; it tries again")
            await asyncio.sleep(AT_MOST_EVERY)

    async def _end_unheard(self) -> None:
        """Calls whose sound has not come. A call that came in is not hung up at its carrier: that has given it up
        itself, or asked another worker, where it goes on."""
        for call in self._tokens.run_out():
            call.finish("error", is_gone=call.came.direction == "inbound")

    async def _keep_calls(self) -> None:
        for call in list(self._calls.values()):
            if call.conversation.call_id is not None:
                await call.conversation.keep()

    async def _tidy(self) -> None:
        await self._tidying.look(self._hand.ended, is_quiet=self._hand.is_empty)

    # Switchboard

    async def offer(self, offered: CallOffered) -> Admitted | Refused:
        asked = self._taking.ask(offered)
        if asked is None:
            self._hand.refuse()
            return Refused("busy")
        decided = await asyncio.shield(asked)
        return Refused("busy") if isinstance(decided, Elsewhere) else decided

    def tell(self, command: AnyInput) -> None:
        call = self._calls.get(command.call) if isinstance(command, ToCall) else None
        if call is not None:
            call.asked(command)

    def connect(self, token: str, call: str, leg: Leg) -> Ear | None:
        voice = self._tokens.redeem(token, call)
        if voice is None or voice.is_ending:
            return None
        try:
            return voice.connect(leg)
        except (SttError, TtsError) as error:
            log.error("a call cannot be held here: %s", error)
            voice.finish("error")
            return None

    def dismiss(self, token: str) -> None:
        call = self._tokens.withdraw(token)
        if call is not None and call.leg is None:
            call.finish("error", is_gone=True)
