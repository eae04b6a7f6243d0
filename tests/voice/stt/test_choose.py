"""The settings of an agent name a recogniser: one for each provider, and somebody who hears where one is missing."""

from __future__ import annotations

import importlib.util
import logging

import pytest

from omni.model.sound import SttConfig
from workers.voice.stt import choose, packaged
from workers.voice.stt.base import SttError
from workers.voice.stt.choose import Recognisers
from workers.voice.stt.deepgram import Deepgram
from workers.voice.stt.fallback import Fallback
from workers.voice.stt.naming import named
from workers.voice.stt.openai import OpenAi
from workers.voice.stt.whisper import Whisper

LOCAL_IS_THERE = packaged.is_installed() and importlib.util.find_spec("faster_whisper") is not None


@pytest.fixture
def nothing_local(monkeypatch):
    monkeypatch.setattr(choose.importlib.util, "find_spec", lambda name: None)


def provider(name: str) -> SttConfig:
    return SttConfig(provider=name)


@pytest.mark.parametrize("name", ["deepgram", "Deepgram", "deepgram-flux", "deepgram/nova-3", "deepgram:nova-3:es"])
async def test_each_spelling_is_the_same_one(name, nothing_local):
    recognisers = Recognisers(deepgram_key="k")
    made, config = recognisers.choose(provider(name))
    assert isinstance(made, Deepgram)
    assert config.provider == "deepgram"
    assert made is recognisers.choose(provider("deepgram"))[0]
    await recognisers.close()


async def test_each_provider_has_its_own(nothing_local):
    recognisers = Recognisers(deepgram_key="k", openai_key="k")
    assert isinstance(recognisers.choose(provider("deepgram"))[0], Deepgram)
    assert isinstance(recognisers.choose(provider("openai"))[0], OpenAi)
    await recognisers.close()


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("deepgram", "DEEPGRAM_API_KEY"),
        ("openai", "OPENAI_API_KEY"),
        ("gladia", "`deepgram`"),
        ("local", "local-speech"),
    ],
)
async def test_one_that_cannot_be_is_a_sentence_with_the_mend(nothing_local, name, mend):
    with pytest.raises(SttError, match=mend):
        Recognisers().choose(provider(name))


@pytest.mark.skipif(not LOCAL_IS_THERE, reason="the extra `local-speech` is not installed")
@pytest.mark.parametrize("name", ["local", "whisper", "gladia", "soniox/realtime", "deepgram", "elevenlabs/scribe", ""])
async def test_whisper_hears_for_who_is_unknown_or_has_no_key_and_says_so_once(name, caplog):
    recognisers = Recognisers()
    made = recognisers.choose(provider(name))[0]
    assert isinstance(made, Whisper)
    with caplog.at_level(logging.WARNING):
        caplog.clear()
        assert recognisers.choose(provider(name))[0] is made
        assert recognisers.choose(provider("local"))[0] is made
    assert caplog.text == ""
    await recognisers.close()


@pytest.mark.skipif(not LOCAL_IS_THERE, reason="the extra `local-speech` is not installed")
async def test_whisper_stands_behind_the_cloud_unless_that_is_not_wished():
    recognisers = Recognisers(deepgram_key="k")
    both = recognisers.choose(provider("deepgram"))[0]
    assert isinstance(both, Fallback)
    assert both.name == "deepgram"
    assert [type(member.recogniser) for member in both.members] == [Deepgram, Whisper]
    assert both.members[1].recogniser is recognisers.choose(provider("local"))[0]
    await recognisers.close()
    alone = Recognisers(deepgram_key="k", has_fallback=False)
    assert isinstance(alone.choose(provider("deepgram"))[0], Deepgram)
    await alone.close()


@pytest.mark.parametrize("name", ["deepgram-flux", "deepgram/flux-multi"])
async def test_flux_is_nova_and_that_is_said_once(name, nothing_local, caplog):
    caplog.set_level(logging.INFO)
    recognisers = Recognisers(deepgram_key="k")
    for _ in range(2):
        assert isinstance(recognisers.choose(provider(name))[0], Deepgram)
    assert caplog.text.count("Flux is asked for: nova-3 hears") == 1
    await recognisers.close()


async def test_opening_loads_what_there_is_and_says_what_is_missing(nothing_local, caplog):
    recognisers = Recognisers()
    await recognisers.open()
    assert "local-speech" in caplog.text
    await recognisers.close()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"provider": "deepgram:nova-3:es"}, ("deepgram", "nova-3", "es")),
        ({"provider": "deepgram/nova-2", "language": "de"}, ("deepgram", "nova-2", "de")),
        ({"provider": "Deepgram-Flux"}, ("deepgram", "flux", None)),
        ({"provider": "deepgram/flux-en"}, ("deepgram", "flux-en", None)),
        ({"provider": "openai", "model": "whisper-1"}, ("openai", "whisper-1", None)),
        ({"provider": "soniox/stt-rt-v5"}, ("soniox", "stt-rt-v5", None)),
        ({}, ("local", None, None)),
    ],
)
def test_a_spelling_is_a_provider_a_model_and_a_language(given, expected):
    config = named(SttConfig.model_validate(given))
    assert (config.provider, config.model, config.language) == expected
