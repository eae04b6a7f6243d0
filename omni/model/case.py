"""What people on our side keep about a conversation: who has it, labels, notes, when to look at it again.

A conversation outlives its calls, so none of this is in a call's log: a note may be written, and a label set, long
after the call has ended.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from omni.model.base import DEFAULT_ORG, Value

MAX_LABELS = 20
LONGEST_NOTE = 10_000
"""Characters."""


class Note(Value):
    """For colleagues only; never sent, never shown to a bot."""

    type: Literal["note"] = "note"
    text: str


class Assigned(Value):
    """`to` is an operator's id; None takes the assignment back."""

    type: Literal["assigned"] = "assigned"
    to: str | None = None


class Labelled(Value):
    type: Literal["labelled"] = "labelled"
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Snoozed(Value):
    """Out of the list until then, or until the customer writes; None wakes it."""

    type: Literal["snoozed"] = "snoozed"
    until: float | None = None


class Resolved(Value):
    """Done: its call was ended."""

    type: Literal["resolved"] = "resolved"


class Reopened(Value):
    type: Literal["reopened"] = "reopened"


class Merged(Value):
    """Another record of the same person was merged into this conversation's contact."""

    type: Literal["merged"] = "merged"
    contact: str
    name: str | None = None


CaseFact = Annotated[Note | Assigned | Labelled | Snoozed | Resolved | Reopened | Merged, Field(discriminator="type")]


class CaseEvent(Value):
    """`number` grows by one an event of the conversation; `by` is an operator's id, `key:<id>` or `omni`."""

    conversation: str
    number: int
    at: float
    by: str
    fact: CaseFact


class Seen(Value):
    """How many of the customer's messages of a call our side has seen."""

    call: str
    user_messages: int


class Case(Value):
    """The case of one conversation (`omni.model.call.conversation_key`). `events` is the number of its newest event.

    `snoozed_at` is when the customer had last written as it was snoozed, as the platform says: what is newer wakes it.
    """

    conversation: str
    org: str = DEFAULT_ORG
    assignee: str | None = None
    labels: tuple[str, ...] = ()
    snoozed_until: float | None = None
    snoozed_at: float | None = None
    seen: Seen | None = None
    memory: dict[str, JsonValue] | None = None
    """What a developer's server keeps about the conversation; every event it is told of carries it."""
    events: int = 0
    version: int = 0

    def is_snoozed(self, last_user_at: float, now: float) -> bool:
        """Whether it is out of the list now. `last_user_at` is when the customer last wrote."""
        if self.snoozed_until is None or self.snoozed_until <= now:
            return False
        return last_user_at <= (self.snoozed_at or 0)
