"""The voices an agent can be given, by the names that every installation has."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

NAMES: Final = ("ember", "slate", "marin", "onyx", "brook", "ash")
DEFAULT: Final = NAMES[0]


def voices() -> list[JsonValue]:
    """What an audio engine makes of a name is its own matter; other ids are kept as they are given."""
    return [
        {
            "voice_id": name,
            "voice_name": name.capitalize(),
            "provider": "omni",
            "gender": None,
            "accent": None,
            "preview_audio_url": None,
        }
        for name in NAMES
    ]
