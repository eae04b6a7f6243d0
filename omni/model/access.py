"""Who may do what, and who is doing it right now."""

from __future__ import annotations

from pydantic import Field, JsonValue

from omni.model.base import Value


class Lease(Value):
    """A name that one holder has until a moment (epoch seconds): an agent's connected program, a token that was used.

    Names begin with their kind: `program:<org>/<slug>`, `used:<token id>`.
    """

    name: str
    holder: str
    until: float
    data: dict[str, JsonValue] = Field(default_factory=dict)


class ApiKey(Value):
    """A key of an organisation; only its SHA-256 is kept (`hash`, lower-case hex), and `preview` to recognise it."""

    id: str
    org: str
    name: str
    hash: str
    preview: str
    created_at: float
    last_used_at: float | None = None
    revoked_at: float | None = None
