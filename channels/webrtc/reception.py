"""What the gateway asks of the voice workers when a browser calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import JsonValue

from channels.webrtc.admission import Caller
from omni.model.inbound import Opening


@dataclass(frozen=True, slots=True)
class BrowserCall:
    """`config` is what the page wants otherwise than the agent, of what a page may set."""

    call: str
    caller: Caller
    sdp: str
    opening: Opening
    config: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Answer:
    sdp: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """`reason` is a sentence. `kind`: nobody is free; there is nobody at all; the offer is no good; the call is
    over."""

    kind: Literal["busy", "nobody", "bad", "over"]
    reason: str


class Reception(Protocol):
    """Raises StoreError."""

    async def offer(self, call: BrowserCall) -> Answer | Refuse: ...

    async def back(self, call: str, sdp: str) -> Answer | Refuse:
        """The page of a call that goes on is on another network."""
