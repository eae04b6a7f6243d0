"""The far end's buffer, as far as we can know it: what we sent and the caller has not heard yet.

The far end plays at the pace of real time whatever ours is (telephony-grade media streams buffer all they are given),
so a clock tells when each frame is heard. Marks come back late by the way there and back, which is also how much later
than our sending a caller's reaction reaches us; their delay corrects the clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from channels.audio import FRAME_MS

MAX_LAG_MS: Final = 1000.0
"""A mark that is later than this tells of a broken line, not of a slow one."""

UNCONFIRMED_MS: Final = 200.0
"""How far past a mark that has not come back we believe the clock."""

LOST_MS: Final = 2000.0
"""A mark that has not come back by then never will."""

LEARNING: Final = 0.25
"""What a mark's delay counts against those before it."""

Owner = TypeVar("Owner")


class Buffer(Protocol):
    """What the far end is told besides sound (`channels.audio.Leg`)."""

    def clear(self) -> None: ...
    def mark(self, name: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Sent(Generic[Owner]):
    """A frame on its way. `due` is when it will have been played, in ms, if the line took no time; `end` is its end's
    position in whatever `owner` plays."""

    due: float
    owner: Owner
    end: int
    pcm: bytes


class FarEnd(Generic[Owner]):
    """All times are milliseconds of one clock."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._frames: deque[Sent[Owner]] = deque()
        self._marks: dict[str, float] = {}  # what we asked for, in order, and when it is due
        self._named = 0
        self._until = 0.0
        self._lag: float | None = None  # None: no mark came back yet

    def __bool__(self) -> bool:
        """True while something is on its way."""
        return bool(self._frames)

    def lead(self, now: float) -> float:
        """How much sound the far end has waiting."""
        return self._until - now

    def owners(self) -> Iterator[Owner]:
        return (sent.owner for sent in self._frames)

    def send(self, owner: Owner, end: int, pcm: bytes, now: float) -> None:
        self._until = max(self._until, now) + FRAME_MS
        self._frames.append(Sent(self._until, owner, end, pcm))

    def mark(self) -> None:
        """Ask to be told when everything so far was played."""
        self._named += 1
        name = f"m{self._named}"
        self._marks[name] = self._until
        self._buffer.mark(name)

    def confirm(self, name: str, now: float) -> None:
        """A mark has come back. One from before a `clear` says nothing: its sound was dropped."""
        due = self._marks.get(name)
        if due is None:
            return
        while self._marks:  # whatever was asked for before it is just as true
            first = next(iter(self._marks))
            del self._marks[first]
            if first == name:
                break
        late = min(now - due, MAX_LAG_MS)
        if self._lag is None or late < self._lag:
            self._lag = late  # it was heard now, so nothing before it can be heard later
        else:
            self._lag += (late - self._lag) * LEARNING

    def heard(self, now: float) -> Iterator[Sent[Owner]]:
        """What has reached the caller since we last looked."""
        if not self._frames:
            return
        ear = self._ear(now)
        while self._frames and self._frames[0].due <= ear:
            yield self._frames.popleft()

    def heard_at(self, sent: Sent[Owner]) -> float:
        """When the first sample of a frame was heard, as our clock would have us know it."""
        return sent.due - FRAME_MS + (self._lag or 0.0)

    def clear(self, now: float) -> None:
        """Drop what is on its way. Look at what was `heard` before."""
        self._buffer.clear()
        self._frames.clear()
        self._marks.clear()
        self._until = now

    def _ear(self, now: float) -> float:
        ear = now - (self._lag or 0.0)
        while self._marks:
            name, due = next(iter(self._marks.items()))
            if ear <= due + LOST_MS:
                # A line that has never sent a mark back may have none: the clock is all we have.
                return ear if self._lag is None else min(ear, due + UNCONFIRMED_MS)
            del self._marks[name]
        return ear
