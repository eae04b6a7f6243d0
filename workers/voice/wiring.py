"""The parts of a call's sound, put together when that is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from channels.audio import Leg
from workers.voice.bot import Bot
from workers.voice.caller import Caller
from workers.voice.clock import CallClock
from workers.voice.controls import Controls, Held
from workers.voice.limits import LimitKeeper
from workers.voice.line import Line, Sounding
from workers.voice.obeying import Obeying
from workers.voice.playout.facts import PlayoutFact
from workers.voice.playout.queue import Playout
from workers.voice.recording.recorder import Recorder
from workers.voice.seat import Seats
from workers.voice.sides import Sides
from workers.voice.stt.base import Transcript
from workers.voice.talking import Talking
from workers.voice.tts.say import Voice
from workers.voice.turning import Turning
from workers.voice.turns.state import Policy
from workers.voice.vad.endpoint import Endpointer


class Wired(Sounding, Held, Protocol):
    """A call whose sound is here: nothing of it works before it is wired."""


def wire(call: Wired, clock: CallClock, leg: Leg) -> Line:
    """Gives the call its parts, and its leg. Raises SttError and TtsError when nobody can hear or speak here."""
    services, sound, rate = call.services, call.sound, leg.rate
    recogniser, heard_as = services.recognisers.choose(sound.stt)
    speaker, spoken_as = services.speakers.choose(sound.voice)
    pacer = services.pacer
    line = Line(call, clock, leg.rate)

    def playout(tell: Callable[[PlayoutFact], None]) -> Playout:
        return Playout(rate, leg, tell, pacer.ms, tap=line.bot_was_heard)

    def partial(said: Transcript) -> None:
        call.caller.partial(said)

    call.bot = Bot(Voice(speaker, spoken_as, rate), line, playout)
    ears = recogniser.ears(heard_as, rate, partial)
    endpointer = Endpointer(services.vad(rate), rate, sound.turns)
    call.turning = Turning(call)
    call.talking = Talking(Policy.of(sound), call.message_id, call.turning)
    call.caller = Caller(ears, endpointer, rate, call.talking.happens, call.at, services.turn_model)
    recorder = Recorder(services.spool, rate) if sound.is_recorded else None
    tap = services.monitor.tap(call.id, rate) if sound.media.live else None
    call.sides = Sides(rate, recorder, tap, Seats(rate, line.colleague, line.colleague_says))
    carrier = services.carriers.get(call.place.transport)
    call.controls = Controls(call, call.id, call.bot, call.caller, call.sides, rate, carrier)
    call.limits = LimitKeeper(sound.limits, lambda: pacer.ms() / 1000, call.witnessed, call.finish)
    call.obeying = Obeying(call)
    call.leg = leg
    return line
