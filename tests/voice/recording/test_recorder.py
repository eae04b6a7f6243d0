"""A place in the recording is a place in the call, and what should not be there is not."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from omni.audio.pcm import separate
from omni.blobs.folder import FolderBlobs
from workers.voice.recording.recorder import Recorder, RecordingError, recording_key
from workers.voice.recording.spool import Spool, SpoolError

RATE = 8000


def tone(ms: float, level: int) -> bytes:
    """Sound that is told from any other by its level."""
    return np.full(int(ms * RATE / 1000), level, "<i2").tobytes()


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = Spool(tmp_path / "spool")
    await spool.open()
    yield spool
    await spool.close()


@pytest.fixture
async def blobs(tmp_path: Path) -> FolderBlobs:
    blobs = FolderBlobs(tmp_path / "blobs")
    await blobs.open()
    return blobs


async def written(spool: Spool, at: float) -> None:
    """A call takes its time: every second of it, the disk has kept up."""
    if at % 1000 in (0, 20):
        await spool.run(lambda: None)


async def heard(recorder: Recorder, blobs: FolderBlobs, *, until: float | None = None) -> tuple[bytes, bytes]:
    """The finished recording's left and right."""
    recording = await recorder.finish(blobs, "rec", until=until)
    file = b"".join([piece async for piece in blobs.read(recording.blob.key)])
    assert recording.size == recording.blob.size == len(file)
    assert recording.blob.mime == "audio/wav"
    with wave.open(io.BytesIO(file)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (2, 2, RATE)
        assert recording.duration_ms == round(sound.getnframes() * 1000 / RATE)
        return separate(sound.readframes(sound.getnframes()))


async def test_the_caller_is_left_and_the_bot_right_where_they_were_heard(spool, blobs):
    recorder = Recorder(spool, RATE)
    for at in range(0, 4000, 20):
        recorder.caller(tone(20, 100), at)
        if 1000 <= at < 3000:
            recorder.bot(tone(20, 200), at)
    left, right = await heard(recorder, blobs)
    assert left == tone(4000, 100)
    assert right == bytes(16_000) + tone(2000, 200) + bytes(16_000)


async def test_lost_frames_are_silence_and_nothing_drifts(spool, blobs):
    """A minute with one frame in ten lost, and half a minute at once."""
    recorder = Recorder(spool, RATE)
    places = [at for at in range(0, 60_000, 20) if at % 200 and not 20_000 < at < 50_000]
    for at in places:
        recorder.caller(at.to_bytes(2, "little") * 160, at)
        await written(spool, at)
    left, _ = await heard(recorder, blobs)
    assert abs(len(left) / RATE / 2 - 60.0) <= 0.02
    for at in range(0, 60_000, 20):
        expected = at.to_bytes(2, "little") * 160 if at in places else bytes(320)
        assert left[at * 16 : at * 16 + 320] == expected


async def test_a_timestamp_that_is_nonsense_does_not_make_a_recording_of_days(spool, blobs):
    recorder = Recorder(spool, RATE)
    for at in range(0, 1000, 20):
        recorder.caller(tone(20, 100), at if at != 400 else 4_294_967_295)
    left, _ = await heard(recorder, blobs)
    assert left == tone(1000, 100)


async def test_a_bot_whose_clock_is_corrected_loses_no_sound(spool, blobs):
    recorder = Recorder(spool, RATE)
    jitter = [0, 35, -50, 12, -200, 59, 0]
    for count in range(200):
        recorder.caller(tone(20, 100), 1000 + count * 20)
        recorder.bot(tone(20, count + 1), 1000 + count * 20 + jitter[count % len(jitter)])
    _, right = await heard(recorder, blobs)
    said = b"".join(tone(20, count + 1) for count in range(200))
    assert right.strip(b"\0") == said.strip(b"\0")
    assert right[:16_000] == bytes(16_000)
    assert abs(len(right) / RATE / 2 - 5.0) < 0.1


async def test_a_bot_that_is_heard_late_is_still_in_its_place(spool, blobs):
    recorder = Recorder(spool, RATE)
    for at in range(0, 3000, 20):
        recorder.caller(tone(20, 100), at)
        if at >= 1300:
            recorder.bot(tone(20, 200), at - 300)
    _, right = await heard(recorder, blobs)
    assert right == bytes(16_000) + tone(1700, 200) + bytes(4800)


async def test_a_bot_that_is_heard_after_its_place_was_written_is_put_behind_it(spool, blobs):
    recorder = Recorder(spool, RATE)
    for at in range(0, 3000, 20):
        recorder.caller(tone(20, 100), at)
    for at in range(2200, 3000, 20):
        recorder.bot(tone(20, 200), at)
    _, right = await heard(recorder, blobs)
    assert right.count(tone(20, 200)) == 40
    assert right[: 2200 * 16] == bytes(2200 * 16)


async def test_sound_that_comes_twice_is_there_once(spool, blobs):
    recorder = Recorder(spool, RATE)
    for at in [*range(0, 1000, 20), *range(400, 600, 20), *range(1000, 2000, 20)]:
        recorder.caller(tone(20, 100 + at // 20), at)
    left, _ = await heard(recorder, blobs)
    assert left == b"".join(tone(20, 100 + at // 20) for at in range(0, 2000, 20))


async def test_nothing_of_a_pause_is_recorded_and_the_time_passes(spool, blobs):
    recorder = Recorder(spool, RATE)
    for at in range(0, 3000, 20):
        if at == 1000:
            recorder.pause()
        if at == 2000:
            recorder.resume()
        recorder.caller(tone(20, 100), at)
        recorder.bot(tone(20, 200), at)
    left, right = await heard(recorder, blobs)
    assert left == tone(1000, 100) + bytes(16_000) + tone(1000, 100)
    assert right == tone(1000, 200) + bytes(16_000) + tone(1000, 200)


@pytest.mark.parametrize(("since", "until"), [(200, 400), (2500, 2900), (900, 2700), (2990, 9000), (-50, 40)])
async def test_what_is_redacted_is_gone_whether_it_was_written_or_not(spool, blobs, since, until):
    recorder = Recorder(spool, RATE)
    for at in range(0, 3000, 20):
        recorder.caller(tone(20, 100), at)
        recorder.bot(tone(20, 200), at)
    recorder.redact(since, until)
    for sound, level in zip(await heard(recorder, blobs), (100, 200), strict=True):
        first, last = max(since, 0) * 16, min(until, 3000) * 16
        assert sound == tone(max(since, 0), level) + bytes(last - first) + tone(3000 - min(until, 3000), level)


async def test_a_recording_begins_where_it_was_started_and_ends_with_the_call(spool, blobs):
    recorder = Recorder(spool, RATE, starts_at=490)
    for at in range(400, 1000, 20):
        recorder.caller(tone(20, 100), at)
    left, right = await heard(recorder, blobs, until=2490)
    assert left == tone(510, 100) + bytes(1490 * 16)
    assert right == bytes(2000 * 16)


async def test_a_call_in_which_nobody_said_anything_has_a_recording_too(spool, blobs):
    assert await heard(Recorder(spool, RATE), blobs, until=100) == (bytes(1600), bytes(1600))


async def test_a_long_call_is_on_disk_and_not_in_memory(spool, blobs):
    recorder = Recorder(spool, RATE)
    for at in range(0, 600_000, 20):
        recorder.caller(tone(20, 100), at)
        await written(spool, at)
        if at % 5000 == 0:
            waiting = sum(len(pcm) for _, pcm in recorder._timeline._caller._pieces)
            assert waiting <= RATE * 2 * 1.1
    left, _ = await heard(recorder, blobs)
    assert left == tone(600_000, 100)


async def test_an_abandoned_recording_leaves_no_file(spool, blobs, tmp_path):
    recorder = Recorder(spool, RATE)
    for at in range(0, 3000, 20):
        recorder.caller(tone(20, 100), at)
    recorder.abandon()
    await spool.run(lambda: None)
    assert list((tmp_path / "spool").iterdir()) == []


async def test_a_disk_that_stands_still_costs_the_recording_and_never_the_call(spool, blobs):
    stuck = threading.Event()
    spool.submit(stuck.wait)
    recorder = Recorder(spool, RATE)
    for at in range(0, 60_000, 20):
        recorder.caller(tone(20, 100), at)
    waiting = len(recorder._file._waiting)
    stuck.set()
    assert waiting <= 20
    with pytest.raises(RecordingError, match="20 writes behind"):
        await recorder.finish(blobs, "rec")
    assert await blobs.get("rec") is None


async def test_a_disk_that_is_full_is_said_so(spool, blobs):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    spool.file = lambda: full.open("r+b", buffering=0)
    recorder = Recorder(spool, RATE)
    for at in range(0, 2000, 20):
        recorder.caller(tone(20, 100), at)
    with pytest.raises(RecordingError, match="No space left"):
        await recorder.finish(blobs, "rec")


async def test_a_folder_that_cannot_be_written_is_told_when_it_is_opened(tmp_path):
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file" / "below")
    with pytest.raises(SpoolError, match="recordings cannot be written to"):
        await spool.open()
    await spool.close()


KILLED = """
import asyncio, sys
from workers.voice.recording.recorder import Recorder
from workers.voice.recording.spool import Spool

async def main():
    spool = Spool(sys.argv[1])
    recorder = Recorder(spool, 8000)
    for at in range(0, 5000, 20):
        recorder.caller(b"\\1\\2" * 160, at)
    await spool.run(lambda: None)
    print("recording", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_process_that_is_killed_leaves_nothing_behind(tmp_path):
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "recording\n"
        os.kill(process.pid, signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []


def test_the_key_of_a_recording_tells_nothing_and_is_the_same_for_the_same_call():
    assert recording_key("org", "call-1") == recording_key("org", "call-1")
    assert recording_key("org", "call-1") != recording_key("org", "call-2")
    assert "call" not in recording_key("org", "call-1")
