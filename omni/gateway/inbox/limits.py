"""What may be sent where: how long a text, how large a file. Pure.

Source of WhatsApp's: Cloud API, messages and media (text 4096 characters, caption 1024; image 5 MB, audio and video
16 MB, document 100 MB, sticker 500 kB).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from omni.model.message import MediaKind

MB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """`text` and `caption` in characters, `files` in bytes: kinds that are missing cannot be sent. `types` are the only
    ones of a kind that the channel takes; a kind that is missing there has no such rule."""

    text: int
    caption: int
    files: Mapping[MediaKind, int]
    types: Mapping[MediaKind, frozenset[str]]

    @property
    def largest(self) -> int:
        return max(self.files.values(), default=0)

    def shown(self) -> dict[str, JsonValue]:
        files: dict[str, JsonValue] = {kind.value: size for kind, size in self.files.items()}
        types: dict[str, JsonValue] = {kind.value: [*sorted(names)] for kind, names in self.types.items()}
        return {"text": self.text, "caption": self.caption, "files": files, "types": types}


WHATSAPP: Final = Limits(
    text=4096,
    caption=1024,
    files={
        MediaKind.IMAGE: 5 * MB,
        MediaKind.AUDIO: 16 * MB,
        MediaKind.VIDEO: 16 * MB,
        MediaKind.DOCUMENT: 100 * MB,
        MediaKind.STICKER: 500 * 1024,
    },
    types={
        MediaKind.IMAGE: frozenset({"image/jpeg", "image/png"}),
        MediaKind.AUDIO: frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"}),
        MediaKind.VIDEO: frozenset({"video/mp4", "video/3gpp"}),
        MediaKind.STICKER: frozenset({"image/webp"}),
    },
)
CHAT: Final = Limits(
    text=8_000,
    caption=8_000,
    files=dict.fromkeys((MediaKind.IMAGE, MediaKind.AUDIO, MediaKind.VIDEO, MediaKind.DOCUMENT), 16 * MB),
    types={
        MediaKind.IMAGE: frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"}),
        MediaKind.AUDIO: frozenset({"audio/mpeg", "audio/mp4", "audio/aac", "audio/ogg", "audio/wav", "audio/webm"}),
        MediaKind.VIDEO: frozenset({"video/mp4", "video/webm", "video/quicktime"}),
    },
)
SMS: Final = Limits(
    text=1600,
    caption=1600,
    files=dict.fromkeys((MediaKind.IMAGE, MediaKind.AUDIO, MediaKind.VIDEO, MediaKind.DOCUMENT), 5 * MB),
    types={},
)
"""Files go by MMS, which some countries' numbers cannot send."""

SPOKEN: Final = Limits(text=4096, caption=0, files={}, types={})
"""A call: what is written is read out to the person."""

_BY_TRANSPORT: Final = {"whatsapp": WHATSAPP, "chat": CHAT, "sms": SMS}


def limits_of(transport: str) -> Limits:
    return _BY_TRANSPORT.get(transport, SPOKEN)
