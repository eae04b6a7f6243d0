"""ElevenLabs speaks: with the real protocol on a real socket, and with everything that goes wrong there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from omni.model.sound import VoiceConfig
from tests.voice.tts.elevenlabs_server import KEY, ElevenLabsServer, Fault, elevenlabs_server
from tests.voice.tts.tone import SECONDS_A_CHARACTER, Hummer, collected, hum, said, word_times
from workers.voice.tts.base import TtsError, TtsRefusedError
from workers.voice.tts.choose import Speakers
from workers.voice.tts.elevenlabs import ElevenLabsSpeaker
from workers.voice.tts.fallback import FallbackSpeaker
from workers.voice.tts.reading import Reading
from workers.voice.tts.silence import seconds_of

TEXT = "Good morning, dear caller from far away."


@asynccontextmanager
async def speaking(key: str = KEY, patience: float = 10.0) -> AsyncIterator[tuple[ElevenLabsSpeaker, ElevenLabsServer]]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(elevenlabs_server())
        speaker = ElevenLabsSpeaker(key, url=server.url, patience=patience)
        await speaker.open()
        stack.push_async_callback(speaker.close)
        yield speaker, server


async def test_a_text_is_spoken_with_the_times_of_its_words() -> None:
    async with speaking() as (speaker, server):
        pcm, words = await collected(said(speaker, TEXT))
    assert pcm.startswith(hum(7 * SECONDS_A_CHARACTER, 8_000))
    assert seconds_of(pcm, 8_000) == pytest.approx(len(TEXT + " ") * SECONDS_A_CHARACTER, abs=0.01)
    assert [word.text for word in words] == TEXT.split()
    for word, expected in zip(words, word_times(TEXT), strict=True):
        assert word.start == pytest.approx(expected.start, abs=0.01)
        assert word.end == pytest.approx(expected.end, abs=0.01)
    context = server.received[0]["context_id"]
    assert server.received == [
        {"text": " ", "context_id": context},
        {"text": TEXT + " ", "context_id": context, "flush": True},
        {"context_id": context, "close_context": True},
    ]


async def test_the_key_travels_in_a_header_and_never_in_the_address() -> None:
    async with speaking() as (speaker, server):
        await collected(said(speaker, TEXT))
    assert KEY not in str(server.handshakes[0].url)
    assert server.handshakes[0].headers["xi-api-key"] == KEY


async def test_the_connection_stays_warm_between_texts_and_is_shared() -> None:
    async with speaking() as (speaker, server):
        await speaker.connect(VoiceConfig(), 8_000)
        assert len(server.handshakes) == 1
        await asyncio.gather(*(collected(said(speaker, f"{TEXT} {n}")) for n in range(4)))
        await collected(said(speaker, TEXT))
        assert len(server.handshakes) == 1


async def test_a_call_that_begins_has_its_connection_before_its_first_word(caplog: pytest.LogCaptureFixture) -> None:
    async with elevenlabs_server() as server:
        speakers = Speakers(elevenlabs_api_key=KEY, elevenlabs_url=server.url)
        config = VoiceConfig(provider="elevenlabs/rachel")
        await speakers.connect(config, 8_000)
        assert [request.match_info["voice"] for request in server.handshakes] == ["21m00Tcm4TlvDq8ikWAM"]
        speaker, chosen = speakers.choose(config)
        _, words = await collected(said(speaker, TEXT, config=chosen))
        assert [word.text for word in words] == TEXT.split()
        assert len(server.handshakes) == 1
        server.status = 503
        await speakers.connect(VoiceConfig(provider="elevenlabs/george"), 8_000)
        assert "503" in caplog.text
        await speakers.close()


async def test_more_than_five_texts_at_a_time_take_another_connection() -> None:
    async with speaking() as (speaker, server):
        server.fault = "stall"
        texts = [asyncio.create_task(collected(said(speaker, TEXT))) for _ in range(7)]
        while len(server.handshakes) < 2:
            server.news.clear()
            await server.news.wait()
        server.gate.set()
        for _, words in await asyncio.gather(*texts):
            assert [word.text for word in words] == TEXT.split()
        assert len(server.handshakes) == 2


@pytest.mark.parametrize(
    ("config", "rate", "query"),
    [
        (VoiceConfig(language="en-US"), 8_000, {"model_id": "eleven_flash_v2_5", "output_format": "pcm_8000"}),
        (VoiceConfig(language="es"), 16_000, {"model_id": "eleven_multilingual_v2", "output_format": "pcm_16000"}),
        (VoiceConfig(language="es", flash=True), 8_000, {"model_id": "eleven_flash_v2_5", "language_code": "es"}),
        (VoiceConfig(language="es", model="eleven_x"), 48_000, {"model_id": "eleven_x", "output_format": "pcm_44100"}),
    ],
)
async def test_the_model_follows_the_language(config: VoiceConfig, rate: int, query: dict[str, str]) -> None:
    async with speaking() as (speaker, server):
        pcm, _ = await collected(said(speaker, TEXT, rate, config))
    asked = server.handshakes[0].query
    assert query.items() <= dict(asked).items()
    assert ("language_code" in asked) == asked["model_id"].endswith("v2_5")
    assert seconds_of(pcm, rate) == pytest.approx(len(TEXT + " ") * SECONDS_A_CHARACTER, abs=0.02)


async def test_a_voice_and_its_settings_are_asked_for() -> None:
    config = VoiceConfig(voice_id="v1", speed=2.0, stability=0.4, use_speaker_boost=True, style="loud", other=1)
    async with speaking() as (speaker, server):
        await collected(said(speaker, TEXT, config=config))
    assert server.handshakes[0].match_info["voice"] == "v1"
    assert server.received[0]["voice_settings"] == {"stability": 0.4, "use_speaker_boost": True, "speed": 1.2}


@pytest.mark.parametrize("fault", ["short times", "wild times", "no times"])
async def test_wrong_times_cost_no_word_and_no_sound(fault: Fault) -> None:
    async with speaking() as (speaker, server):
        server.fault = fault
        reading, words = Reading(TEXT, 8_000), []
        async for sound in said(speaker, TEXT):
            words += reading.heard(sound).words
        words += reading.rest()
    assert [word.text for word in words] == TEXT.split()
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert edges[-1] <= reading.seconds + 1e-9
    assert reading.seconds == pytest.approx(len(TEXT + " ") * SECONDS_A_CHARACTER, abs=0.01)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("cut", "closed the connection"),
        ("garbage", "cannot be read"),
        ("not base64", "cannot be read"),
        ("talks", "an error without a name"),
        ("stall", "did not answer"),
    ],
)
async def test_a_text_that_breaks_off_raises_and_the_next_one_is_spoken(fault: Fault, sentence: str) -> None:
    async with speaking(patience=0.2 if fault == "stall" else 10.0) as (speaker, server):
        server.fault = fault
        with pytest.raises(TtsError, match=sentence) as caught:
            await collected(said(speaker, TEXT))
        assert KEY not in str(caught.value)
        server.fault = None
        server.gate.set()
        _, words = await collected(said(speaker, TEXT))
        assert len(words) == len(TEXT.split())


async def test_another_voice_says_the_rest_of_a_text_that_breaks_off() -> None:
    async with speaking() as (speaker, server):
        server.fault = "cut"
        hummer = Hummer()
        _, words = await collected(said(FallbackSpeaker([speaker, hummer]), TEXT))
    assert [word.text for word in words] == TEXT.split()
    assert hummer.asked == ["dear caller from far away."]  # 14 characters were heard


async def test_a_connection_that_died_unnoticed_is_replaced_without_a_word() -> None:
    async with speaking() as (speaker, server):
        await collected(said(speaker, TEXT))
        server.fault = "cut at first"
        _, words = await collected(said(speaker, TEXT))
        assert len(words) == len(TEXT.split())
        assert len(server.handshakes) == 2


@pytest.mark.parametrize(("status", "is_final"), [(401, True), (403, True), (404, True), (429, False), (503, False)])
async def test_a_handshake_that_is_refused_says_whether_another_try_helps(status: int, is_final: bool) -> None:
    async with speaking() as (speaker, server):
        server.status = status
        with pytest.raises(TtsError, match=str(status)) as caught:
            await collected(said(speaker, TEXT))
        assert isinstance(caught.value, TtsRefusedError) == is_final
        assert KEY not in str(caught.value)


async def test_a_wrong_key_names_the_setting_and_not_the_key() -> None:
    async with speaking(key="wrong-one") as (speaker, _):
        with pytest.raises(TtsRefusedError, match="ELEVENLABS_API_KEY") as caught:
            await collected(said(speaker, TEXT))
        assert "wrong-one" not in str(caught.value)


async def test_an_account_without_credits_is_a_refusal() -> None:
    async with speaking() as (speaker, server):
        server.fault = "quota"
        with pytest.raises(TtsRefusedError, match="quota_exceeded"):
            await collected(said(speaker, TEXT))


async def test_a_service_that_is_not_there_is_an_error() -> None:
    speaker = ElevenLabsSpeaker(KEY, url="http://127.0.0.1:9")
    with pytest.raises(TtsError, match="cannot be reached"):
        await collected(said(speaker, TEXT))
    await speaker.close()


async def test_a_text_that_is_no_longer_wanted_does_not_disturb_the_others() -> None:
    async with speaking() as (speaker, server):
        server.fault = "stall"
        unwanted, wanted = said(speaker, TEXT), said(speaker, TEXT)
        await anext(unwanted)
        await unwanted.aclose()
        server.gate.set()
        _, words = await collected(wanted)
        assert len(words) == len(TEXT.split())
        assert len(server.handshakes) == 1
