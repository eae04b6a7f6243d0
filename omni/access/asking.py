"""Who asks for an agent from a page, and which pages may: what the web chat and calls from browsers have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from omni.access.origins import is_allowed
from omni.model.agent import Agent

Agents = Callable[[], Sequence[Agent]]
"""All agents as they are now."""
PageKind = Literal["chat", "webrtc"]


@dataclass(frozen=True, slots=True)
class Asking:
    """Where somebody asks from: their address, their page's origin, and the origin that our own pages have for them."""

    address: str
    origin: str | None
    own_origin: str


def has_page(agent: Agent, kind: PageKind) -> bool:
    """Whether our own pages may be used to reach it."""
    return any(channel.kind == kind for channel in agent.channels)


def welcomes(agent: Agent, asking: Asking, kind: PageKind) -> bool:
    """Whether it may be reached without a token from the page that asks."""
    allowed = (*agent.allowed_origins, asking.own_origin) if has_page(agent, kind) else agent.allowed_origins
    return is_allowed(asking.origin, allowed)


def thread_visitor(agent: str, by: str, thread: str) -> str:
    """The visitor of a named conversation: of one agent, and of either a token's own word or a page's. The name itself
    may be all that protects it, so it is shown nowhere."""
    digest = hashlib.sha256(f"{agent}\n{by}\n{thread}".encode("utf-8", "surrogatepass"))
    return f"t-{digest.hexdigest()[:32]}"
