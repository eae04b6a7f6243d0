"""Deepgram over a real socket: what was said comes back, whatever the connection goes through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from omni.model.sound import SttConfig
from tests.voice.stt.deepgram_server import FRAME, KEY, RATE, DeepgramServer, spoken
from workers.voice.stt.base import SttError, Transcript
from workers.voice.stt.deepgram import Deepgram


@pytest.fixture
async def server() -> AsyncIterator[DeepgramServer]:
    server = DeepgramServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def deepgram(server: DeepgramServer) -> AsyncIterator[Deepgram]:
    deepgram = Deepgram(KEY, url=server.url, answer=5.0, first_pause=0.01)
    await deepgram.open()
    yield deepgram
    await deepgram.close()


@pytest.fixture
async def ears(deepgram: Deepgram):
    ears = deepgram.ears(SttConfig(provider="deepgram", language="en"), RATE, lambda _: None)
    yield ears
    await ears.close()


def say(ears, *numbers: int) -> None:
    for frame in spoken(*numbers):
        ears.feed(frame)


async def test_an_utterance_is_heard_with_the_times_of_its_words(ears):
    for _ in range(2):  # the second stands elsewhere in the stream, and counts from its own beginning
        ears.start()
        say(ears, 0, 1, 2)
        heard = await ears.so_far()
        assert (heard.text, heard.language, round(heard.confidence, 3)) == ("One Two", "en", 0.9)
        assert [(word.text, round(word.start, 2), round(word.end, 2)) for word in heard.words] == [
            ("One", 0.2, 0.4),
            ("Two", 0.4, 0.6),
        ]
        ears.stop()


async def test_asked_at_each_pause_it_knows_everything_since_the_start(ears, server):
    ears.start()
    say(ears, 1)
    assert (await ears.so_far()).text == "One"
    assert (await ears.so_far()).text == "One"
    say(ears, 2, 3)
    assert (await ears.so_far()).text == "One Two Three"
    assert server.connections[0].messages.count("Finalize") == 2


async def test_the_text_grows_while_somebody_speaks(deepgram, server):
    told: asyncio.Queue[Transcript] = asyncio.Queue()
    ears = deepgram.ears(SttConfig(), RATE, told.put_nowait)
    ears.start()
    say(ears, 1, 2)
    async with asyncio.timeout(10):
        while (await told.get()).text != "One Two":
            pass
    await ears.close()


async def test_silence_is_not_sent_and_the_connection_is_kept(server):
    deepgram = Deepgram(KEY, url=server.url, keep_alive=0.01)
    ears = deepgram.ears(SttConfig(), RATE, lambda _: None)
    for frame in spoken(0, 0):
        ears.feed(frame)
    await server.until(lambda: server.connections and server.connections[0].messages.count("KeepAlive") > 2)
    assert server.connections[0].sound == b""
    await ears.close()
    await deepgram.close()


async def test_what_was_not_final_of_one_utterance_is_not_the_next_ones(ears, server):
    ears.start()
    say(ears, 1, 2)
    await server.until(lambda: server.connections and len(server.connections[0].sound) == 20 * FRAME)
    ears.stop()
    ears.start()
    say(ears, 3)
    assert (await ears.so_far()).text == "Three"


async def test_a_final_that_comes_late_is_not_the_next_utterances(ears, server):
    server.faults.late = True
    ears.start()
    say(ears, 1)
    asked = asyncio.create_task(ears.so_far())
    await server.until(lambda: server.connections and server.connections[0].held)
    asked.cancel()
    ears.stop()
    ears.start()
    say(ears, 2)
    again = asyncio.create_task(ears.so_far())
    await server.until(lambda: len(server.connections[0].held) == 2)
    await server.release()
    assert (await again).text == "Two"
    await asyncio.gather(asked, return_exceptions=True)


async def test_finals_in_the_wrong_order_are_put_right(ears, server):
    server.faults.late = server.faults.backwards = True
    ears.start()
    say(ears, 1)
    first = asyncio.create_task(ears.so_far())
    await server.until(lambda: server.connections and len(server.connections[0].held) == 1)
    first.cancel()
    say(ears, 2)
    second = asyncio.create_task(ears.so_far())
    await server.until(lambda: len(server.connections[0].held) == 2)
    await server.release()
    await second
    assert (await ears.so_far()).text == "One Two"
    await asyncio.gather(first, return_exceptions=True)


async def test_a_finalize_without_an_answer_is_not_waited_for(ears, server):
    server.faults.silent_finalize = True
    ears.start()
    say(ears, 1)
    assert (await ears.so_far()).text == "One"
    ears.feed(bytes(FRAME))
    assert (await ears.so_far()).text == "One"


async def test_a_connection_that_breaks_is_made_anew_and_the_utterance_sent_again(ears, server):
    server.faults.cut_at = 15 * FRAME
    ears.start()
    say(ears, 1, 2, 3)
    assert (await ears.so_far()).text == "One Two Three"
    assert len(server.connections) == 2
    assert bytes(server.connections[1].sound) == b"".join(spoken(1, 2, 3))


async def test_one_that_breaks_between_utterances_is_made_anew(ears, server):
    ears.start()
    say(ears, 1)
    await ears.so_far()
    ears.stop()
    await server.connections[0].socket.close(code=1011, message=b"NET-0001")
    await server.until(lambda: len(server.connections) == 2)
    ears.start()
    say(ears, 2)
    assert (await ears.so_far()).text == "Two"


async def test_a_service_that_is_busy_is_tried_again(ears, server):
    server.faults.refuse = [503, 429, 500]
    ears.start()
    say(ears, 1)
    assert (await ears.so_far()).text == "One"
    assert server.attempts == 4


async def test_what_cannot_be_read_is_passed_over(ears, server):
    server.faults.garbage = True
    ears.start()
    say(ears, 1, 2)
    assert (await ears.so_far()).text == "One Two"


@pytest.mark.parametrize(("status", "mend"), [(400, "the language"), (401, "DEEPGRAM_API_KEY"), (402, "credit")])
async def test_what_trying_again_does_not_mend_is_said_at_once(ears, server, status, mend):
    server.faults.refuse = [status] * 9
    ears.start()
    say(ears, 1)
    for _ in range(2):
        with pytest.raises(SttError, match=mend) as refused:
            await ears.so_far()
        assert KEY not in str(refused.value)
    assert server.attempts == 1


@pytest.mark.parametrize("fault", ["mute", "stall"])
async def test_a_service_that_does_not_answer_is_an_error_and_gets_a_new_connection(server, fault):
    deepgram = Deepgram(KEY, url=server.url, answer=0.2, first_pause=0.01)
    ears = deepgram.ears(SttConfig(), RATE, lambda _: None)
    setattr(server.faults, fault, True)
    ears.start()
    say(ears, 1)
    with pytest.raises(SttError, match=r"no words within 0\.2 s"):
        await ears.so_far()
    setattr(server.faults, fault, False)
    await server.until(lambda: len(server.connections) == 2)
    say(ears, 2)
    heard = ""
    while heard != "One Two":  # 0.2 s may be short on a busy machine
        try:
            heard = (await ears.so_far()).text
        except SttError:
            continue
    await ears.close()
    await deepgram.close()


async def test_late_finals_leave_what_was_understood_so_far(server):
    deepgram = Deepgram(KEY, url=server.url, answer=0.3)
    ears = deepgram.ears(SttConfig(), RATE, lambda _: None)
    server.faults.late = True
    ears.start()
    say(ears, 1, 2)
    await server.until(lambda: server.connections and len(server.connections[0].sound) == 20 * FRAME)
    assert (await ears.so_far()).text == "One Two"
    await ears.close()
    await deepgram.close()


async def test_an_error_is_told_and_outlived(ears, server):
    server.faults.error = True
    ears.start()
    say(ears, 1)
    await server.until(lambda: len(server.connections) > 1)
    server.faults.error = False
    assert (await ears.so_far()).text == "One"


async def test_an_address_where_nobody_is_is_an_error():
    deepgram = Deepgram(KEY, url="ws://127.0.0.1:9", answer=0.1, first_pause=0.01)
    ears = deepgram.ears(SttConfig(), RATE, lambda _: None)
    ears.start()
    say(ears, 1)
    with pytest.raises(SttError, match="no connection to Deepgram"):
        await ears.so_far()
    await ears.close()
    await deepgram.close()


async def test_an_utterance_that_ends_while_somebody_asks_is_empty(ears, server):
    server.faults.mute = True
    ears.start()
    say(ears, 1)
    asked = asyncio.create_task(ears.so_far())
    await server.until(lambda: server.connections and "Finalize" in server.connections[0].messages)
    ears.stop()
    assert (await asked).text == ""


async def test_the_end_is_said_politely(deepgram, server):
    ears = deepgram.ears(SttConfig(), RATE, lambda _: None)
    ears.start()
    say(ears, 1)
    await ears.so_far()
    await ears.close()
    await server.until(lambda: server.connections[0].messages == ["Finalize", "CloseStream"])


async def test_options_are_deepgrams_own_and_the_key_is_no_parameter(deepgram, server):
    config = SttConfig.model_validate(
        {
            "provider": "deepgram",
            "language": "es",
            "keyterms": ["Omni", "Zürich"],
            "keywords": ["billing:2"],
            "endpointing_ms": 300,
            "utterance_end_ms": 1000,
            "smart_format": False,
            "punctuate": "yes",
            "unknown": 1,
        }
    )
    ears = deepgram.ears(config, 16_000, lambda _: None)
    await server.until(lambda: server.connections)
    (connection,) = server.connections
    assert sorted(connection.query) == sorted(
        [
            ("model", "nova-3"),
            ("language", "es"),
            ("encoding", "linear16"),
            ("sample_rate", "16000"),
            ("channels", "1"),
            ("interim_results", "true"),
            ("endpointing", "300"),
            ("utterance_end_ms", "1000"),
            ("vad_events", "true"),
            ("smart_format", "false"),
            ("punctuate", "true"),
            ("keyterm", "Omni"),
            ("keyterm", "Zürich"),
            ("keyterm", "billing"),
        ]
    )
    assert ears.change(config)
    assert ears.change(config.model_copy(update={"provider": "deepgram/nova-3"}))
    assert not ears.change(config.model_copy(update={"language": "de"}))
    assert not ears.change(config.model_copy(update={"provider": "openai"}))
    await ears.close()


async def test_doubtful_words_are_left_out_where_that_is_wished(deepgram):
    ears = deepgram.ears(
        SttConfig.model_validate({"provider": "deepgram", "min_confidence": 0.95}), RATE, lambda _: None
    )
    ears.start()
    say(ears, 1)
    assert (await ears.so_far()).text == ""
    await ears.close()


async def test_flux_is_heard_with_nova(deepgram, server):
    ears = deepgram.ears(SttConfig(provider="deepgram", model="flux-multi"), RATE, lambda _: None)
    await server.until(lambda: server.connections)
    assert ("model", "nova-3") in server.connections[0].query
    await ears.close()


async def test_the_last_frames_are_not_kept_back(ears, server):
    ears.start()
    for frame in spoken(1, frames=3):  # 60 ms: less than a piece
        ears.feed(frame)
    assert (await ears.so_far()).text == "One"
    assert len(server.connections[0].sound) == 3 * FRAME


async def test_an_utterance_that_ends_unasked_is_made_final_before_the_next(ears, server):
    ears.start()
    say(ears, 1)
    await server.until(lambda: server.connections and len(server.connections[0].sound) == 10 * FRAME)
    ears.stop()
    await server.until(lambda: server.connections[0].messages == ["Finalize"])
