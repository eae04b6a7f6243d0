"""OpenAI speaks: through its own package, to a server with its protocol and its faults."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import pytest

from omni.model.sound import VoiceConfig
from tests.voice.tts.openai_server import KEY, OpenAiServer, openai_server
from tests.voice.tts.tone import SECONDS_A_CHARACTER, Hummer, collected, said
from workers.voice.tts.base import TtsError, TtsRefusedError
from workers.voice.tts.fallback import FallbackSpeaker
from workers.voice.tts.openai import OpenAiSpeaker
from workers.voice.tts.silence import seconds_of

TEXT = "Good morning, dear caller."
SECONDS = len(TEXT) * SECONDS_A_CHARACTER


@asynccontextmanager
async def speaking(key: str = KEY, patience: float = 10.0) -> AsyncIterator[tuple[OpenAiSpeaker, OpenAiServer]]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(openai_server())
        speaker = OpenAiSpeaker(key, base_url=server.url, patience=patience)
        await speaker.open()
        stack.push_async_callback(speaker.close)
        yield speaker, server


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
async def test_a_text_is_spoken_at_the_rate_of_the_call(rate: int) -> None:
    async with speaking() as (speaker, _):
        pcm, _ = await collected(said(speaker, TEXT, rate))
    assert seconds_of(pcm, rate) == pytest.approx(SECONDS, abs=0.01)


async def test_the_first_sound_comes_before_the_last_is_made() -> None:
    async with speaking() as (speaker, server):
        server.fault = "stall"
        sounds = said(speaker, TEXT)
        assert (await anext(sounds)).pcm
        server.gate.set()
        await collected(sounds)


async def test_a_voice_and_its_settings_are_asked_for() -> None:
    config = VoiceConfig(voice_id="nova", model="tts-1", speed=1.25, instructions="Speak softly.")
    async with speaking() as (speaker, server):
        await collected(said(speaker, TEXT, config=config))
        await collected(said(speaker, TEXT))
    assert server.received == [
        {
            "model": "tts-1",
            "voice": "nova",
            "input": TEXT,
            "response_format": "pcm",
            "speed": 1.25,
            "instructions": "Speak softly.",
        },
        {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": TEXT, "response_format": "pcm"},
    ]


@pytest.mark.parametrize("fault", ["stall", "cut"])
async def test_another_voice_says_the_rest_of_a_text_that_breaks_off(fault: Literal["stall", "cut"]) -> None:
    async with speaking(patience=0.2 if fault == "stall" else 10.0) as (speaker, server):
        server.fault = fault
        hummer = Hummer()
        pcm, words = await collected(said(FallbackSpeaker([speaker, hummer]), TEXT))
    assert [word.text for word in words] == TEXT.split()
    assert TEXT.endswith(hummer.asked[0])
    assert hummer.asked[0] != TEXT
    assert seconds_of(pcm, 8_000) > SECONDS_A_CHARACTER * len(hummer.asked[0]) + 0.2


@pytest.mark.parametrize(("fault", "sentence"), [("html", "text/html"), ("cut", "broke off"), ("stall", "no sound")])
async def test_an_answer_that_is_no_sound_is_an_error(fault: Literal["html", "cut", "stall"], sentence: str) -> None:
    async with speaking(patience=0.2 if fault == "stall" else 10.0) as (speaker, server):
        server.fault = fault
        with pytest.raises(TtsError, match=sentence):
            await collected(said(speaker, TEXT))


async def test_half_a_sample_at_the_end_is_left_out() -> None:
    async with speaking() as (speaker, server):
        server.fault = "odd"
        pcm, _ = await collected(said(speaker, TEXT, 24_000))
    assert len(pcm) % 2 == 0


@pytest.mark.parametrize(
    ("status", "code", "is_final"),
    [
        (401, "invalid_api_key", True),
        (404, "model_not_found", True),
        (429, "insufficient_quota", True),
        (429, "rate_limit_exceeded", False),
        (500, "server_error", False),
    ],
)
async def test_a_refusal_says_whether_another_try_helps_and_not_the_key(status: int, code: str, is_final: bool) -> None:
    async with speaking() as (speaker, server):
        server.status, server.code = status, code
        with pytest.raises(TtsError, match=str(status)) as caught:
            await collected(said(speaker, TEXT))
        assert isinstance(caught.value, TtsRefusedError) == is_final
        assert KEY not in str(caught.value)


async def test_a_service_that_is_not_there_is_an_error() -> None:
    speaker = OpenAiSpeaker(KEY, base_url="http://127.0.0.1:9/v1")
    with pytest.raises(TtsError, match="cannot be reached"):
        await collected(said(speaker, TEXT))
    await speaker.close()


async def test_a_text_that_is_no_longer_wanted_leaves_the_line() -> None:
    async with speaking() as (speaker, server):
        server.fault = "stall"
        sounds = said(speaker, TEXT)
        await anext(sounds)
        await sounds.aclose()
        await server.gone.wait()


def test_choosing_voices_imports_nothing_heavy() -> None:
    code = (
        "import sys, workers.voice.tts.choose as c; c.Speakers(elevenlabs_api_key='k', openai_api_key='k');"
        "import workers.voice.tts.say, workers.voice.tts.piper;"
        "print([m for m in ('openai', 'numpy', 'av', 'piper', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
