"""A voice that fails is replaced before the caller notices more than another voice."""

from __future__ import annotations

import pytest

from omni.model.sound import VoiceConfig
from tests.voice.tts.openai_server import KEY as OPENAI_KEY
from tests.voice.tts.openai_server import openai_server
from tests.voice.tts.tone import SECONDS_A_CHARACTER, Hummer, collected, said
from workers.voice.tts.base import TtsError, TtsRefusedError
from workers.voice.tts.cache import CachedSpeaker, PhraseCache
from workers.voice.tts.choose import Speakers, named, read_voice
from workers.voice.tts.fallback import FallbackSpeaker
from workers.voice.tts.fuse import Fuse
from workers.voice.tts.silence import seconds_of

TEXT = "one two three four five six seven"


class Ticks:
    """Time by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_the_next_voice_says_all_of_it_when_the_first_does_not_begin() -> None:
    first, second = Hummer("first", breaks=lambda _: 0), Hummer("second")
    pcm, words = await collected(said(FallbackSpeaker([first, second]), TEXT))
    assert second.asked == [TEXT]
    assert [word.text for word in words] == TEXT.split()
    assert seconds_of(pcm, 8_000) == pytest.approx(len(TEXT) * SECONDS_A_CHARACTER, abs=0.01)


@pytest.mark.parametrize("tells_words", [True, False])
async def test_the_next_voice_goes_on_at_the_word_where_the_first_broke_off(tells_words: bool) -> None:
    first, second = Hummer("first", breaks=lambda _: 10, tells_words=tells_words), Hummer("second")
    _, words = await collected(said(FallbackSpeaker([first, second]), TEXT))
    assert [word.text for word in words] == TEXT.split()
    assert second.asked[0] != TEXT
    assert TEXT.endswith(second.asked[0])
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    if tells_words:  # 1.0 s were heard: „one two three“ takes 0.78 s
        assert second.asked == ["four five six seven"]


async def test_nothing_is_said_twice_when_a_voice_fails_behind_its_last_word() -> None:
    first, second = Hummer("first", breaks=lambda _: 20, tells_words=True), Hummer("second")
    _, words = await collected(said(FallbackSpeaker([first, second]), TEXT))
    assert (second.asked, len(words)) == ([], 7)


async def test_the_error_of_the_last_voice_is_told_when_all_fail() -> None:
    speakers = [Hummer("first", breaks=lambda _: 0), Hummer("second", breaks=lambda _: 0)]
    with pytest.raises(TtsError, match="broke off"):
        await collected(said(FallbackSpeaker(speakers), TEXT))


async def test_a_voice_that_fails_again_and_again_is_left_out_and_tried_later() -> None:
    ticks = Ticks()
    is_ill = True
    first, second = Hummer("first", breaks=lambda _: 0 if is_ill else None), Hummer("second")
    speaker = FallbackSpeaker([first, second], ticks)
    for _ in range(5):
        await collected(said(speaker, "hello"))
    assert len(first.asked) == 3
    ticks.now, is_ill = 60.0, False
    for _ in range(2):
        await collected(said(speaker, "hello"))
    assert (len(first.asked), len(second.asked)) == (5, 5)


async def test_a_voice_whose_key_is_wrong_is_left_out_at_once() -> None:
    first, second = Hummer("first", breaks=lambda _: 0, error=TtsRefusedError), Hummer("second")
    speaker = FallbackSpeaker([first, second], Ticks())
    for _ in range(3):
        await collected(said(speaker, "hello"))
    assert len(first.asked) == 1


async def test_the_only_voice_is_tried_even_while_it_is_left_out() -> None:
    speaker = Hummer("only", breaks=lambda _: 0, error=TtsRefusedError)
    fallback = FallbackSpeaker([speaker], Ticks())
    for _ in range(2):
        with pytest.raises(TtsRefusedError):
            await collected(said(fallback, "hello"))
    assert len(speaker.asked) == 2


async def test_the_next_voice_is_not_asked_for_the_ids_of_the_first() -> None:
    first, second = Hummer("elevenlabs", breaks=lambda _: 0), Hummer("local")
    config = VoiceConfig(provider="elevenlabs", voice_id="xyz", model="m", language="es", speed=1.2)
    await collected(said(FallbackSpeaker([first, second]), "hola", config=config))
    assert first.configs == [config]
    assert second.configs == [VoiceConfig(provider="local", language="es", speed=1.2)]


def test_a_blown_fuse_lets_one_try_through_in_a_while() -> None:
    ticks = Ticks()
    fuse = Fuse(ticks, failures=2, seconds=30)
    assert [fuse.failed(), fuse.failed()] == [False, True]
    assert not fuse.lets_through()
    ticks.now = 31
    assert [fuse.lets_through(), fuse.lets_through()] == [True, False]
    fuse.worked()
    assert fuse.lets_through()


async def test_a_phrase_is_made_once_for_each_voice_speed_and_rate() -> None:
    hummer = Hummer(tells_words=True)
    speaker = CachedSpeaker(hummer, PhraseCache())
    once = await collected(said(speaker, "Sure,"))
    assert await collected(said(speaker, "Sure,")) == once
    assert len(hummer.asked) == 1
    await collected(said(speaker, "Sure,", rate=16_000))
    await collected(said(speaker, "Sure,", config=VoiceConfig(speed=1.5)))
    await collected(said(speaker, "Sure,", config=VoiceConfig(voice_id="other")))
    assert len(hummer.asked) == 4


async def test_a_greeting_that_was_prepared_is_said_at_once_and_a_long_reply_is_not_kept() -> None:
    hummer = Hummer()
    speaker = CachedSpeaker(hummer, PhraseCache())
    greeting = "Good morning and welcome to the house of omni!"
    await speaker.prepare([greeting], VoiceConfig(), 8_000)
    await collected(said(speaker, greeting))
    assert len(hummer.asked) == 1
    for _ in range(2):
        await collected(said(speaker, "Your balance is something that nobody else should know."))
    assert len(hummer.asked) == 3


async def test_a_phrase_that_broke_off_or_was_cut_is_not_kept() -> None:
    hummer = Hummer(breaks=lambda _: 2 if len(hummer.asked) == 1 else None)
    speaker = CachedSpeaker(hummer, PhraseCache())
    with pytest.raises(TtsError):
        await collected(said(speaker, "Sure, ok"))
    sounds = said(speaker, "Sure, ok")
    await anext(sounds)
    await sounds.aclose()
    await collected(said(speaker, "Sure, ok"))
    assert len(hummer.asked) == 3


async def test_the_cache_is_bounded_and_forgets_what_was_not_used() -> None:
    hummer = Hummer()
    speaker = CachedSpeaker(hummer, PhraseCache(max_bytes=12_000))  # „aaaa“ hums for 3,840 bytes and 3 × 200
    for text in ("aaaa", "bbbb", "aaaa", "cccc", "aaaa", "bbbb"):
        await collected(said(speaker, text))
    assert hummer.asked == ["aaaa", "bbbb", "cccc", "bbbb"]


@pytest.mark.parametrize(
    ("value", "provider", "voice"),
    [
        ("elevenlabs:21m00Tcm4TlvDq8ikWAM", "elevenlabs", "21m00Tcm4TlvDq8ikWAM"),
        ("elevenlabs/Rachel", "elevenlabs", "21m00Tcm4TlvDq8ikWAM"),
        ("elevenlabs/a:b", "elevenlabs", "a:b"),
        ("openai", "openai", None),
        ("piper", "local", None),
        ({"engine": "ElevenLabs", "voiceId": "george"}, "elevenlabs", "JBFqnCBsd6RMkjVDRZzb"),
        ({"provider": "polly", "engine": "neural", "voice_id": "Joanna"}, "polly", "Joanna"),
        ({"provider": "openai", "speed": "fast", "voice_id": "nova"}, "openai", "nova"),
        (None, "local", None),
        (7, "local", None),
    ],
)
def test_a_voice_is_named_in_every_way_that_programs_know(value: object, provider: str, voice: str | None) -> None:
    config = read_voice(value)  # type: ignore[arg-type]
    assert (config.provider, config.voice_id) == (provider, voice)
    assert named(config) == config


async def test_an_unknown_provider_is_spoken_by_the_voice_that_is_here(caplog: pytest.LogCaptureFixture) -> None:
    hummer = Hummer("local")
    speakers = Speakers(local=hummer)
    for _ in range(2):
        speaker, config = speakers.choose(VoiceConfig(provider="cartesia/sonic", language="es", speed=1.1))
        await collected(said(speaker, "hola", config=config))
    assert hummer.configs[0] == VoiceConfig(language="es", speed=1.1)
    assert caplog.text.count("cartesia") == 1
    speaker, _ = speakers.choose(VoiceConfig(provider="elevenlabs"))
    assert "ELEVENLABS_API_KEY" in caplog.text
    await speakers.close()


async def test_every_other_voice_goes_on_for_one_that_fails_first_the_one_that_is_here() -> None:
    async with openai_server() as server:
        config = VoiceConfig(provider="elevenlabs", voice_id="v")
        keys = {"elevenlabs_api_key": "k", "elevenlabs_url": "http://127.0.0.1:9"}
        without = Speakers(**keys, openai_api_key=OPENAI_KEY, openai_url=server.url)
        assert (await collected(said(without.choose(config)[0], "Good morning!", config=config)))[0]
        assert server.received[0]["voice"] == "alloy"
        await without.close()
        hummer = Hummer("local")
        speakers = Speakers(**keys, local=hummer, openai_api_key=OPENAI_KEY, openai_url=server.url)
        assert (await collected(said(speakers.choose(config)[0], "Good morning!", config=config)))[0]
        assert (hummer.asked, len(server.received)) == (["Good morning!"], 1)
        await speakers.close()


async def test_without_any_voice_the_mend_is_said() -> None:
    speakers = Speakers()
    with pytest.raises(TtsRefusedError, match="install omni with `local-speech`"):
        speakers.choose(VoiceConfig())
    with pytest.raises(TtsRefusedError, match="OPENAI_API_KEY"):
        speakers.choose(VoiceConfig(provider="openai"))


async def test_the_speakers_of_a_process_are_made_once_and_greetings_are_prepared() -> None:
    hummer = Hummer("local")
    speakers = Speakers(local=hummer, elevenlabs_api_key="k", openai_api_key="k")
    for provider in ("local", "elevenlabs", "openai"):
        config = VoiceConfig(provider=provider)
        assert speakers.choose(config)[0] is speakers.choose(config)[0]
    await speakers.prepare(["Welcome to the house of omni, dear caller!"], VoiceConfig(provider="unknown"), 8_000)
    speaker, config = speakers.choose(VoiceConfig(provider="unknown"))
    asked = len(hummer.asked)
    await collected(said(speaker, "Welcome to the house of omni,", config=config))
    assert len(hummer.asked) == asked
    await speakers.close()
