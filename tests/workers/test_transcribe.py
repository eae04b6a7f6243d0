"""The transcriber's thread: one model, one recording at a time, a bounded line, and an end."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import threading
from types import SimpleNamespace

import pytest

from workers.transcribe import TranscriberError, WhisperTranscriber, load_transcriber


class Model:
    """Has the one method of faster-whisper's model that we use, with its lazy segments."""

    def __init__(self):
        self.loaded = 0
        self.threads = set()
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()

    def load(self, name):
        self.loaded += 1
        return self

    def transcribe(self, audio, language=None, **_):
        self.threads.add(threading.current_thread().name)
        content = audio.read()
        if content == b"noise":
            raise ValueError("not audio")

        def segments():
            self.began.set()
            for word in content.decode().split():
                self.gate.wait(10)
                yield SimpleNamespace(text=f" {word}")

        return segments(), None


@pytest.fixture
async def model():
    return Model()


@pytest.fixture
async def transcriber(model):
    transcriber = WhisperTranscriber("tiny", waiting=2, load=model.load)
    yield transcriber
    model.gate.set()
    await transcriber.close()


async def test_words_come_from_one_model_in_a_thread_of_its_own(model, transcriber):
    said = await asyncio.gather(transcriber.transcribe(b"hello you", "en"), transcriber.transcribe(b"again", None))
    assert said == ["hello you", "again"]
    assert model.loaded == 1
    assert model.threads == {"transcriber"}


async def test_noise_is_an_error_and_the_next_is_heard(model, transcriber):
    with pytest.raises(TranscriberError, match="not audio"):
        await transcriber.transcribe(b"noise", "en")
    assert await transcriber.transcribe(b"words", "en") == "words"


async def test_the_line_is_bounded(model, transcriber):
    model.gate.clear()
    first = asyncio.create_task(transcriber.transcribe(b"one", "en"))
    await asyncio.to_thread(model.began.wait, 10)
    waiting = [asyncio.create_task(transcriber.transcribe(b"two", "en")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TranscriberError, match="wait already"):
        await transcriber.transcribe(b"three", "en")
    model.gate.set()
    assert await asyncio.gather(first, *waiting) == ["one", "two", "two"]


async def test_whoever_stops_waiting_frees_the_thread(model, transcriber):
    model.gate.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await transcriber.transcribe(b"very long", "en")
    model.gate.set()
    assert await transcriber.transcribe(b"next", "en") == "next"


async def test_a_closed_transcriber_says_so(transcriber):
    await transcriber.transcribe(b"one", "en")
    await transcriber.close()
    with pytest.raises(TranscriberError, match="closed"):
        await transcriber.transcribe(b"two", "en")


def test_without_a_model_or_the_extra_there_is_none_and_a_line_in_the_log(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    assert load_transcriber("") is None
    assert "OMNI_STT_MODEL" in caplog.text
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert load_transcriber("base") is None
    assert "extra `voice`" in caplog.text
