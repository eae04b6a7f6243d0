"""Calls as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from omni.gateway.rest.calls.shapes import CallError, CallShown, CallWhole, TranscriptLine
from omni.gateway.rest.channels.shapes import ref_of
from omni.model.call import Call, status_of
from omni.model.channel import Channel
from omni.model.contact import Contact, IdentityKind, address_of
from omni.model.conversations import conversation_id
from omni.model.entry import BotSaid, CallConfigured, CallStarted, Entry, HumanSaid, UserSaid
from omni.store.base import Store

MOST_LINES: Final = 1_000
STEP: Final = 500
_NUMBERS: Final = (IdentityKind.WA_ID, IdentityKind.E164, IdentityKind.PHONE)


def shown_call(call: Call, contact: Contact | None, channel: Channel | None) -> CallShown:
    status = status_of(call)
    reason = call.reason or "unknown"
    return CallShown(
        id=call.id,
        agent_id=call.agent,
        conversation_id=conversation_id(call.conversation),
        contact_id=call.contact,
        channel_id=call.channel,
        transport=call.transport,
        direction=call.direction,
        status=status,
        handler=call.handler,
        handled_by=call.handled_by,
        phone_number=_number(contact) if contact is not None else None,
        caller_id=ref_of(channel) if channel is not None else None,
        created=call.started_at,
        started_at=call.started_at,
        ended_at=call.ended_at,
        duration=round(call.ended_at - call.started_at, 3) if call.ended_at is not None else None,
        ended_reason=call.reason,
        messages=call.user_messages + call.bot_messages + call.human_messages,
        window_closes_at=call.window_closes_at,
        recording_url=None,
        error=CallError(code=reason, message=f"the call came to nothing: {reason}") if status == "failed" else None,
    )


def _number(contact: Contact) -> str | None:
    """The number as it is dialled; another address of somebody who has none."""
    if contact.first(*_NUMBERS) is None:
        return address_of(contact.identities)
    return f"+{address_of(contact.identities)}"


async def whole_call(store: Store, shown: CallShown) -> CallWhole:
    """With its transcript. Raises StoreError."""
    lines: list[TranscriptLine] = []
    context: dict[str, JsonValue] = {}
    metadata: dict[str, JsonValue] = {}
    after, has_more = 0, False
    while not has_more and (entries := await store.entries(shown.id, after=after, limit=STEP)):
        after = entries[-1].seq
        for entry in entries:
            match entry.fact:
                case CallStarted():
                    metadata = entry.fact.metadata
                case CallConfigured(overrides=overrides):
                    context |= dict(overrides.vars or {})
        lines += _lines(entries)
        has_more = len(lines) > MOST_LINES
    return CallWhole(
        **dict(shown), context=context, metadata=metadata, transcript=lines[:MOST_LINES], has_more=has_more
    )


def _lines(entries: Sequence[Entry]) -> list[TranscriptLine]:
    lines: list[TranscriptLine] = []
    for entry in entries:
        fact = entry.fact
        match fact:
            case UserSaid(id=id_, text=text):
                lines.append(TranscriptLine(message_id=id_, role="user", text=text, by=None, at=entry.ts))
            case BotSaid(id=id_, text=text):
                lines.append(TranscriptLine(message_id=id_, role="assistant", text=text, by=None, at=entry.ts))
            case HumanSaid(id=id_, text=text, by=by):
                lines.append(TranscriptLine(message_id=id_, role="human", text=text, by=by, at=entry.ts))
            case _:
                pass
    return lines
