"""One call's recording.

What is in it: the caller as we heard them and the bot as it was played, speech and tones, at the times that the call's
clock gives them. Hold music is not, and nothing at all of the time between `pause` and `resume`, which stays as
silence: a conversation on hold is nobody's to record, and a place in the recording is a place in the call. Whoever must
be asked, or told, is asked before the recorder begins.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from omni.blobs.base import Blob, BlobError, Blobs
from workers.voice.recording.spool import Spool, SpoolError, SpoolFile
from workers.voice.recording.timeline import Timeline

BATCH_MS: Final = 500
"""What is written at once."""

BACK_MS: Final = 500
"""When the bot was heard is known a little later than it happens; so much is waited for it."""

MAX_BYTES: Final = 2**31
"""18 hours of telephone sound, and what every player can still read."""


class RecordingError(Exception):
    """There is no recording, though there should be; the text says why."""


@dataclass(frozen=True, slots=True)
class Recording:
    """`size` in bytes; what is kept is a WAV of 16-bit stereo."""

    blob: Blob
    duration_ms: int
    size: int


class Recorder:
    """Times are milliseconds of the call's clock; the recording begins at `starts_at`. Its owner calls `finish` or
    `abandon`."""

    def __init__(self, spool: Spool, rate: int, *, starts_at: float = 0.0) -> None:
        self._rate = rate
        self._starts_at = starts_at
        self._timeline = Timeline(rate)
        self._file = SpoolFile(spool, rate)
        self._batch = rate * BATCH_MS // 1000
        self._back = rate * BACK_MS // 1000
        self._is_paused = False

    def caller(self, pcm: bytes, at: float) -> None:
        """Sound of the caller, whose first sample was at `at`."""
        if not self._is_paused:
            self._timeline.caller(pcm, at - self._starts_at)
            self._spill()

    def bot(self, pcm: bytes, at: float) -> None:
        """Sound of ours that the caller heard from `at` on."""
        if not self._is_paused:
            self._timeline.bot(pcm, at - self._starts_at)
            self._spill()

    def pause(self) -> None:
        """Nothing is recorded from here on, and it is silent in the recording."""
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False

    def redact(self, since: float, until: float) -> None:
        """Take both parties' sound out between two times: a card number that should not have been said."""
        first = max(self._timeline.place(since - self._starts_at), 0)
        last = self._timeline.place(until - self._starts_at)
        self._timeline.silence(first, last)
        if first < (written := self._timeline.taken):
            self._file.silence(first, min(last, written))

    async def finish(self, blobs: Blobs, key: str, *, until: float | None = None) -> Recording:
        """Keep it under a key. `until` is when the call's sound ended; None: with the last sound there was. Raises
        RecordingError."""
        try:
            length = self._timeline.end
            if until is not None:
                length = max(length, self._timeline.place(until - self._starts_at))
            self._write(length)
            size = await self._file.finish(length)
            blob = await blobs.put(key, self._file.pieces(), mime="audio/wav", max_bytes=MAX_BYTES)
        except (SpoolError, BlobError, OSError) as error:
            raise RecordingError(str(error)) from error
        finally:
            self._file.close()
        return Recording(blob, round(length * 1000 / self._rate), size)

    def abandon(self) -> None:
        """Keep nothing."""
        self._file.close()

    def _spill(self) -> None:
        settled = self._timeline.end - self._back
        if settled - self._timeline.taken >= self._batch:
            self._write(settled)

    def _write(self, until: int) -> None:
        place = self._timeline.taken
        self._file.write(place, *self._timeline.take(until))


def recording_key(org: str, call: str) -> str:
    """Where a call's recording is kept: the same for the same call, and nothing about anybody can be read from it."""
    return f"recording-{hashlib.blake2b(f'{org}/{call}'.encode(), digest_size=20).hexdigest()}"
