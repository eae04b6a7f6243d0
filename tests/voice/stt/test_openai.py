"""OpenAI's transcription over a real socket: an utterance out, its words back, and sentences for what goes wrong."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

import pytest

from omni.model.sound import SttConfig
from tests.voice.stt.deepgram_server import RATE, spoken
from tests.voice.stt.openai_server import KEY, OpenAiServer
from workers.voice.stt.base import SttError, Transcript
from workers.voice.stt.openai import OpenAi


@pytest.fixture
async def server() -> AsyncIterator[OpenAiServer]:
    server = OpenAiServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def openai(server: OpenAiServer) -> AsyncIterator[OpenAi]:
    openai = OpenAi(KEY, url=server.url, retries=0)
    await openai.open()
    yield openai
    await openai.close()


async def hear(openai: OpenAi, *numbers: int, config: SttConfig | None = None) -> Transcript:
    ears = openai.ears(config or SttConfig(), RATE, lambda _: None)
    ears.start()
    for frame in spoken(*numbers):
        ears.feed(frame)
    try:
        return await ears.so_far()
    finally:
        await ears.close()


async def test_an_utterance_is_heard(openai, server):
    heard = await hear(openai, 1, 2, config=SttConfig(language="en-GB"))
    assert (heard.text, heard.language) == ("One Two", "en")
    assert math.isclose(heard.confidence, math.exp(-0.1))
    (asked,) = server.asked
    assert (asked.rate, asked.file_name, asked.pcm) == (RATE, "speech.wav", b"".join(spoken(1, 2)))
    assert asked.fields == {
        "model": ["gpt-4o-mini-transcribe"],
        "language": ["en"],
        "response_format": ["json"],
        "include[]": ["logprobs"],
    }


async def test_another_model_and_key_terms_are_asked_for_and_multi_is_to_guess(openai, server):
    config = SttConfig.model_validate({"model": "whisper-1", "language": "multi", "keyterms": ["Omni", "Zürich"]})
    assert (await hear(openai, 3, config=config)).confidence == 1
    assert server.asked[0].fields == {"model": ["whisper-1"], "prompt": ["Omni, Zürich"], "response_format": ["json"]}


async def test_the_same_sound_is_asked_about_once(openai, server):
    ears = openai.ears(SttConfig(), RATE, lambda _: None)
    ears.start()
    for frame in spoken(1):
        ears.feed(frame)
    assert await ears.so_far() is await ears.so_far()
    for frame in spoken(2):
        ears.feed(frame)
    assert (await ears.so_far()).text == "One Two"
    ears.stop()
    ears.start()
    assert (await ears.so_far()).text == ""
    assert server.attempts == 2


async def test_a_click_is_not_worth_a_request(openai, server):
    ears = openai.ears(SttConfig(), RATE, lambda _: None)
    ears.start()
    ears.feed(spoken(1)[0])
    assert (await ears.so_far()).text == ""
    assert server.attempts == 0


@pytest.mark.parametrize(
    ("status", "mend"), [(401, "OPENAI_API_KEY"), (404, "address"), (429, "credit"), (503, "pass")]
)
async def test_a_refusal_is_a_sentence_with_the_mend(openai, server, status, mend):
    server.refuse = [status]
    with pytest.raises(SttError, match=mend) as refused:
        await hear(openai, 1)
    assert str(status) in str(refused.value)
    assert KEY not in str(refused.value)


async def test_passing_trouble_is_tried_again(server):
    openai = OpenAi(KEY, url=server.url, retries=1)
    server.refuse = [503]
    assert (await hear(openai, 1)).text == "One"
    assert server.attempts == 2
    await openai.close()


@pytest.mark.parametrize(
    "body", [("text/html", "<html>"), ("application/json", "{"), ("application/json", "[]"), ("application/json", "{}")]
)
async def test_what_is_no_transcription_is_an_error(openai, server, body):
    server.body = body
    with pytest.raises(SttError, match="OpenAI"):
        await hear(openai, 1)


async def test_a_broken_connection_is_an_error(openai, server):
    server.cut = True
    with pytest.raises(SttError, match="cannot be asked") as broken:
        await hear(openai, 1)
    assert broken.value.__cause__ is None  # it may quote the key


async def test_a_slow_service_is_an_error(server):
    openai = OpenAi(KEY, url=server.url, answer=0.1, retries=0)
    server.stall = True
    with pytest.raises(SttError, match=r"no words within 0\.1 s"):
        await hear(openai, 1)
    await openai.close()


async def test_whoever_stops_waiting_ends_the_request(openai, server):
    server.stall = True
    asked = asyncio.create_task(hear(openai, 1))
    await server.arrived.wait()
    asked.cancel()
    async with asyncio.timeout(10):
        await server.dropped.wait()
    await asyncio.gather(asked, return_exceptions=True)
    server.stall = False
    assert (await hear(openai, 2)).text == "Two"


async def test_settings_change_with_the_next_utterance_and_the_provider_never(openai, server):
    ears = openai.ears(SttConfig(provider="openai", language="en"), RATE, lambda _: None)
    assert ears.change(SttConfig(provider="openai:whisper-1:de"))
    assert not ears.change(SttConfig(provider="deepgram"))
    ears.start()
    for frame in spoken(1):
        ears.feed(frame)
    await ears.so_far()
    assert server.asked[0].fields["language"] == ["de"]
    assert server.asked[0].fields["model"] == ["whisper-1"]
