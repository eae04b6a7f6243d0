"""`/v1/voices`: the voices agents can speak with."""

from __future__ import annotations

from typing import Literal

from omni.gateway.rest.routing import Route, Wanted, route
from omni.gateway.rest.shapes import Nothing, Page, Paging, Shown


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
    def routes(self) -> list[Route]:
        return [
            route(
                "GET", "/v1/voices", self.list_voices, tag="Voices", summary="List voices",
                query=Paging, answer=Page[VoiceShown],
            )
        ]  # fmt: skip

    async def list_voices(self, wanted: Wanted[Nothing, Paging]) -> Page[VoiceShown]:
        """None, until this server speaks. An agent's `voice_id` is kept for then, whatever it is."""
        return Page[VoiceShown].of([])
