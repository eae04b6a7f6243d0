"""Two parties' sound on the call's clock. Where nothing was heard there is silence, so lengths and places are true.

Positions are samples since the call's sound began. They come from the stream's own timestamps: arrival times would
make everything drift that the network delays or loses.
"""

from __future__ import annotations

from collections import deque
from typing import Final

BACK_MS: Final = 300
"""Sound that overlaps with so much of what is there is put behind it: a clock was corrected. More of it is doubled."""

LEAP_MS: Final = 600_000
"""A gap that is longer is a fault of the sender's clock, and no gap."""


class Track:
    """One party's sound. A gap shorter than `slack` samples is no gap but jitter of the clock."""

    def __init__(self, rate: int, slack_ms: float, begin: int) -> None:
        self._slack = int(slack_ms * rate / 1000)
        self._back = BACK_MS * rate // 1000
        self._pieces: deque[tuple[int, bytearray]] = deque()
        self.end = begin
        """Where the next sound begins unless its time says something else."""

    def put(self, pcm: bytes, start: int) -> None:
        gap = start - self.end
        if gap >= self._slack:
            self.end = start
        elif gap < -self._back:
            pcm = pcm[-gap * 2 :]
        if not pcm:
            return
        if self._pieces and self._pieces[-1][0] + len(self._pieces[-1][1]) // 2 == self.end:
            self._pieces[-1][1].extend(pcm)
        else:
            self._pieces.append((self.end, bytearray(pcm)))
        self.end += len(pcm) // 2

    def take(self, first: int, last: int) -> bytes:
        """The sound from `first` up to `last`, which is forgotten; empty when there was none. Sound of that time that
        comes later is put behind it."""
        taken = bytearray()
        while self._pieces and self._pieces[0][0] < last:
            start, pcm = self._pieces.popleft()
            over = start + len(pcm) // 2 - last
            if over > 0:
                self._pieces.appendleft((last, pcm[-over * 2 :]))
                del pcm[-over * 2 :]
            taken += bytes((start - first) * 2 - len(taken))
            taken += pcm
        self.end = max(self.end, last)
        return bytes(taken)

    def silence(self, first: int, last: int) -> None:
        """Take the sound out of what has not been taken yet."""
        for start, pcm in self._pieces:
            begin, end = max(first - start, 0) * 2, min((last - start) * 2, len(pcm))
            if begin < end:
                pcm[begin:end] = bytes(end - begin)


class Timeline:
    """The caller and the bot, from the sample `begin` on. Times are milliseconds of the call's clock."""

    CALLER_SLACK_MS: Final = 19.0
    """Below a frame: whatever is lost is a whole number of those."""

    BOT_SLACK_MS: Final = 60.0
    """When the bot was heard is known less exactly, and corrected now and then (`playout.far`)."""

    def __init__(self, rate: int, begin: int = 0) -> None:
        self._rate = rate
        self._leap = LEAP_MS * rate // 1000
        self._caller = Track(rate, self.CALLER_SLACK_MS, begin)
        self._bot = Track(rate, self.BOT_SLACK_MS, begin)
        self.end = begin
        """How far there is sound of anybody, in samples."""
        self.taken = begin

    def caller(self, pcm: bytes, at: float) -> None:
        self._put(self._caller, pcm, at)

    def bot(self, pcm: bytes, at: float) -> None:
        self._put(self._bot, pcm, at)

    def take(self, until: int) -> tuple[bytes, bytes]:
        """What there is up to a place, the caller's and the bot's; the rest of it is silence."""
        first, self.taken = self.taken, until
        return self._caller.take(first, until), self._bot.take(first, until)

    def silence(self, first: int, last: int) -> None:
        self._caller.silence(first, last)
        self._bot.silence(first, last)

    def place(self, at: float) -> int:
        return round(at * self._rate / 1000)

    def _put(self, track: Track, pcm: bytes, at: float) -> None:
        start = self.place(at)
        if start > self.end + self._leap:
            start = self.end
        if start < 0:  # from before the clock began
            pcm, start = pcm[-start * 2 :], 0
        track.put(pcm, start)
        self.end = max(self.end, track.end)
