"""What hears and speaks in a process: as the settings name it, open and warm, or as somebody brings it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from omni.model.sound import SttConfig
from omni.settings import Settings, SettingsError

if TYPE_CHECKING:
    from workers.voice import services as voice
    from workers.voice.stt.choose import Recognisers
    from workers.voice.vad.base import TurnModel, Vad

log = logging.getLogger("omni.voice")


@dataclass(frozen=True, slots=True)
class Speech:
    """What hears and speaks, for whoever puts a server together without the services that the settings name. They are
    open, and whoever made them closes them. `vad` makes a detector for a rate; None: the best that this machine has."""

    recognisers: voice.Recognisers
    speakers: voice.Speakers
    vad: Callable[[int], Vad] | None = None


async def open_speech(settings: Settings, stack: AsyncExitStack) -> Speech:
    """What the settings name, open and warm until the stack is closed."""
    from workers.voice.stt.choose import Recognisers
    from workers.voice.tts.choose import Speakers
    from workers.voice.tts.piper import PiperSpeaker, find_voices

    deepgram, openai = _clear(settings.deepgram_api_key), _clear(settings.openai_api_key)
    recognisers = Recognisers(
        whisper_model=settings.stt_model,
        deepgram_key=deepgram,
        openai_key=openai,
        openai_url=settings.openai_audio_url,
    )
    stack.push_async_callback(recognisers.close)
    voices = await asyncio.to_thread(find_voices, settings.tts_voice)
    speakers = Speakers(
        local=PiperSpeaker(voices) if voices else None,
        elevenlabs_api_key=_clear(settings.elevenlabs_api_key),
        openai_api_key=openai,
        openai_url=settings.openai_audio_url,
    )
    stack.push_async_callback(speakers.close)
    began = time.monotonic()
    await asyncio.gather(_warm(recognisers), speakers.open())
    log.info("speech was ready in %.1f s", time.monotonic() - began)
    return Speech(recognisers, speakers)


async def _warm(recognisers: Recognisers) -> None:
    """Load what hears here: a model that is read at the first caller's first words comes too late for them."""
    from workers.voice.stt.base import SttError

    try:
        recogniser, _ = recognisers.choose(SttConfig())
        await recogniser.open()
    except SttError as error:
        log.warning("nothing hears on this machine: %s", error)


async def load_turn_model(file: str | None) -> TurnModel | None:
    """What tells a finished sentence by its sound, where the settings name one. Raises SettingsError."""
    if file is None:
        return None
    from workers.voice.vad.smart_turn import SmartTurn, SmartTurnError

    try:
        return await asyncio.to_thread(SmartTurn, Path(file))
    except SmartTurnError as error:
        raise SettingsError(f"OMNI_TURN_MODEL {file!r}: {error}") from error


def _clear(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
