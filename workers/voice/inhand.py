"""The calls that a voice worker has in hand, and the room it has for more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from omni.bus.base import BusError
from omni.model.inbound import CallOffered, Dial
from omni.store.base import StoreError
from omni.telemetry import metrics
from omni.telemetry.tasks import Tasks
from workers.voice.call import VoiceCall
from workers.voice.neighbours import Neighbours
from workers.voice.tokens import Tokens

log = logging.getLogger("omni.voice")


class CallsInHand:
    """At most `most`. `tasks` are the worker's; `media_url` is where the sound of telephone calls goes."""

    def __init__(
        self, neighbours: Neighbours, tokens: Tokens, tasks: Tasks, media_url: Callable[[], str], most: int
    ) -> None:
        self._neighbours = neighbours
        self._tasks = tasks
        self._media_url = media_url
        self._most = most
        metrics.VOICE_CALLS_MOST.set(most)
        metrics.VOICE_REFUSED.labels("busy")  # there from the start, so that the first one is a rise
        self._taking = 0
        self.calls: dict[str, VoiceCall] = {}
        self.tokens = tokens
        self.changed = asyncio.Event()
        """There is another number of calls."""
        self.freed = asyncio.Event()
        self.gives_up = asyncio.Event()
        """The server ends: what is not in the log by now is left to the alarm."""
        self.is_draining = False
        self.ended = 0
        """Calls that are over."""
        self.late: set[str] = set()
        """Calls that are over, and not in their log yet."""

    @property
    def room(self) -> int:
        """Counted before a call is taken, so that two can never take the last place."""
        return 0 if self.is_draining else max(0, self._most - len(self.calls) - self._taking)

    @property
    def is_empty(self) -> bool:
        return not self.calls and not self._taking

    def reserve(self) -> bool:
        """A place for one more call, until `let_go`."""
        if self.room <= 0:
            return False
        self._taking += 1
        return True

    def let_go(self) -> None:
        self._taking -= 1
        self._has_changed()

    def add(self, call: VoiceCall) -> VoiceCall:
        """It is in hand until it is over, and seen off then."""
        self.calls[call.id] = call
        call.admit = lambda: {"token": self.tokens.issue(call), "media_url": self._media_url()}
        self._has_changed()
        self._tasks.begin(self._see_off(call), f"see off {call.id}")
        return call

    async def pass_on(self, wanted: CallOffered | Dial) -> bool:
        """There is no room here; False when there is none anywhere."""
        try:
            if await self._neighbours.pass_on(wanted):
                return True
        except (StoreError, BusError) as error:
            log.warning("a call could not be given to another worker: %s", error)
        metrics.VOICE_REFUSED.labels("busy").inc()
        log.warning("a call is refused: %d calls are all this worker takes, and no other has room", self._most)
        return False

    def refuse(self) -> None:
        """There is no room here, and nobody else is asked."""
        metrics.VOICE_REFUSED.labels("busy").inc()
        log.warning("a call is refused: %d calls are all this worker takes", self._most)

    def _has_changed(self) -> None:
        metrics.VOICE_CALLS.set(len(self.calls))
        self.changed.set()
        self.freed.set()

    async def _see_off(self, call: VoiceCall) -> None:
        await call.ending.wait()
        await call.close(keeps_log=True)
        self.late.add(call.id)
        self.calls.pop(call.id, None)
        self.tokens.forget(call)
        self._has_changed()
        try:
            if not call.ended.is_set():  # its store is away: the end is written when that is back
                written = asyncio.ensure_future(call.log.written())
                given_up = asyncio.ensure_future(self.gives_up.wait())
                await asyncio.wait([written, given_up], return_when=asyncio.FIRST_COMPLETED)
                for waiting in (written, given_up):
                    waiting.cancel()
        finally:
            await call.log.stop()
            self.late.discard(call.id)
            self.ended += 1
        await self._neighbours.leave(call.place.conversation, call.came.key)
