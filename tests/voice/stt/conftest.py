"""Ears for the tests: Whisper as it is packaged, and what the recognisers of the cloud are asked over."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator

import pytest

from workers.voice.stt import packaged
from workers.voice.stt.whisper import Whisper


@pytest.fixture(scope="session")
def whisper_cache(tmp_path_factory: pytest.TempPathFactory) -> pytest.TempPathFactory:
    """The packaged model can be loaded, in a cache of this session's own."""
    if not packaged.is_installed() or importlib.util.find_spec("faster_whisper") is None:
        pytest.skip("the extra `local-speech` is not installed")
    return tmp_path_factory


@pytest.fixture
async def whisper(whisper_cache: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whisper]:
    """Loaded and warm; the model itself stays for the next test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(whisper_cache.getbasetemp()))
    whisper = Whisper(workers=2)
    await whisper.open()
    yield whisper
    await whisper.close()
