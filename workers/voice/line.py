"""The line of a call, while it has its sound: what is heard on it, what goes out on it, and what time brings."""

from __future__ import annotations

from typing import Final, Protocol

from channels.audio import Ear, Leg
from omni.model.entry import Fact
from omni.telemetry import metrics, tracing
from workers.voice.clock import CallClock
from workers.voice.filling import Filling
from workers.voice.obeying import Obeying
from workers.voice.oncall import OnCall
from workers.voice.playout.facts import WordHeard
from workers.voice.sides import Sides
from workers.voice.turning import Turning
from workers.voice.turns.words import BotBegan, BotEnded, Tick

LOOK_TICKS: Final = 5
"""Ticks of 20 ms between two looks at what only time decides."""
WAITS_MS: Final = 8_000.0
"""Somebody whom we called and who says nothing for so long is greeted all the same."""
AWAY_MS: Final = 20_000.0
"""So long after nobody was reached may the caller's sound take to come back."""


class Sounding(OnCall, Protocol):
    """A call that has its sound."""

    sides: Sides
    turning: Turning
    obeying: Obeying


class LegEar:
    """The ear of one leg: what an earlier leg still tells is not heard."""

    def __init__(self, call: Sounding, line: Line, leg: Leg) -> None:
        self._call = call
        self._line = line
        self._leg = leg

    def heard(self, pcm: bytes, at: float) -> None:
        if self._call.leg is self._leg:
            self._line.heard(pcm, at)

    def pressed(self, digit: str) -> None:
        if self._call.leg is self._leg:
            self._line.pressed(digit)

    def played(self, mark: str) -> None:
        if self._call.leg is self._leg:
            self._line.played(mark)

    def gone(self, reason: str) -> None:
        if self._call.leg is self._leg:
            self._line.gone(reason)


class Line:
    """Of one call: the pacer's `Paced`, and the `BotEar` of its bot. Legs hear by way of `ear`."""

    def __init__(self, call: Sounding, clock: CallClock, rate: int) -> None:
        self._call = call
        self._filling = Filling(rate)
        self._clock = clock
        self._ticks = 0
        self._away_since: float | None = None
        """The caller went with whom they were given to; infinite as long as that may go well."""
        self._connected_at = call.services.pacer.ms()

    def ear(self, leg: Leg) -> Ear:
        return LegEar(self._call, self, leg)

    def back(self, leg: Leg) -> None:
        """The caller has come back from somebody who was not reached."""
        call = self._call
        self._clock.restart()
        self._filling = Filling(leg.rate)
        self._away_since = None
        call.leg = leg
        call.bot.playout.restart(leg)
        call.bot.resume("away")

    # what the leg tells

    def heard(self, pcm: bytes, at: float) -> None:
        call = self._call
        at = self._clock.frame(at)
        if call.is_ending:
            return
        is_listening = not call.controls.is_held and call.controls.forwarding is None
        for frame, when in self._filling.heard(pcm, at):
            call.sides.caller(frame, when)
            if is_listening:
                call.caller.heard(frame, when)

    def pressed(self, digit: str) -> None:
        if not self._call.is_ending:
            self._call.limits.spoke()
            self._call.controls.pressed(digit)

    def played(self, mark: str) -> None:
        self._call.bot.playout.played(mark)

    def gone(self, reason: str) -> None:
        call = self._call
        if call.controls.forwarding is None:
            call.finish("hangup" if reason == "hangup" else "disconnected", is_gone=True)
        else:
            self._away_since = float("inf")
            call.bot.hold("away")

    # Paced

    def tick(self, now: float) -> None:
        call = self._call
        call.bot.playout.tick(now)
        self._ticks += 1
        if self._ticks % LOOK_TICKS or call.is_ending:
            return
        call.bot.look_ahead()
        call.talking.happens(Tick(call.at(now)))
        is_speaking = call.bot.is_speaking
        quiet = not is_speaking and not call.caller.is_voice and not call.controls.is_deaf
        call.limits.tick(counts=quiet and not call.turning.is_thinking, is_speaking=is_speaking)
        call.obeying.tick(now)
        if call.waits and now - self._connected_at >= WAITS_MS and quiet:
            call.waits = False
            call.obeying.greet()
        if self._away_since is not None and call.controls.forwarding is None:
            self._away_since = min(self._away_since, now)
            if now - self._away_since >= AWAY_MS:
                call.finish("disconnected", is_gone=True)

    # BotEar

    def witnessed(self, *facts: Fact) -> None:
        self._call.witnessed(*facts)

    def word_heard(self, heard: WordHeard) -> None:
        self._call.turning.word_heard(heard)

    def began(self, message: str, turn: int | None) -> None:
        call = self._call
        if turn is not None:
            waited = call.times.first_heard(turn)
            if waited is not None:
                with call.traces.within(turn):
                    metrics.VOICE_RESPONSE_SECONDS.observe(waited, tracing.exemplar())
                call.traces.heard(turn, call.times.stages(turn))
        call.talking.happens(BotBegan(call.at(), message, turn))

    def first_sound(self, message: str, turn: int | None) -> None:
        if turn is not None:
            self._call.times.first_sound(turn)

    def fell_silent(self) -> None:
        self._call.talking.happens(BotEnded(self._call.at()))

    def tones_heard(self, name: str) -> None:
        self._call.controls.tones_heard(name)

    def bot_was_heard(self, pcm: bytes, at: float) -> None:
        """Sound of the bot went out; `at` by the pacer's clock."""
        self._call.sides.bot(pcm, self._call.at(at))

    # colleagues on the line

    def colleague(self) -> str | None:
        """Who of our people has the call."""
        state = self._call.look()[0]
        return state.handled_by if state.handler == "human" else None

    def colleague_says(self, pcm: bytes) -> bool:
        """False when the caller is not to hear it now."""
        call = self._call
        if call.leg is None or call.is_ending or call.controls.is_held or call.bot.is_speaking:
            return False
        if call.controls.forwarding is not None:
            return False
        call.leg.play(pcm)
        call.limits.spoke()
        call.sides.colleague(pcm, call.at())
        return True
