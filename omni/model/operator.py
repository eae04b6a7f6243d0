"""People on our side, and what they do: operators, and the record of every action."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, JsonValue

from omni.model.base import DEFAULT_ORG, Value

Role = Literal["admin", "agent", "viewer"]

RANKS: Final[dict[Role, int]] = {"viewer": 0, "agent": 1, "admin": 2}


class Operator(Value):
    """Somebody who may sign in to the inbox. `email` is lower case and unique on the server; `password_hash` is
    argon2id's own text, None for one who signs in by a link or by OpenID Connect (`subject` is the provider's id).

    Times are epoch seconds. `version` grows with every change; whoever saves an old one is refused.
    """

    id: str
    org: str = DEFAULT_ORG
    email: str
    name: str
    role: Role = "agent"
    password_hash: str | None = None
    subject: str | None = None
    language: Literal["en", "es"] | None = None
    created_at: float
    last_seen_at: float | None = None
    disabled_at: float | None = None
    version: int = 0

    def may(self, role: Role) -> bool:
        """Whether the operator's role is at least this one."""
        return RANKS[self.role] >= RANKS[role]


class AuditRecord(Value):
    """Something an operator (or an API key) did. `actor` is an operator's id or `key:<id>`; `action` is a verb like
    `conversation.take`; `target` what it was done to. `details` never hold a secret or what customers wrote."""

    id: str
    org: str
    at: float
    actor: str
    name: str
    action: str
    target: str | None = None
    details: dict[str, JsonValue] = Field(default_factory=dict)
    address: str | None = None
