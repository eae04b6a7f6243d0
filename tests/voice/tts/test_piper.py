"""The voice that runs here: in a process that may die, hang or talk nonsense, and with Piper itself."""

from __future__ import annotations

import asyncio
import io
import json
import statistics
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from omni.model.sound import VoiceConfig
from tests.voice.tts.tone import SECONDS_A_CHARACTER, collected, hum, said
from workers.voice.tts.base import TtsError, WordTime
from workers.voice.tts.piper import PiperSpeaker, find_voices
from workers.voice.tts.piper_process import Sentence, Voices, serve
from workers.voice.tts.say import Utterance, Voice
from workers.voice.tts.silence import seconds_of, sounding
from workers.voice.tts.words import estimated

NAMES = ("en_US-joe", "es_MX-ana", "es_ES-luz")


@asynccontextmanager
async def humming(threads: int = 1, patience: float = 30.0, **more: Any) -> AsyncIterator[PiperSpeaker]:
    command = (sys.executable, "-m", "tests.voice.tts.hum_process", str(threads))
    voices = {name: Path(name) for name in NAMES}
    speaker = PiperSpeaker(voices, threads=threads, patience=patience, **{"command": command, **more})
    try:
        yield speaker
    finally:
        await speaker.close()


async def test_a_text_comes_sentence_by_sentence_at_the_rate_of_the_call() -> None:
    async with humming() as speaker:
        await speaker.open()
        pieces = [sound async for sound in said(speaker, "one two", 16_000)]
    assert [piece.pcm for piece in pieces] == [hum(3 * SECONDS_A_CHARACTER, 16_000)] * 2
    assert pieces[0].words == (WordTime("one:en_US-joe", 0.0, 3 * SECONDS_A_CHARACTER),)


async def test_many_texts_at_once_each_get_their_own_sound() -> None:
    async with humming(threads=2) as speaker:
        texts = ["a" * n for n in range(1, 20)]
        sounds = await asyncio.gather(*(collected(said(speaker, text)) for text in texts))
    assert [pcm for pcm, _ in sounds] == [hum(len(text) * SECONDS_A_CHARACTER, 8_000) for text in texts]


@pytest.mark.parametrize(
    ("config", "voice"),
    [
        (VoiceConfig(), "en_US-joe"),
        (VoiceConfig(language="es-ES"), "es_ES-luz"),
        (VoiceConfig(language="es"), "es_MX-ana"),
        (VoiceConfig(language="fr"), "en_US-joe"),
        (VoiceConfig(voice_id="es_ES-luz", language="en"), "es_ES-luz"),
        (VoiceConfig(voice_id="21m00Tcm4TlvDq8ikWAM"), "en_US-joe"),
    ],
)
async def test_the_voice_is_the_one_that_is_named_or_one_for_the_language(config: VoiceConfig, voice: str) -> None:
    async with humming() as speaker:
        _, words = await collected(said(speaker, "hi", config=config))
    assert words[0].text == f"hi:{voice}"


async def test_a_text_that_is_no_longer_wanted_is_made_no_further() -> None:
    async with humming() as speaker:
        long = " ".join(["word"] * 2_000)
        async with aclosing(said(speaker, long)) as sounds:
            await anext(sounds)
        not_begun = [asyncio.create_task(collected(said(speaker, long))) for _ in range(3)]
        await asyncio.sleep(0)
        for task in not_begun:
            task.cancel()
        await asyncio.gather(*not_begun, return_exceptions=True)
        _, words = await collected(said(speaker, "made?"))
    assert int(words[0].text) < 2_000


@pytest.mark.parametrize("text", ["die", "garbage"])
async def test_a_process_that_dies_is_replaced(text: str) -> None:
    async with humming() as speaker:
        await collected(said(speaker, "hello"))
        with pytest.raises(TtsError, match="its process"):
            await collected(said(speaker, text))
        assert (await collected(said(speaker, "hello")))[0]


async def test_a_process_that_hangs_is_replaced() -> None:
    async with humming(patience=0.3) as speaker:
        with pytest.raises(TtsError, match="did not answer"):
            await collected(said(speaker, "hang"))
        speaker._patience = 30.0
        assert (await collected(said(speaker, "hello")))[0]


async def test_a_text_that_cannot_be_said_leaves_the_process_alone() -> None:
    async with humming() as speaker:
        with pytest.raises(TtsError, match="ValueError: a text that Piper does not like"):
            await collected(said(speaker, "raise"))
        _, words = await collected(said(speaker, "made?"))
        assert words[0].text == "0"


async def test_a_process_that_does_not_start_says_so() -> None:
    command = (sys.executable, "-m", "tests.voice.tts.hum_process", "broken")
    async with humming(command=command) as speaker:
        with pytest.raises(TtsError, match="cannot start: its process ended"):
            await speaker.open()
        with pytest.raises(TtsError, match="cannot start"):
            await collected(said(speaker, "hello"))


async def test_no_more_texts_wait_than_can_be_said() -> None:
    async with humming(waiting=2) as speaker:
        await speaker.open()
        sounds = [said(speaker, "word " * 500) for _ in range(3)]
        await asyncio.gather(*(anext(each) for each in sounds))
        with pytest.raises(TtsError, match="too many"):
            await collected(said(speaker, "hello"))
        for each in sounds:
            await each.aclose()
        assert (await collected(said(speaker, "hello")))[0]


async def test_a_closed_voice_says_nothing() -> None:
    async with humming() as speaker:
        await speaker.open()
    with pytest.raises(TtsError, match="closed"):
        await collected(said(speaker, "hello"))


def test_a_short_text_overtakes_a_long_one_that_came_a_moment_earlier() -> None:
    done: list[int] = []
    is_read, is_over = threading.Event(), threading.Event()

    def say(request: dict[str, Any]) -> Iterator[Sentence]:
        is_read.wait()
        done.append(request["id"])
        if len(done) == 3:
            is_over.set()
        yield b"", []

    texts = {1: "first", 2: "a long sentence that nobody waits for yet", 3: "Sure,"}
    lines = b"".join(json.dumps({"id": number, "text": text}).encode() + b"\n" for number, text in texts.items())
    serve(say, 1, io.BytesIO(lines), io.BytesIO())
    is_read.set()
    is_over.wait()
    assert done.index(3) < done.index(2)


def test_voices_are_found_in_a_folder_or_as_one_file(tmp_path: Path) -> None:
    for name in ("es_ES-luz", "en_US-joe"):
        (tmp_path / f"{name}.onnx").touch()
        (tmp_path / f"{name}.onnx.json").touch()
    (tmp_path / "without_settings.onnx").touch()
    assert list(find_voices(str(tmp_path))) == ["en_US-joe", "es_ES-luz"]
    assert list(find_voices(str(tmp_path / "es_ES-luz.onnx"))) == ["es_ES-luz"]
    assert find_voices(str(tmp_path / "nothing")) == {}
    with pytest.raises(TtsError, match="local-speech"):
        PiperSpeaker({})


# --- Piper itself -----------------------------------------------------------------------------------------------------

SENTENCES = (
    "Okay, one moment please.",
    "I can help you with that today, but I need your order number first.",
    "Your total is $3.50, and 25 of the items ship on Monday.",
    "Thanks for calling; have a wonderful day!",
    "No problem at all.",
)


@pytest.fixture(scope="session")
def piper() -> Voices:
    pytest.importorskip("piper")
    voices = find_voices(None)
    if not voices:
        pytest.skip("there is no Piper voice here")
    return Voices({name: str(path) for name, path in voices.items()})


def spoken(piper: Voices, text: str, speed: float = 1.0) -> tuple[bytes, list[WordTime]]:
    sentences = list(piper.say({"text": text, "voice": "", "speed": speed, "rate": 8_000}))
    return b"".join(pcm for pcm, _ in sentences), [word for _, words in sentences for word in words]


@pytest.mark.slow
def test_piper_tells_when_each_word_is_heard(piper: Voices) -> None:
    text = "Your total is $3.50 and 25 of the items ship on Monday. Thanks — bye!"
    pcm, words = spoken(piper, text)
    assert [word.text for word in words] == text.split()
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert edges[-1] <= seconds_of(pcm, 8_000)
    pause = next(word for word in words if word.text == "Thanks").start
    assert words[10].end < pause  # „Monday.“ ends its sentence
    heard = sounding(pcm, 8_000)
    assert abs(words[0].start - heard.spans[0][0]) < 0.15


@pytest.mark.slow
def test_estimated_times_are_near_those_that_piper_tells(piper: Voices) -> None:
    errors = []
    for text in SENTENCES:
        pcm, real = spoken(piper, text)
        guessed = estimated(text, seconds_of(pcm, 8_000), sounding(pcm, 8_000))
        errors += [abs(guess.start - word.start) for guess, word in zip(guessed, real, strict=True)]
    assert statistics.median(errors) < 0.15
    assert sorted(errors)[int(len(errors) * 0.95)] < 0.8  # it never says a sentence twice in the same way


@pytest.mark.slow
def test_piper_speaks_faster_when_it_is_asked_to(piper: Voices) -> None:
    slow, fast = (spoken(piper, SENTENCES[1], speed)[0] for speed in (1.0, 2.0))
    assert len(slow) / len(fast) > 1.2  # it rounds the length of each phoneme up: twice as fast is 1.5 times as fast


@pytest.mark.slow
async def test_a_call_speaks_with_piper_in_its_own_process(piper: Voices) -> None:
    speaker = PiperSpeaker(find_voices(None), threads=1)
    await speaker.open()
    pcm, words, ends = [], [], []
    utterance = Utterance(
        Voice(speaker, VoiceConfig(), 8_000),
        lambda sound: (pcm.append(sound.pcm), words.extend(sound.words))[0],
        ends.append,
    )
    text = "Sure, one moment please. **I** look for it now: [[it]] is number 3.50!"
    for token in text.split(" "):
        utterance.add(token + " ")
    utterance.end()
    await utterance.closed()
    await speaker.close()
    assert ends == [None]
    assert [word.text for word in words] == text.replace("*", "").split()
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert 2.0 < seconds_of(b"".join(pcm), 8_000) < 15.0
