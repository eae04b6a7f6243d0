"""The transcriber's process: one model, one recording at a time, a bounded line, and an end.

The process is the real one, with a model that repeats what it is given in the place of Whisper.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import signal
import sys

import pytest

from omni.audio.wav import wav_of
from tests.voice.stt.speech import RATE, SENTENCES, said
from workers.transcribe import TranscriberError, WhisperTranscriber, load_transcriber
from workers.voice.stt import packaged

PARROT = """
import os, sys, time
from types import SimpleNamespace
from workers.whisper import serve

class Parrot:
    heard = 0
    def transcribe(self, audio, language=None, **_):
        content = audio.read()
        if content == b"noise":
            raise ValueError("not audio")
        if content == b"endless":
            time.sleep(1000)
        if content == b"who":
            content = str(os.getpid()).encode()
        return [SimpleNamespace(text=f" {word}") for word in content.decode().split()], None

serve(Parrot, sys.stdin.buffer, sys.stdout.buffer)
"""


@pytest.fixture
async def transcriber(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    transcriber = WhisperTranscriber("parrot", waiting=2, command=(sys.executable, "-c", PARROT))
    yield transcriber
    await transcriber.close()


async def test_words_come_from_one_process(transcriber):
    said = await asyncio.gather(transcriber.transcribe(b"hello you", "en"), transcriber.transcribe(b"who", None))
    assert said[0] == "hello you"
    assert await transcriber.transcribe(b"who", None) == said[1]
    assert int(said[1]) != os.getpid()


async def test_a_long_recording_fits(transcriber):
    words = "word " * 100_000
    assert await transcriber.transcribe(words.encode(), "en") == words.strip()


async def test_noise_is_an_error_and_the_next_is_heard(transcriber):
    with pytest.raises(TranscriberError, match="not audio"):
        await transcriber.transcribe(b"noise", "en")
    assert await transcriber.transcribe(b"words", "en") == "words"


async def test_the_line_is_bounded(transcriber):
    waiting = [asyncio.create_task(transcriber.transcribe(b"endless", "en")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TranscriberError, match="wait already"):
        await transcriber.transcribe(b"one too many", "en")
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await transcriber.transcribe(b"next", "en") == "next"


async def test_whoever_stops_waiting_ends_the_work(transcriber):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await transcriber.transcribe(b"endless", "en")
    assert await transcriber.transcribe(b"next", "en") == "next"


async def test_a_process_that_dies_is_replaced(transcriber):
    first = int(await transcriber.transcribe(b"who", "en"))
    hearing = asyncio.create_task(transcriber.transcribe(b"endless", "en"))
    await asyncio.sleep(0)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(TranscriberError):
        await hearing
    assert int(await transcriber.transcribe(b"who", "en")) != first


async def test_a_closed_transcriber_says_so(transcriber):
    await transcriber.transcribe(b"one", "en")
    await transcriber.close()
    with pytest.raises(TranscriberError, match="closed"):
        await transcriber.transcribe(b"two", "en")


def test_without_a_model_or_the_extra_there_is_none_and_a_line_in_the_log(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert load_transcriber("") is None
    assert "OMNI_STT_MODEL" in caplog.text
    assert load_transcriber("base") is None
    assert "extra `local-speech`" in caplog.text


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(not packaged.is_installed(), reason="the extra `local-speech` is not installed")
async def test_without_a_model_in_the_settings_the_packaged_one_hears(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    transcriber = load_transcriber(None)
    assert transcriber is not None
    pcm = await asyncio.to_thread(said, SENTENCES[2])
    words = await transcriber.transcribe(wav_of(pcm, RATE), "en")
    await transcriber.close()
    assert "opening hours" in words
