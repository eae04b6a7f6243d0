"""The actor of one call with sound: what the caller says becomes turns, what the bot says becomes sound, and all of it
the call's log.

It is synchronous and runs on the event loop: called by its leg (`Ear`), by the pacer (`tick`), by its log (`follow`)
and by the services it asks. None of them waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Literal

from pydantic import JsonValue

from channels.audio import Ear, Leg
from omni.live.told import Answered, Signal
from omni.model.channel import Channel
from omni.model.contact import Contact
from omni.model.entry import Fact
from omni.model.inbound import AnyInput, Ask
from omni.model.sound import Sound
from omni.telemetry.tasks import Tasks
from sessions.actor import Conversation
from sessions.mail import Parcel
from sessions.place import Place
from sessions.state import CallState
from sessions.steps import Around, CallAnswered, CallCame
from sessions.voiced import VoicedBrain
from workers.voice.beginning import prepare, sound_now
from workers.voice.bot import Bot
from workers.voice.caller import Caller
from workers.voice.clock import CallClock
from workers.voice.controls import Controls
from workers.voice.early import EarlyReplies
from workers.voice.ending import wind_up
from workers.voice.following import Following
from workers.voice.latency import TurnTimes
from workers.voice.limits import LimitKeeper
from workers.voice.line import Line
from workers.voice.log import CallLog
from workers.voice.mouth import TurnMouth
from workers.voice.music import hold_music
from workers.voice.obeying import Obeying
from workers.voice.ringing import Ringing
from workers.voice.services import Services
from workers.voice.sides import Sides
from workers.voice.talking import Talking
from workers.voice.traced import TurnTraces
from workers.voice.turning import Turning
from workers.voice.turns.words import Deafened
from workers.voice.wiring import wire

log = logging.getLogger("omni.voice")

RECORDING_SECONDS: Final = 30.0
"""So long may it take to put a recording where it is kept."""
LOG_SECONDS: Final = 10.0
"""So long the end of a call waits for its log."""


class VoiceCall:
    """From the moment it was taken or placed. `came` is how it begins; without `is_ringing` that is logged when its
    sound is here."""

    def __init__(
        self,
        services: Services,
        place: Place,
        contact: Contact,
        came: CallCame,
        *,
        greets: str | None = None,
        waits: bool = False,
    ) -> None:
        self.id = came.call
        self.place = place
        self.came = came
        self.services = services
        self.leg: Leg | None = None
        self.sound = Sound()
        self.times = TurnTimes(services.pacer.ms)
        self.traces = TurnTraces(services.pacer.ms, services.world.clock, self.id, place.transport)
        self._following = Following(self)
        self.conversation = Conversation(services.world, place, voice=self._following)
        self.log = CallLog(self.id, self.conversation)
        self.ending = asyncio.Event()
        """`finish` was called."""
        self.ended = asyncio.Event()
        """The end is in the log."""
        self.ringing = Ringing(self)
        self.greets = greets
        self.early = EarlyReplies(self.log.post)
        self.admit: Callable[[], dict[str, JsonValue]] = dict
        """Where new sound of this call goes (`VoiceWorker`)."""
        self.waits = waits
        """The greeting is said when the other side has said something."""
        self._contact = contact
        self._clock = CallClock(services.pacer.ms)
        self._line: Line | None = None
        self._tasks = Tasks(f"the call {self.id}", log)
        self._ending: str | None = None
        self._winding_up: asyncio.Task[None] | None = None
        if came.is_ringing:
            self.log.post(came, contact=contact)
        self.log.start()
        self.begin(prepare(self), "prepare the first words")

    # what there is once its sound is here

    bot: Bot
    caller: Caller
    controls: Controls
    limits: LimitKeeper
    talking: Talking
    sides: Sides
    turning: Turning
    obeying: Obeying

    @property
    def is_live(self) -> bool:
        """Both sides hear each other."""
        return self.leg is not None and self._ending is None

    @property
    def is_ending(self) -> bool:
        return self._ending is not None

    @property
    def is_logged(self) -> bool:
        """False for a caller who was answered, and whose sound has not come."""
        return self.leg is not None or self.came.is_ringing

    @property
    def channel(self) -> Channel | None:
        place = self.place
        return self.services.channel_of(place.org, place.agent, place.channel)

    @property
    def seen(self) -> tuple[CallState, Around] | None:
        """The call as its log has it now, or had it before its store went away."""
        return self._following.seen

    def look(self) -> tuple[CallState, Around]:
        """The same, of a call that is in its log."""
        found = self.seen
        assert found is not None, "a call that is asked about has begun"
        return found

    def asked(self, command: AnyInput, parcel: Parcel | None = None) -> None:
        """What people and programs ask of it."""
        self.early.take(command, parcel)

    async def decided(self, seconds: float) -> Literal["busy", "rejected"] | None:
        """Why the program does not take a call that rings; None: it does, or has not said anything in time."""
        return await self.ringing.decided(seconds)

    # its sound

    def connect(self, leg: Leg) -> Ear:
        """The sound is here; returns who hears it. Raises SttError and TtsError when nobody can hear or speak
        here."""
        if self._line is not None:
            self._line.back(leg)
            return self._line.ear(leg)
        self.sound = sound_now(self)
        line = self._line = wire(self, self._clock, leg)
        self.services.pacer.add(line)
        if self.came.is_ringing:
            self.log.post(CallAnswered(self.log.key(), self.place.business))
        else:
            self.log.post(self.came, contact=self._contact)
        return line.ear(leg)

    def sit_in(self, by: str, leg: Leg) -> Ear | None:
        """A colleague's sound is here; None when nobody is to be heard any more."""
        return self.sides.seats.take(by, leg) if self.is_live else None

    def at(self, now: float | None = None) -> float:
        """The call's clock: milliseconds since its sound began, as the caller's frames count them."""
        return self._clock.at(now)

    def witnessed(self, *facts: Fact) -> None:
        self.log.witnessed(*facts)

    # what its parts share

    @property
    def brain(self) -> VoicedBrain:
        return self._following.brain

    @property
    def mouths(self) -> Sequence[TurnMouth]:
        return self._following.mouths

    @property
    def answers(self) -> Obeying:
        return self.obeying

    def signal(self, signal: Signal) -> None:
        """Tell it, if anybody may listen."""
        if self.services.is_heard(self.place.org, self.place.agent):
            self.log.signal(signal)

    def deafen(self, *, on: bool) -> None:
        if on != self.talking.talk.is_deaf:
            self.caller.listen_anew()
            self.talking.happens(Deafened(self.at(), on))

    async def music(self) -> bytes:
        assert self.leg is not None, "only a caller who is there is put on hold"
        return await hold_music(self.services.blobs, self.sound.media.hold_music, self.leg.rate)

    def message_id(self) -> str:
        return self.services.world.new_id("msg")

    def answer_back(self, ask: Ask) -> None:
        """Tell whoever brings the caller back where their sound goes."""
        answered = Answered(id=ask.id, data=self.admit())

        async def answering() -> None:
            await self.services.world.answer(ask.desk, answered)

        self.begin(answering(), "admit again")

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.begin(work, f"{name}: {self.id}")

    # its end

    def finish(self, reason: str, *, is_gone: bool = False) -> None:
        """The call is over, once. `is_gone`: its carrier needs no telling."""
        if self._ending is not None:
            return
        self._ending = reason
        self.ending.set()
        if self.leg is None and not self.came.is_ringing:
            self.ended.set()  # it never began
        self.ringing.end()
        self.traces.over("the call is over")
        self.early.let_go()
        sides = None
        if self._line is not None and self.leg is not None:
            sides = self.sides
            self.talking.happens(Deafened(self.at(), on=True))
            self.bot.end()
            self.services.pacer.remove(self._line)
            self.controls.close()
            self.leg.hang_up()
        self._winding_up = self._tasks.start(wind_up(self, sides, reason, is_gone=is_gone), f"end: {self.id}")

    async def close(self, *, keeps_log: bool = False) -> None:
        """Write what is to be written, and leave nothing running (but the log, if `keeps_log`). After `finish`."""
        if self._winding_up is not None:
            await asyncio.wait([self._winding_up], timeout=RECORDING_SECONDS)
            self._winding_up.cancel()  # its last act is the end of the log, whatever it waits for
        try:
            async with asyncio.timeout(LOG_SECONDS):
                await self.ended.wait()
        except TimeoutError:
            log.error("the end of the call %s is not in its log yet: its store is away", self.id)
        await self._tasks.cancel()
        if self.leg is not None:
            await self.bot.closed()
            await self.caller.close()
        if not keeps_log:
            await self.log.stop()
