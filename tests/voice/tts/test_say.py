"""A call says a message: in order, a clause ahead and not more, and not a word after it was cut."""

from __future__ import annotations

import asyncio

import pytest

from omni.model.sound import VoiceConfig
from tests.voice.tts.tone import SECONDS_A_CHARACTER, Hummer, hum
from workers.voice.tts.base import Sound, Speaker, TtsError, WordTime
from workers.voice.tts.say import Utterance, Voice
from workers.voice.tts.silence import seconds_of

RATE = 8_000
REPLY = "Sure, one moment please. I look for it now. Here it is."
CLAUSES = ["Sure,", "one moment please.", "I look for it now.", "Here it is."]


class Told:
    """What an utterance told, and what was played of it."""

    def __init__(self) -> None:
        self.sounds: list[Sound] = []
        self.ends: list[TtsError | None] = []
        self.news = asyncio.Event()

    def sound(self, sound: Sound) -> None:
        assert not self.ends, "a sound after the end"
        self.sounds.append(sound)
        self.news.set()

    def end(self, error: TtsError | None) -> None:
        self.ends.append(error)
        self.news.set()

    @property
    def pcm(self) -> bytes:
        return b"".join(sound.pcm for sound in self.sounds)

    @property
    def words(self) -> list[WordTime]:
        return [word for sound in self.sounds for word in sound.words]

    async def until(self, seconds: float) -> None:
        while seconds_of(self.pcm, RATE) < seconds:
            self.news.clear()
            await self.news.wait()


def utter(speaker: Speaker, limit: float = 1_000.0) -> tuple[Utterance, Told]:
    told = Told()
    return Utterance(Voice(speaker, VoiceConfig(), RATE), told.sound, told.end, limit=limit), told


async def settled() -> None:
    """Everything that can go on without us has."""
    for _ in range(500):
        await asyncio.sleep(0)


@pytest.mark.parametrize("tells_words", [True, False])
async def test_a_message_is_said_clause_by_clause_with_every_word_once(tells_words: bool) -> None:
    speaker = Hummer(tells_words=tells_words)
    utterance, told = utter(speaker)
    for at in range(0, len(REPLY), 4):
        utterance.add(REPLY[at : at + 4])
    utterance.end()
    await utterance.closed()
    assert speaker.asked == CLAUSES
    assert told.pcm == b"".join(hum(len(clause) * SECONDS_A_CHARACTER, RATE) for clause in CLAUSES)
    assert [word.text for word in told.words] == REPLY.split()
    edges = [edge for word in told.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert edges[-1] <= seconds_of(told.pcm, RATE) + 1e-6
    assert told.ends == [None]


async def test_times_of_words_are_from_the_beginning_of_the_message() -> None:
    utterance, told = utter(Hummer(tells_words=True))
    utterance.add(REPLY, is_whole=True)
    utterance.end()
    await utterance.closed()
    one = next(word for word in told.words if word.text == "one")
    assert one.start == pytest.approx(len("Sure,") * SECONDS_A_CHARACTER)


async def test_the_first_clause_is_said_while_the_rest_is_not_written_yet() -> None:
    utterance, told = utter(Hummer())
    utterance.add("Sure, one")
    await told.until(0.2)
    assert told.ends == []
    utterance.add(" moment.")
    utterance.end()
    await utterance.closed()
    assert [word.text for word in told.words] == ["Sure,", "one", "moment."]


async def test_a_sentence_before_a_pause_is_said_without_waiting_for_the_next() -> None:
    speaker = Hummer()
    told = Told()
    utterance = Utterance(Voice(speaker, VoiceConfig(), RATE), told.sound, told.end, pause=0.0)
    utterance.add("Let me check that.")
    await told.until(1.0)
    utterance.add(" It costs 3.")
    await settled()
    utterance.add("50 today.")
    utterance.end()
    await utterance.closed()
    assert speaker.asked == ["Let me check that.", "It costs 3.50 today."]


async def test_one_clause_is_made_ahead_and_not_more() -> None:
    speaker = Hummer()
    utterance, told = utter(speaker)
    speaker.gate.clear()
    utterance.add(REPLY, is_whole=True)
    await settled()
    assert speaker.asked == ["Sure,"]
    speaker.gate.set()
    await told.until(0.1)
    assert len(speaker.asked) <= 2
    utterance.end()
    await utterance.closed()


async def test_no_clause_is_begun_while_enough_sound_waits_to_be_heard() -> None:
    speaker = Hummer()
    utterance, told = utter(speaker, limit=0.5)
    utterance.add(REPLY, is_whole=True)
    utterance.end()
    await settled()
    waiting = seconds_of(told.pcm, RATE)
    assert len(speaker.asked) < len(CLAUSES)
    assert waiting < seconds_of(hum(len("".join(CLAUSES)) * SECONDS_A_CHARACTER, RATE), RATE)
    while not told.ends:
        utterance.ahead(0.0)
        await settled()
    assert speaker.asked == CLAUSES


async def test_nothing_is_said_after_it_was_cut_and_the_work_ends() -> None:
    speaker = Hummer()
    utterance, told = utter(speaker)
    utterance.add(REPLY, is_whole=True)
    await told.until(0.1)
    speaker.gate.clear()
    utterance.cancel()
    count = len(told.sounds)
    assert utterance.cancelled
    await utterance.closed()
    await settled()
    utterance.add("More. And more.")
    utterance.end()
    utterance.cancel()
    speaker.gate.set()
    await settled()
    assert len(told.sounds) == count
    assert told.ends == [None]
    assert set(speaker.asked) - set(speaker.finished) <= set(speaker.closed)


async def test_a_message_that_is_cut_before_it_begins_ends_once_and_is_not_begun() -> None:
    speaker = Hummer()
    utterance, told = utter(speaker)
    utterance.add(REPLY, is_whole=True)
    utterance.cancel()
    assert told.ends == []  # never inside a method
    await utterance.closed()
    await settled()
    assert (told.ends, speaker.asked) == ([None], [])


async def test_a_message_without_words_ends_without_sound() -> None:
    utterance, told = utter(Hummer())
    utterance.add("👍 ...")
    utterance.end()
    await utterance.closed()
    await settled()
    assert (told.sounds, told.ends) == ([], [None])


async def test_what_was_made_before_an_error_is_said_and_the_error_is_told_once() -> None:
    speaker = Hummer(breaks=lambda text: 3 if text.startswith("I look") else None)
    utterance, told = utter(speaker)
    utterance.add(REPLY, is_whole=True)
    utterance.end()
    await utterance.closed()
    await settled()
    seconds = len("Sure,one moment please.") * SECONDS_A_CHARACTER + 0.3
    assert seconds_of(told.pcm, RATE) == pytest.approx(seconds, abs=0.01)
    assert [str(error) for error in told.ends] == ["the hummer broke off"]


async def test_a_call_that_fails_to_take_a_sound_does_not_leave_work_behind(caplog: pytest.LogCaptureFixture) -> None:
    ends: list[TtsError | None] = []

    def fails(_sound: Sound) -> None:
        raise RuntimeError("no leg")

    utterance = Utterance(Voice(Hummer(), VoiceConfig(), RATE), fails, ends.append)
    utterance.add(REPLY, is_whole=True)
    await utterance.closed()
    await settled()
    assert isinstance(ends[0], TtsError)
    assert "not said" in caplog.text
