"""What one webhook brought, typed."""

from __future__ import annotations

from dataclasses import dataclass, field

from channels.whatsapp.calling.news import CallNews
from channels.whatsapp.errors import Complaint
from channels.whatsapp.reading import shape
from omni.model.delivery import StatusUpdate
from omni.model.inbound import (
    ColleagueMessage,
    IdentityChanged,
    PersonNotice,
    UserEdit,
    UserMessage,
    UserReaction,
    UserRevoke,
)

PersonInput = UserMessage | UserReaction | UserEdit | UserRevoke | ColleagueMessage | IdentityChanged | PersonNotice
"""The inputs that come from a person on a channel: all that a webhook can bring."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something to log: bounded, on one line, without what people wrote."""

    about: str
    text: str


@dataclass(frozen=True, slots=True)
class AccountNews:
    """News of an account or number that concerns no conversation, as the platform named it."""

    account: str | None
    field: str
    event: str
    complaint: Complaint | None = None


@dataclass(slots=True)
class Batch:
    """What one webhook brought. `inputs` are in the order in which they should act."""

    inputs: list[PersonInput] = field(default_factory=list)
    statuses: list[StatusUpdate] = field(default_factory=list)
    news: list[AccountNews] = field(default_factory=list)
    calls: list[CallNews] = field(default_factory=list)
    """Of numbers whose calls are carried here."""
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def count(self, kind: str, outcome: str, number: int = 1) -> None:
        key = (kind, outcome)
        self.counts[key] = self.counts.get(key, 0) + number

    def note(self, about: str, item: object) -> None:
        if len(self.notes) < 10:
            self.notes.append(Note(about, shape(item)))
