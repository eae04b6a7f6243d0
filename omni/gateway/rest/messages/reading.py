"""Messages out of the logs of a conversation's calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from omni.gateway.inbox.cursors import CursorError, Place, cursor_of, place_of
from omni.gateway.inbox.telling import deliveries_of, files_of
from omni.gateway.inbox.thread import StoredThread, older
from omni.gateway.rest.errors import ApiError, missing
from omni.gateway.rest.messages.shapes import MessageError, MessageShown, MessageType
from omni.gateway.rest.shapes import Page
from omni.model.case import CaseEvent
from omni.model.conversations import conversation_id
from omni.model.delivery import Delivery, DeliveryState
from omni.model.entry import BotSaid, Entry, HumanChanged, HumanSaid, UserEdited, UserReacted, UserRevoked, UserSaid
from omni.model.message import Media, Message, Reaction
from omni.store.base import Store

FARTHEST: Final = 20_000
"""Entries that are looked through for one message, from the newest back."""

MESSAGES = UserSaid | BotSaid | HumanSaid | UserReacted | UserEdited | UserRevoked | HumanChanged


class _Log(StoredThread):
    """The calls alone: what our side noted beside them is no message."""

    async def events(self, after: int, limit: int) -> Sequence[CaseEvent]:
        return ()


async def page_of(store: Store, key: str, cursor: str | None, limit: int) -> Page[MessageShown]:
    """The newest messages of a conversation, or those before a cursor; newest first. Raises ApiError 400."""
    stretch = await older(_Log(store, key), await _place(store, key, cursor), limit, _is_message)
    entries = [line.what for line in stretch.lines if isinstance(line.what, Entry)]
    shown = await shown_of(store, key, entries)
    oldest = cursor_of(key, stretch.lines[0].place) if stretch.lines and stretch.has_more else None
    return Page[MessageShown].of(shown[::-1], oldest)


async def entry_of(store: Store, key: str, message_id: str) -> Entry:
    """The entry of a message. Raises ApiError 404."""
    looked = 0

    def is_it(entry: Entry) -> bool:
        nonlocal looked
        looked += 1
        return looked > FARTHEST or (isinstance(entry.fact, MESSAGES) and id_of(entry) == message_id)

    stretch = await older(_Log(store, key), None, 1, is_it)
    found = stretch.lines[0].what if stretch.lines else None
    if not isinstance(found, Entry) or id_of(found) != message_id:
        raise missing("message in this conversation", "GET its messages; one that was just sent takes a moment")
    return found


async def shown_of(store: Store, key: str, entries: Sequence[Entry]) -> list[MessageShown]:
    deliveries, files = await deliveries_of(store, entries), await files_of(store, entries)
    return [_shown(entry, conversation_id(key), deliveries, files) for entry in entries]


async def _place(store: Store, key: str, cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    try:
        place = place_of(key, cursor)
    except CursorError as error:
        raise ApiError(400, "invalid_cursor", f"cursor: {error}", "cursor") from None
    call = await store.call(place.call)
    if call is None or call.conversation != key:
        raise ApiError(400, "invalid_cursor", f"cursor: {CursorError()}", "cursor")
    return place


def _is_message(entry: Entry) -> bool:
    return isinstance(entry.fact, MESSAGES)


def id_of(entry: Entry) -> str:
    """A message's id; of what has none, its place in the log."""
    id_ = entry.fact.id if isinstance(entry.fact, UserSaid | BotSaid | HumanSaid) else None
    return id_ or f"{entry.call}-{entry.seq}"


def _shown(
    entry: Entry, conversation: str, deliveries: Mapping[str, Delivery], files: Mapping[tuple[str, int], Media]
) -> MessageShown:
    fact, id_ = entry.fact, id_of(entry)
    path = f"/v1/conversations/{conversation}/messages/{quote(id_, safe='')}"
    is_ours = isinstance(fact, BotSaid | HumanSaid | HumanChanged)
    message = getattr(fact, "message", None)
    content = message if isinstance(message, Message) else Message(parts=())
    delivery = fact.delivery if isinstance(fact, BotSaid | HumanSaid) else None
    now = deliveries.get(delivery.id, delivery) if delivery is not None else None
    reaction = next((part for part in content.parts if isinstance(part, Reaction)), None)
    emoji = fact.emoji if isinstance(fact, UserReacted) else reaction.emoji if reaction is not None else None
    target = reaction.target if reaction is not None else getattr(fact, "target", None)
    return MessageShown(
        id=id_,
        type=_type(entry, reaction),
        conversation_id=conversation,
        call_id=entry.call,
        direction="outbound" if is_ours else "inbound",
        role="assistant" if isinstance(fact, BotSaid) else "human" if is_ours else "user",
        by=fact.by if isinstance(fact, HumanSaid) else None,
        text=str(getattr(fact, "text", None) or ""),
        parts=[_part(part, place, path, files.get((id_, place))) for place, part in enumerate(content.parts)],
        reply_to=content.reply_to,
        target=str(target) if target is not None else None,
        emoji=emoji,
        status=_status(now) if now is not None else "sent" if is_ours else "received",
        error=MessageError(code=now.error.code, message=now.error.reason) if now and now.error else None,
        provider_ids=_provider_ids(entry, now),
        created=entry.ts,
    )


def _type(entry: Entry, reaction: Reaction | None) -> MessageType:
    match entry.fact:
        case UserReacted():
            return "reaction"
        case UserEdited():
            return "edit"
        case UserRevoked() | HumanChanged(text=None):
            return "revoke"
        case HumanChanged():
            return "edit"
        case _:
            return "message" if reaction is None else "reaction"


def _status(delivery: Delivery) -> str:
    return "read" if delivery.state is DeliveryState.PLAYED else delivery.state.value


def _provider_ids(entry: Entry, delivery: Delivery | None) -> list[str]:
    own = getattr(entry.fact, "provider_id", None)
    sent = [each.provider_id for each in delivery.receipts if each.provider_id] if delivery is not None else []
    return [str(own)] if own else sent


def _part(part: object, place: int, path: str, stored: Media | None) -> dict[str, JsonValue]:
    media = stored or part
    if not isinstance(media, Media):
        assert hasattr(part, "model_dump")
        shown: dict[str, JsonValue] = part.model_dump(mode="json")
        return shown
    hidden = {"blob", "provider_id", "sha256", "link"}
    link = media.link if media.link is not None and media.link.startswith("https://") else None
    url = f"{path}/media/{place}" if media.blob is not None else link
    return {**media.model_dump(mode="json", exclude=hidden), "url": url}
