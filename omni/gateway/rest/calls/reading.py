"""Calls as they are shown."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from omni.gateway.rest.calls.shapes import CallError, CallShown, CallWhole, TranscriptLine
from omni.gateway.rest.channels.shapes import ref_of
from omni.model.call import SOUND, Call, status_of
from omni.model.channel import Channel
from omni.model.contact import Contact, IdentityKind, address_of
from omni.model.conversations import conversation_id
from omni.model.entry import CallConfigured, CallRinging, CallStarted
from omni.model.transcript import Line, Transcript
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
        recording_url=f"/v1/calls/{call.id}/recording" if call.recording is not None else None,
        error=CallError(code=reason, message=f"the call came to nothing: {reason}") if status == "failed" else None,
    )


def _number(contact: Contact) -> str | None:
    """The number as it is dialled; another address of somebody who has none."""
    if contact.first(*_NUMBERS) is None:
        return address_of(contact.identities)
    return f"+{address_of(contact.identities)}"


async def whole_call(store: Store, shown: CallShown) -> CallWhole:
    """With its transcript. Raises StoreError."""
    transcript = Transcript()
    context: dict[str, JsonValue] = {}
    metadata: dict[str, JsonValue] = {}
    is_spoken = shown.transport in SOUND
    after, lines = 0, list[Line]()
    # Aloud a line is complete only entries later: such a log, which lasts minutes, is read whole.
    while (is_spoken or len(lines) <= MOST_LINES) and (
        entries := await store.entries(shown.id, after=after, limit=STEP)
    ):
        after = entries[-1].seq
        for entry in entries:
            match entry.fact:
                case CallStarted() | CallRinging():
                    metadata = entry.fact.metadata
                case CallConfigured(overrides=overrides):
                    context |= dict(overrides.vars or {})
        transcript.add(entries)
        lines = transcript.lines
    return CallWhole(
        **dict(shown),
        context=context,
        metadata=metadata,
        transcript=[_shown_line(line) for line in lines[:MOST_LINES]],
        has_more=len(lines) > MOST_LINES,
    )


def _shown_line(line: Line) -> TranscriptLine:
    return TranscriptLine(
        message_id=line.id,
        role=line.role,
        text=line.text,
        by=line.by,
        at=line.at,
        interrupted=line.interrupted,
        confidence=line.confidence,
    )
