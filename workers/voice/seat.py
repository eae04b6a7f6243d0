"""A colleague on the line of a call: they hear both sides, and the caller hears them while the call is theirs.

The bot is silent then because a person has the call (`HandoffActive`), as when they write. What they say goes to the
caller at once, not through the playout, whose 140 ms ahead are for what may be taken back; it is kept on our side's
track of the recording.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from channels.audio import Leg, frame_bytes
from omni.audio.pcm import mix
from omni.audio.resample import Resampler

LOOK_FRAMES: Final = 5
"""Frames of 20 ms between two looks at who has the call."""
MOST_WAITING: Final = 10
"""Frames of our side that wait to be heard together with the caller's."""


class Seated(Protocol):
    """The call that somebody sits in on."""

    rate: int

    def is_theirs(self, by: str) -> bool:
        """Whether this colleague has the call."""

    def said(self, seat: Seat, pcm: bytes) -> None:
        """A frame of theirs, for the caller and everybody who listens."""

    def left(self, seat: Seat) -> None:
        """They are gone."""


class Seat:
    """Of one colleague (`by`, as in `HandoffActive`): the `Ear` of their leg."""

    def __init__(self, by: str, leg: Leg, call: Seated) -> None:
        self.by = by
        self._leg = leg
        self._call = call
        self._to_them = Resampler(call.rate, leg.rate)
        self._to_caller = Resampler(leg.rate, call.rate)
        self._size = frame_bytes(call.rate)
        self._ours: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._said = b""
        self._frames = 0
        self._is_heard = False

    # what they hear

    def caller(self, pcm: bytes) -> None:
        """A frame of the caller's, with what our side says meanwhile: it sets the pace."""
        both = mix(pcm, self._ours.popleft()) if self._ours else pcm
        self._leg.play(self._to_them.feed(both))

    def ours(self, pcm: bytes) -> None:
        self._ours.append(pcm)

    # Ear: what they say

    def heard(self, pcm: bytes, at: float) -> None:
        if self._frames % LOOK_FRAMES == 0:
            is_heard = self._call.is_theirs(self.by)
            if is_heard and not self._is_heard:
                self._to_caller.reset()
                self._said = b""
            self._is_heard = is_heard
        self._frames += 1
        if not self._is_heard:
            return
        self._said += self._to_caller.feed(pcm)
        while len(self._said) >= self._size:
            frame, self._said = self._said[: self._size], self._said[self._size :]
            self._call.said(self, frame)

    def pressed(self, digit: str) -> None: ...

    def played(self, mark: str) -> None: ...

    def gone(self, reason: str) -> None:
        self._call.left(self)

    def hang_up(self) -> None:
        self._leg.hang_up()


class Seats:
    """Of one call. `look` tells which colleague has it now, `speak` plays a frame to the caller, and is False when that
    may not be, or something else is being said to them."""

    def __init__(self, rate: int, look: Callable[[], str | None], speak: Callable[[bytes], bool]) -> None:
        self.rate = rate
        self._look = look
        self._speak = speak
        self._seats: list[Seat] = []

    def take(self, by: str, leg: Leg) -> Seat:
        seat = Seat(by, leg, self)
        self._seats.append(seat)
        return seat

    def caller(self, pcm: bytes) -> None:
        for seat in self._seats:
            seat.caller(pcm)

    def ours(self, pcm: bytes) -> None:
        for seat in self._seats:
            seat.ours(pcm)

    def is_theirs(self, by: str) -> bool:
        return self._look() == by

    def said(self, seat: Seat, pcm: bytes) -> None:
        if not self._speak(pcm):
            return
        for other in self._seats:
            if other is not seat:
                other.ours(pcm)

    def left(self, seat: Seat) -> None:
        if seat in self._seats:
            self._seats.remove(seat)

    def close(self) -> None:
        seats, self._seats = self._seats, []
        for seat in seats:
            seat.hang_up()
