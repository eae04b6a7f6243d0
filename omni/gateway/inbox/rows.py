"""A conversation as lists show it. Pure."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from omni.gateway.inbox.naming import conversation_id, party_of
from omni.model.call import Call
from omni.model.case import Case
from omni.model.contact import Contact, address_of
from omni.store.inbox import Listed

Row = dict[str, JsonValue]

GROUP = "group:"


def row_of(listed: Listed, contact: Contact | None, now: float) -> Row:
    """`contact` is the person as they are known now; without one, the row has what the call knew of them."""
    call, case = listed.call, listed.case
    state = state_of(listed, now)
    return {
        "id": conversation_id(call.conversation),
        "call": call.id,
        "agent": call.agent,
        "channel": call.channel,
        "transport": call.transport,
        "contact": brief_contact(call, contact),
        "state": state,
        "handler": call.handler,
        "handled_by": call.handled_by,
        "assignee": case.assignee if case is not None else None,
        "labels": list(case.labels) if case is not None else [],
        "snoozed_until": case.snoozed_until if case is not None and state == "snoozed" else None,
        "unread": unread(call, case),
        "last": {"text": call.last_text, "at": call.last_at, "from": call.last_from},
        "waiting_since": call.waiting_since if call.is_open else None,
        "handoff_reason": call.handoff_reason,
        "started_at": call.started_at,
        "ended_at": call.ended_at,
        "reason": call.reason,
        "direction": call.direction,
        "ringing": call.is_open and call.is_ringing,
        "window_closes_at": call.window_closes_at,
        "failed": call.failed,
        "seq": call.last_seq,
        "case": case.version if case is not None else 0,
    }


def state_of(listed: Listed, now: float) -> Literal["open", "snoozed", "ended"]:
    if not listed.call.is_open:
        return "ended"
    is_snoozed = listed.case is not None and listed.case.is_snoozed(listed.call.last_user_at, now)
    return "snoozed" if is_snoozed else "open"


def unread(call: Call, case: Case | None) -> int:
    """The customer's messages of the newest call that nobody on our side has looked at."""
    seen = case.seen if case is not None else None
    known = seen.user_messages if seen is not None and seen.call == call.id else 0
    return max(0, call.user_messages - known)


def brief_contact(call: Call, contact: Contact | None) -> Row:
    party = party_of(call.conversation)
    if party.startswith(GROUP):
        return {"id": party, "name": None, "address": party.removeprefix(GROUP), "paused": False}
    if contact is None:
        return {"id": call.contact, "name": call.name, "address": None, "paused": False}
    return {
        "id": contact.id,
        "name": contact.name or call.name,
        "address": address_of(contact.identities),
        "paused": contact.is_paused,
    }


def full_contact(contact: Contact) -> Row:
    return {
        "id": contact.id,
        "name": contact.name,
        "username": contact.username,
        "address": address_of(contact.identities),
        "identities": [{"kind": each.kind.value, "value": each.value} for each in contact.identities],
        "attributes": dict(contact.attributes),
        "opted_out": list(contact.opted_out),
        "paused": contact.is_paused,
    }
