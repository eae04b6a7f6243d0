"""Both parties' sound, for whoever keeps or overhears it: the recording, and operators who listen in. Times are
milliseconds of the call's clock."""

from __future__ import annotations

import logging

from omni.blobs.base import Blobs
from omni.model.entry import CallRecorded
from workers.voice.listening.monitor import Tap
from workers.voice.recording.recorder import Recorder, RecordingError, recording_key
from workers.voice.seat import Seats

log = logging.getLogger("omni.voice")


class Sides:
    """Of one call. `recorder` is None where nothing is kept; `seats` are colleagues who are on the line."""

    def __init__(self, rate: int, recorder: Recorder | None, tap: Tap | None, seats: Seats) -> None:
        self.seats = seats
        self._rate = rate
        self._recorder = recorder
        self._tap = tap

    def caller(self, pcm: bytes, at: float) -> None:
        if self._recorder is not None:
            self._recorder.caller(pcm, at)
        if self._tap is not None:
            self._tap.caller(pcm, at)
        self.seats.caller(pcm)

    def bot(self, pcm: bytes, at: float) -> None:
        self.colleague(pcm, at)
        self.seats.ours(pcm)

    def colleague(self, pcm: bytes, at: float) -> None:
        """What somebody on the line says, whom the others there have heard."""
        if self._recorder is not None:
            self._recorder.bot(pcm, at)
        if self._tap is not None:
            self._tap.bot(pcm, at)

    def pause(self) -> None:
        """On hold: nothing is kept."""
        if self._recorder is not None:
            self._recorder.pause()

    def resume(self) -> None:
        if self._recorder is not None:
            self._recorder.resume()

    async def finish(self, blobs: Blobs, org: str, call: str, until: float) -> CallRecorded | None:
        """The recording, if there is one; nobody stays on the line."""
        self.seats.close()
        if self._tap is not None:
            self._tap.close()
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return None
        try:
            kept = await recorder.finish(blobs, recording_key(org, call), until=until)
        except RecordingError as error:
            log.error("the call %s has no recording: %s", call, error)
            return None
        return CallRecorded(blob=kept.blob.key, duration_ms=kept.duration_ms, sample_rate=self._rate, size=kept.size)
