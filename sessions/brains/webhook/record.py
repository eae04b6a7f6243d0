"""What became of a request to a developer's server, for the list of deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

EVENT: Final = "agent.message"
"""What a request for an answer is called."""

KEPT_REPLY: Final = 2048
"""Bytes of an answer that are kept."""


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One request of one turn; it is never repeated.

    `id` is the delivery's id in the request's headers, `at` epoch seconds, `status` None when no answer came.
    `error` says why the turn stayed without an answer, and is None when it was answered or cut; `was_cut` when the user
    went on or a person took over. `notes` are sentences about what was passed over in the answer.
    """

    id: str
    org: str
    agent: str
    endpoint: str | None
    call: str
    turn: int
    transport: str
    message: str | None
    body: str
    at: float
    ms: int
    status: int | None
    error: str | None
    was_cut: bool
    reply: str
    notes: tuple[str, ...]


class TurnLog(Protocol):
    """Keeps records of turns for whoever looks at an endpoint's deliveries."""

    def note(self, record: TurnRecord) -> None:
        """Never blocks and never raises: it is called while a turn is being cut."""


class NoTurnLog:
    """Keeps nothing."""

    def note(self, record: TurnRecord) -> None:
        """Forgotten."""
