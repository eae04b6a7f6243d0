"""What a caller of the load generator says and measures, however their sound travels.

They speak recorded speech (`tests/audio/clips`), hear the answer, interrupt every third one, and go on. The bot's sound
is known by its level: that of an answer's first clause, of the rest, and of its last frame.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmark.server import ROOT

FRAME: Final = 160
"""Samples of 20 ms at 8,000."""
TICK: Final = 0.02
SILENCE_S: Final = 0.2
"""The silence that ends a turn, as omni has it by default."""
CUTS: Final = (("booking", 3, 61), ("number", 6, 32), ("number", 6, 85))
"""Frames of the clips, from a loud one to a loud one: nobody can argue about where the voice began and ended."""
INTERRUPTION: Final = ("booking", 3, 61)
PATIENCE: Final = 150
"""Frames without an answer after which a turn is given up."""
NOISES: Final = 50


@dataclass
class Found:
    """What the callers of one run have measured, in milliseconds. Only turns that began after `since` count."""

    since: float = float("inf")
    until: float = float("inf")
    responses: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    frames: int = 0
    unanswered: int = 0
    not_stopped: int = 0
    late: list[float] = field(default_factory=list)
    broken: int = 0

    def counts(self, at: float) -> bool:
        return self.since <= at < self.until


@dataclass(frozen=True, slots=True)
class Material:
    """Frames of 20 ms as they go out: what is said, what is said over the bot, and a quiet line between."""

    clips: Sequence[Sequence[bytes]]
    over: Sequence[bytes]
    noise: Sequence[bytes]


def clip(name: str, start: int, end: int) -> list[bytes]:
    """Mu-law."""
    sound = (ROOT / "tests" / "audio" / "clips" / f"{name}.ulaw").read_bytes()
    return [sound[at * FRAME : (at + 1) * FRAME] for at in range(start, end)]


def line_noise() -> list[bytes]:
    """Mu-law, some 70 dB below full scale: digital silence would be too easy for a detector."""
    dice = random.Random(7)
    return [bytes(dice.choice(b"\xff\xfe\x7f\x7e\xfd\x7d") for _ in range(FRAME)) for _ in range(NOISES)]


class Talk:
    """One caller. `next` is asked for a frame every 20 ms, `came` is told of the bot's sound."""

    def __init__(self, number: int, found: Found, material: Material) -> None:
        self.dice = random.Random(number)
        self.sent = 0
        self.found = found
        self.until = 0.0
        """When all that has come will have been played."""
        self._material = material
        self._saying: Sequence[bytes] = ()
        self._said = 0
        self._quiet_until = self.dice.randrange(25, 150)
        self._is_over = False  # this one is said over the bot
        self._turns = number
        self._ended: float | None = None  # when the last voice of the turn went out
        self._asked_at = 0
        self._over_began: float | None = None
        self._is_in_message = False

    # what they say

    def next(self) -> bytes:
        self.sent += 1
        return self._next()

    def _next(self) -> bytes:
        if self._saying:
            return self._next_of_saying(time.monotonic())
        if self._ended is not None and self.sent - self._asked_at > PATIENCE:
            self.found.unanswered += self.found.counts(self._ended)
            self._ended, self._quiet_until = None, self.sent + 25
        if self._ended is None and self.sent >= self._quiet_until:
            over, self._is_over = self._is_over, False
            if over and time.monotonic() < self.until:
                self._saying, self._is_over = self._material.over, True
            else:
                self._saying = self.dice.choice(self._material.clips)
            return self._next()
        return self._material.noise[(self.sent + self._turns * 7) % NOISES]

    def _next_of_saying(self, now: float) -> bytes:
        frame = self._saying[self._said]
        self._said += 1
        if self._said == 1 and self._is_over:
            self._over_began = now
        if self._said == len(self._saying):
            if self._over_began is not None and self.found.counts(self._over_began):
                self.found.not_stopped += 1
            self._over_began = None
            self._saying, self._said, self._is_over = (), 0, False
            self._ended, self._asked_at = now, self.sent
        return frame

    # what they hear

    def came(self, seconds: float, now: float, *, begins: bool, ends: bool) -> None:
        """Sound of the bot's, which is played behind what came before. `begins`: it has the level of a first clause;
        `ends`: that of a last frame."""
        if self.until < now:
            if self._is_in_message:
                self.gap((now - self.until) * 1000, now)
            self.until = now
        self.until += seconds
        self.heard(seconds, now, begins=begins)
        self._is_in_message = not ends

    def heard(self, seconds: float, now: float, *, begins: bool) -> None:
        if self.found.counts(now):
            self.found.frames += round(seconds / TICK)
        if self._ended is not None and begins:
            self._answered(now)

    def gap(self, milliseconds: float, now: float) -> None:
        if self.found.counts(now):
            self.found.gaps.append(milliseconds)

    def stopped(self, at: float) -> None:
        """Nothing of the bot is heard from then on."""
        if self._over_began is not None:
            if self.found.counts(self._over_began):
                self.found.stops.append((min(at, self.until) - self._over_began) * 1000)
            self._over_began = None
        self.until = min(self.until, at)
        self._is_in_message = False

    @property
    def is_interrupting(self) -> bool:
        return self._over_began is not None

    def _answered(self, now: float) -> None:
        assert self._ended is not None
        if self.found.counts(self._ended):
            self.found.responses.append((now - self._ended - SILENCE_S) * 1000)
        self._ended = None
        self._turns += 1
        if self._turns % 3 == 0:
            self._is_over = True
            self._quiet_until = self.sent + self.dice.randrange(110, 150)
        else:
            self._quiet_until = self.sent + 220 + self.dice.randrange(25, 75)


class PacedTalk(Talk):
    """Where sound comes at the pace of real time, silence included, and nobody says that it was cleared.

    The far end plays it `BUFFER` late, as telephones and browsers do: what comes later than that is a gap, and so is
    silence within an answer. The bot has stopped when only silence comes.
    """

    BUFFER: Final = 0.04
    QUIET: Final = 0.1

    def __init__(self, number: int, found: Found, material: Material) -> None:
        super().__init__(number, found, material)
        self._loud_at = 0.0
        self._packet_at: float | None = None
        self._silent = 0

    def packet(self, level: int, now: float, *, first: range, silent: int) -> None:
        """A packet of 20 ms. `level` is how loud it is."""
        before, self._packet_at = self._packet_at, now
        if before is not None and now - before > TICK + self.BUFFER:
            self.gap((now - before - TICK - self.BUFFER) * 1000, now)
        if level < silent:
            self._silent += 1
            if self.is_interrupting and now - self._loud_at > self.QUIET:
                self.stopped(self._loud_at + TICK)
            elif self._silent * TICK > 1.0:
                self._is_in_message = False
            return
        begins = level in first
        if self._silent and self._is_in_message and not begins:
            self.gap(self._silent * TICK * 1000, now)
        self._silent, self._loud_at, self._is_in_message = 0, now, True
        self.until = now + TICK + self.BUFFER
        self.heard(TICK, now, begins=begins)
