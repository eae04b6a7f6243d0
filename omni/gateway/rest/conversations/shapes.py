"""A conversation: all calls of an agent with one person (or group) on one channel."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from omni.gateway.rest.shapes import AgentId, Paging, Shown
from omni.model.entry import Handler


class ConversationsQuery(Paging):
    """`open` are those with an open call, snoozed ones too; `ended` those without."""

    status: Literal["open", "snoozed", "ended"] = "open"
    agent_id: AgentId | None = None
    transport: str | None = Field(default=None, min_length=1, max_length=20, examples=["whatsapp"])
    handler: Handler | None = Field(default=None, description="Who answers now.")
    label: str | None = Field(default=None, min_length=1, max_length=60)
    assignee: str | None = Field(default=None, max_length=64, description="An operator's id, or `none`.")


class Party(Shown):
    """With whom it is; of a group the id begins with `group:`."""

    id: str
    name: str | None
    address: str | None


class LastMessage(Shown):
    text: str
    role: str | None
    at: float


class ConversationShown(Shown):
    """`call_id` is its newest call."""

    id: str
    object: Literal["conversation"] = "conversation"
    agent_id: str
    channel_id: str
    transport: str
    contact: Party
    status: Literal["open", "snoozed", "ended"]
    call_id: str
    handler: str
    handled_by: str | None
    assignee: str | None
    labels: list[str]
    snoozed_until: float | None
    last_message: LastMessage | None
    waiting_since: float | None
    window_closes_at: float | None
    created: float
    ended_at: float | None


class NoteShown(Shown):
    text: str
    by: str
    at: float


class ConversationWhole(ConversationShown):
    """With what colleagues noted, the newest 100."""

    notes: list[NoteShown]
