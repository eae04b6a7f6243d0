"""Visitors of the web chat: an identity that a browser keeps for us, and cannot make up."""

from __future__ import annotations

from typing import Final

from omni.access.seal import Sealer
from omni.model.base import Value

VISITOR_PREFIX: Final = "vis_"


class Visitor(Value):
    """An anonymous person who writes to one agent. It has no end: a browser that comes back after a year is the same
    person. `since` is when we first met, epoch seconds."""

    id: str
    org: str
    agent: str
    since: float


def seal_visitor(sealer: Sealer, visitor: Visitor) -> str:
    """A URL-safe text for the browser to bring back."""
    return sealer.seal(
        VISITOR_PREFIX,
        {"v": 1, "sub": visitor.id, "org": visitor.org, "agent": visitor.agent, "iat": visitor.since},
    )


def open_visitor(sealer: Sealer, text: str | None, *, org: str, agent: str) -> Visitor | None:
    """Who comes back; None for anybody else's, another agent's, or a text that we did not write."""
    payload = sealer.unseal(VISITOR_PREFIX, text) if text else None
    match payload:
        case {"v": 1, "sub": str(id_), "org": str(of), "agent": str(to), "iat": int() | float() as since}:
            return Visitor(id=id_, org=of, agent=to, since=since) if (of, to) == (org, agent) else None
        case _:
            return None
