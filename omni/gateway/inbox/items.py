"""What a colleague reads of a conversation: entries, deliveries and case events as items. Pure.

Operators see more than observers of a stream do (who handed over and why, what was whispered, what tools answered),
and yet no prompts, no context, no addressing, and no name of a blob.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from omni.gateway.inbox.calls import is_of_call, item_of_call
from omni.model.case import CaseEvent
from omni.model.delivery import Delivery, DeliveryState
from omni.model.entry import (
    BotCorrected,
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallEnded,
    CallStarted,
    ContactChanged,
    Custom,
    DeliveryLost,
    Entry,
    Fact,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanChanged,
    HumanSaid,
    HumanWhispered,
    MediaStored,
    ToolAnswered,
    ToolCalled,
    TurnEnded,
    TurnStarted,
    UserEdited,
    UserReacted,
    UserRevoked,
    UserSaid,
    UserWrote,
)
from omni.model.message import Media, Message, Reaction

Item = dict[str, JsonValue]
Stored = Mapping[tuple[str, int], Media]
"""Files that were fetched after their message was written down, by message and part."""

_SHOWN: Final = (
    UserSaid
    | UserWrote
    | BotSaid
    | HumanSaid
    | UserReacted
    | UserEdited
    | UserRevoked
    | HumanChanged
    | MediaStored
    | ToolCalled
    | ToolAnswered
    | TurnStarted
    | TurnEnded
    | HandoffRequested
    | HandoffActive
    | HandoffReleased
    | HumanWhispered
    | DeliveryLost
    | CallStarted
    | CallEnded
    | BotCorrected
    | BotFinished
    | BotInterrupted
    | Custom
    | ContactChanged
)


def is_shown(entry: Entry) -> bool:
    fact = entry.fact
    if isinstance(fact, BotFinished) and fact.text is None:
        return False  # in writing a message is whole when it is said
    return isinstance(fact, _SHOWN) or is_of_call(fact)


def item_of(entry: Entry, conversation: str, stored: Stored, deliveries: Mapping[str, Delivery]) -> Item:
    """An entry that `is_shown`. `conversation` is its id in URLs; a delivery that `deliveries` does not have is shown
    as the entry has it."""
    fact = entry.fact
    here = _Here(entry, conversation, stored)
    base: Item = {
        "id": f"{entry.call}:{entry.seq}",
        "call": entry.call,
        "seq": entry.seq,
        "ts": entry.ts,
        "type": fact.type,
    }
    match fact:
        case UserSaid():
            return {**base, "id": fact.id, **_user_said(fact, here)}
        case BotSaid():
            delivery = deliveries.get(fact.delivery.id, fact.delivery) if fact.delivery is not None else None
            return {
                **base,
                "id": fact.id,
                "type": "bot.message",
                **here.said(fact.id, fact.text, fact.message),
                "turn": fact.turn,
                "spoken": fact.delivery is None,
                "by": fact.by,
                "delivery": delivery_of(delivery) if delivery is not None else None,
            }
        case HumanSaid():
            return {**base, **_human_said(fact, here, deliveries)}
        case _:
            of_call = item_of_call(fact, here.recording)
            return {**base, **(_event(fact, entry, here) if of_call is None else of_call)}


def case_item(event: CaseEvent) -> Item:
    told = event.fact.model_dump(mode="json")
    return {"id": f"case:{event.number}", "call": None, "seq": None, "ts": event.at, "by": event.by, **told}


def delivery_of(delivery: Delivery) -> Item:
    """How far a message of ours is."""
    error = delivery.error
    return {
        "id": delivery.id,
        "state": delivery.state.value,
        "error": {"code": error.code, "reason": error.reason} if error is not None else None,
        "provider_ids": [each.provider_id for each in delivery.receipts if each.provider_id is not None],
        "unclear": delivery.unclear,
        "retryable": is_retryable(delivery),
    }


def is_retryable(delivery: Delivery) -> bool:
    """Only what a person wrote: what the bot said and could not deliver is theirs to say in their own words."""
    return delivery.state is DeliveryState.FAILED and delivery.origin == "human"


def delivery_in(fact: Fact) -> Delivery | None:
    """The delivery that an entry's message goes out by, as it was when it was asked for."""
    return fact.delivery if isinstance(fact, BotSaid | HumanSaid) else None


class _Here:
    """Where an entry stands: what its files' addresses are made of."""

    def __init__(self, entry: Entry, conversation: str, stored: Stored) -> None:
        self._entry = entry
        self._conversation = conversation
        self._stored = stored

    def said(self, message_id: str, text: str, message: Message) -> Item:
        return {
            "message_id": message_id,
            "text": text,
            "parts": self.parts(message, message_id),
            "reply_to": message.reply_to,
        }

    def parts(self, message: Message, message_id: str) -> list[JsonValue]:
        return [
            self.media(self._stored.get((message_id, place), part), place)
            if isinstance(part, Media)
            else part.model_dump(mode="json")
            for place, part in enumerate(message.parts)
        ]

    @property
    def recording(self) -> str:
        return f"/v1/inbox/conversations/{self._conversation}/recordings/{quote(self._entry.call, safe='')}"

    def media(self, media: Media, place: int) -> Item:
        call, seq = self._entry.call, self._entry.seq
        path = f"/v1/inbox/conversations/{self._conversation}/media/{quote(call, safe='')}/{seq}/{place}"
        return {
            "type": "media",
            "kind": media.kind.value,
            "mime": media.mime,
            "filename": media.filename,
            "caption": media.caption,
            "size": media.size,
            "voice": media.voice,
            "transcript": media.transcript,
            "problem": media.problem,
            "pending": media.is_pending,
            "url": path if media.blob is not None else None,
            "link": media.link if media.link is not None and media.link.startswith("https://") else None,
        }


def _user_said(fact: UserSaid, here: _Here) -> Item:
    return {
        **here.said(fact.id, fact.text, fact.message),
        "provider_id": fact.provider_id,
        "forwarded": fact.message.forwarded,
        "name": fact.name,
        "turn": fact.turn,
        "replaces": fact.replaces,
    }


def _human_said(fact: HumanSaid, here: _Here, deliveries: Mapping[str, Delivery]) -> Item:
    delivery = deliveries.get(fact.delivery.id, fact.delivery) if fact.delivery is not None else None
    shown: JsonValue = delivery_of(delivery) if delivery is not None else None
    match fact.message.parts:
        case (Reaction(target=target, emoji=emoji),):
            return {
                "id": fact.id,
                "type": "reaction",
                "target": target,
                "emoji": emoji,
                "by": "human",
                "delivery": shown,
            }
        case _:
            return {
                "id": fact.id,
                "type": "human.message",
                **here.said(fact.id, fact.text, fact.message),
                "by": fact.by,
                "provider_id": fact.provider_id,
                "key": fact.tag,
                "delivery": shown,
            }


def _event(fact: Fact, entry: Entry, here: _Here) -> Item:
    match fact:
        case UserWrote():
            where = fact.channel.partition(":")[0]
            return {"message_id": fact.id, "text": fact.text, "channel": where, "beside": fact.beside}
        case UserReacted():
            return {"type": "reaction", "target": fact.target, "emoji": fact.emoji, "by": "user"}
        case UserEdited():
            return {"type": "edit", "message_id": fact.id, "target": fact.target, "text": fact.text, "by": "user"}
        case UserRevoked():
            return {"type": "revoke", "message_id": fact.id, "target": fact.target, "by": "user"}
        case HumanChanged(text=None):
            return {"type": "revoke", "message_id": None, "target": fact.target, "by": "human"}
        case HumanChanged():
            return {"type": "edit", "message_id": None, "target": fact.target, "text": fact.text, "by": "human"}
        case MediaStored():
            return {
                "type": "media",
                "message_id": fact.id,
                "part": fact.part,
                "media": here.media(fact.media, fact.part),
            }
        case ToolCalled():
            return {"tool_id": fact.id, "name": fact.name, "args": fact.args, "turn": fact.turn}
        case ToolAnswered():
            told: Item = {"tool_id": fact.id, "name": fact.name, "result": fact.result}
            return {**told, "ms": fact.ms, "error": fact.error}
        case TurnStarted():
            return {"turn": fact.turn}
        case TurnEnded():
            latency: Item = dict(fact.latency)
            return {"turn": fact.turn, "outcome": fact.outcome, "error": fact.error, "latency": latency}
        case DeliveryLost():
            return {"delivery": fact.delivery, "code": fact.code, "reason": fact.reason}
        case BotFinished() | BotCorrected():
            return {"message_id": fact.id, "text": fact.text}
        case BotInterrupted():
            return {"message_id": fact.id, "text": fact.text, "reason": fact.reason}
        case CallStarted():
            return {"direction": fact.direction, "transport": fact.channel.partition(":")[0]}
        case CallEnded():
            return {"reason": fact.reason, "duration": fact.duration}
        case Custom():
            return {"name": fact.name}
        case ContactChanged():
            return {"why": fact.why}
        case HandoffRequested():
            return {"by": fact.by, "reason": fact.reason}
        case HandoffActive():
            return {"by": fact.by}
        case HandoffReleased():
            return {"by": fact.by, "note": fact.note}
        case HumanWhispered():
            return {"type": "whisper", "by": fact.by, "text": fact.text}
        case _:
            return {}
