"""`/v1/voices`: the voices agents can speak with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from omni.gateway.rest.paging import closed, opened
from omni.gateway.rest.routing import Route, Wanted, route
from omni.gateway.rest.shapes import Nothing, Page, Paging, Shown


@dataclass(frozen=True, slots=True)
class Voice:
    """`name` is the provider's own, or one that stands for it. `language` is BCP-47; None: many. `is_custom`: the
    operator's own."""

    provider: str
    name: str
    language: str | None = None
    is_custom: bool = False

    @property
    def id(self) -> str:
        """What an agent's `voice_id` is set to."""
        return f"{self.provider}:{self.name}"


Voices = Callable[[], Sequence[Voice]]


class VoiceShown(Shown):
    id: str
    object: Literal["voice"] = "voice"
    voice_id: str
    name: str
    language: str | None
    gender: str | None
    provider: str
    custom: bool
    preview_url: str | None


class VoiceRoutes:
    def __init__(self, voices: Voices) -> None:
        self._voices = voices

    def routes(self) -> list[Route]:
        return [
            route(
                "GET", "/v1/voices", self.list_voices, tag="Voices", summary="List voices",
                query=Paging, answer=Page[VoiceShown],
            )
        ]  # fmt: skip

    async def list_voices(self, wanted: Wanted[Nothing, Paging]) -> Page[VoiceShown]:
        """Those of this machine, and of the services that the server has keys for. A `voice_id` that is not among them
        is kept all the same: the voice of this machine speaks until it is."""
        shown = [_shown(voice) for voice in self._voices()]
        after = opened("voices", wanted.query.cursor)
        ids = [voice.id for voice in shown]
        start = ids.index(after) + 1 if after in ids else 0
        stop = start + wanted.query.limit
        more = ids[stop - 1] if stop < len(shown) else None
        return Page[VoiceShown].of(shown[start:stop], closed("voices", more))


def _shown(voice: Voice) -> VoiceShown:
    return VoiceShown(
        id=voice.id,
        voice_id=voice.id,
        name=voice.name,
        language=voice.language,
        gender=None,
        provider=voice.provider,
        custom=voice.is_custom,
        preview_url=None,
    )
