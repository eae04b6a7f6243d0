"""What the first recogniser cannot hear, the second is given, from the beginning; and the first gets its rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from omni.model.sound import SttConfig
from tests.voice.stt.deepgram_server import KEY, RATE, DeepgramServer, spoken
from tests.voice.stt.openai_server import KEY as OPENAI_KEY
from tests.voice.stt.openai_server import OpenAiServer
from workers.voice.stt.base import SttError
from workers.voice.stt.deepgram import Deepgram
from workers.voice.stt.fallback import Fallback
from workers.voice.stt.openai import OpenAi

CONFIG = SttConfig(provider="deepgram", model="nova-2", language="en")


class Hours:
    """Time that passes when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
async def first() -> AsyncIterator[DeepgramServer]:
    server = DeepgramServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def second() -> AsyncIterator[OpenAiServer]:
    server = OpenAiServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def family(first, second, hours) -> AsyncIterator[Fallback]:
    family = Fallback(
        [Deepgram(KEY, url=first.url, answer=5, first_pause=0.01), OpenAi(OPENAI_KEY, url=second.url, retries=0)],
        deadline=10,
        rest=30,
        failures=2,
        ticks=hours,
    )
    await family.open()
    yield family
    await family.close()


def mute(first: DeepgramServer, family: Fallback) -> None:
    first.faults.mute = True
    family.deadline = 0.2  # it is worth waiting for an answer only when there will be one


def unmute(first: DeepgramServer, family: Fallback) -> None:
    first.faults.mute = False
    family.deadline = 10


async def hear(ears, *numbers: int) -> str:
    ears.start()
    for frame in spoken(*numbers):
        ears.feed(frame)
    try:
        return (await ears.so_far()).text
    finally:
        ears.stop()


@pytest.fixture
async def ears(family):
    ears = family.ears(CONFIG, RATE, lambda _: None)
    ears.start()  # until it is connected
    for frame in spoken(1):
        ears.feed(frame)
    await ears._ears[0].so_far()
    ears.stop()
    yield ears
    await ears.close()


async def test_the_first_hears_as_long_as_it_can(ears, second):
    assert await hear(ears, 1, 2) == "One Two"
    assert second.attempts == 0


async def test_what_the_first_is_too_slow_for_the_second_hears_from_the_beginning(ears, first, second, family):
    mute(first, family)
    ears.start()
    for frame in spoken(1, 2):
        ears.feed(frame)
    assert (await ears.so_far()).text == "One Two"
    for frame in spoken(3):
        ears.feed(frame)
    assert (await ears.so_far()).text == "One Two Three"  # without asking the first again
    assert [len(asked.pcm) for asked in second.asked] == [6400, 9600]
    assert second.asked[0].fields["model"] == ["gpt-4o-mini-transcribe"]  # not the first one's


async def test_a_first_that_failed_twice_rests_and_is_then_tried_again(ears, first, second, hours, family):
    mute(first, family)
    for _ in range(3):
        assert await hear(ears, 4) == "Four"
    finals = [connection.messages.count("Finalize") for connection in first.connections]
    assert sum(finals) == 1 + 2
    unmute(first, family)
    hours.now = 31
    before = second.attempts
    assert await hear(ears, 5) == "Five"
    assert second.attempts == before


async def test_a_refused_key_is_not_waited_for(first, second):
    family = Fallback([Deepgram("wrong", url=first.url), OpenAi(OPENAI_KEY, url=second.url)], deadline=10)
    ears = family.ears(CONFIG, RATE, lambda _: None)
    assert await hear(ears, 6) == "Six"
    await ears.close()
    await family.close()


async def test_when_all_fail_the_last_ones_reason_is_told(ears, first, second, family):
    mute(first, family)
    second.refuse = [401]
    with pytest.raises(SttError, match="OPENAI_API_KEY"):
        await hear(ears, 7)
    assert await hear(ears, 8) == "Eight"


async def test_an_utterance_that_ended_is_not_handed_on(ears, first, second, family):
    mute(first, family)
    ears.start()
    for frame in spoken(1):
        ears.feed(frame)
    asked = asyncio.create_task(ears.so_far())
    await asyncio.sleep(0)
    ears.stop()
    assert (await asked).text == ""
    assert second.attempts == 0


async def test_an_utterance_that_ended_before_the_first_gave_up_is_not_handed_on(second):
    stalled = OpenAiServer(stall=True)
    await stalled.start()
    family = Fallback([OpenAi(OPENAI_KEY, url=stalled.url), OpenAi(OPENAI_KEY, url=second.url)], deadline=0.2)
    ears = family.ears(CONFIG, RATE, lambda _: None)
    ears.start()
    for frame in spoken(1):
        ears.feed(frame)
    asked = asyncio.create_task(ears.so_far())
    await stalled.arrived.wait()
    ears.stop()
    assert (await asked).text == ""
    assert second.attempts == 0
    await ears.close()
    await family.close()
    await stalled.stop()


async def test_failures_count_in_a_row_only(ears, first, family):
    for _ in range(3):
        mute(first, family)
        assert await hear(ears, 1) == "One"
        unmute(first, family)
        await hear(ears, 2)
        assert family.first() == 0


async def test_partial_texts_are_those_of_whoever_hears(family):
    told: asyncio.Queue = asyncio.Queue()
    ears = family.ears(CONFIG, RATE, told.put_nowait)
    ears.start()
    for frame in spoken(1):
        ears.feed(frame)
    async with asyncio.timeout(10):
        assert (await told.get()).text == "One"
    await ears.close()


async def test_settings_change_where_they_can(ears):
    assert ears.change(CONFIG)
    assert not ears.change(CONFIG.model_copy(update={"language": "de"}))
