"""The voices that this installation can speak with, as far as its settings say."""

from __future__ import annotations

from typing import Final

from omni.gateway.rest.voices import Voice
from omni.model.sound import LOCAL
from omni.settings import Settings

OPENAI: Final = (
    "alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip
"""Of gpt-4o-mini-tts (OpenAI's guide "Text to speech")."""


def voices_of(settings: Settings) -> list[Voice]:
    """The first is who speaks for an agent that names none."""
    from workers.voice.tts.choose import friendly_names
    from workers.voice.tts.piper import find_voices

    found = [
        Voice(LOCAL, name, name.split("-")[0].replace("_", "-"), is_custom=settings.tts_voice is not None)
        for name in find_voices(settings.tts_voice)
    ]
    if settings.elevenlabs_api_key is not None:
        found += [Voice("elevenlabs", name) for name in friendly_names("elevenlabs")]
    if settings.openai_api_key is not None:
        found += [Voice("openai", name) for name in OPENAI]
    return found
