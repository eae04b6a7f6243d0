"""A delivery: one message on its way to a person, from `queued` to `read` or `failed`.

`receive` and its siblings are pure: they say what a delivery becomes, and never let it go backwards.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from omni.model.base import DEFAULT_ORG, Value
from omni.model.contact import Identity
from omni.model.message import Media, Message


class DeliveryState(StrEnum):
    """`sent` means that the provider took it and gave it an id."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    PLAYED = "played"
    FAILED = "failed"
    CANCELLED = "cancelled"


RANK: Final = {
    DeliveryState.QUEUED: 0,
    DeliveryState.SENDING: 1,
    DeliveryState.SENT: 2,
    DeliveryState.DELIVERED: 3,
    DeliveryState.READ: 4,
    DeliveryState.PLAYED: 5,
}

Origin = Literal["bot", "human", "system"]


class Recipient(Value):
    """Where a message goes: identities in the order to try them; the channel takes the first it can send to."""

    identities: tuple[Identity, ...]
    group: str | None = None
    identity_hash: str | None = None
    name: str | None = None


class Receipt(Value):
    """What is known of one piece of a delivery (a long text goes out in several). Times are epoch seconds."""

    provider_id: str | None = None
    state: DeliveryState = DeliveryState.SENDING
    sent_at: float | None = None
    delivered_at: float | None = None
    read_at: float | None = None
    played_at: float | None = None
    billable: bool = False
    category: str | None = None
    segments: int | None = None
    """How many messages of the telephone network it is, where that is what the provider charges for."""


class DeliveryError(Value):
    """`code` is omni's word, the same on every channel; `provider_code` the provider's number."""

    code: str
    reason: str
    provider_code: int | None = None


class Delivery(Value):
    """The delivery worker owns it from the moment it is queued. `seq` is the log entry that asked for it.

    `unclear` counts sends whose outcome is unknown (the provider may have taken the message): such a delivery may
    reach the person twice, and is counted and shown as such.
    """

    id: str
    org: str = DEFAULT_ORG
    call: str
    home: str
    agent: str
    channel: str
    contact: str
    to: Recipient
    message: Message
    origin: Origin
    seq: int
    created_at: float
    window_closes_at: float | None = None
    mark_read: str | None = None
    """Provider id of the user's message that this one answers: shown to them as read."""
    state: DeliveryState = DeliveryState.QUEUED
    pieces: int = 1
    attempts: int = 0
    unclear: int = 0
    withdrawn: bool = False
    """Withdrawn while its outcome was unknown: it may have arrived, and is not begun again."""
    receipts: tuple[Receipt, ...] = ()
    error: DeliveryError | None = None
    updated_at: float = 0
    version: int = 0
    trace: str | None = None
    """The `traceparent` of the work that sent it, where traces are told: what the provider reports later belongs there.
    """

    @property
    def is_settled(self) -> bool:
        """True when nobody should send it any more."""
        return self.state not in (DeliveryState.QUEUED, DeliveryState.SENDING)

    def tracker(self, piece: int) -> str:
        """The opaque text that the provider returns in every status of a piece."""
        return f"omni:{self.id}:{piece}"


class StatusUpdate(Value):
    """What a provider says about one message. `state` None is a word we do not know: kept, without effect.

    `tracker` is the text we sent with it, `recipient_key` tells participants of a group apart.
    """

    type: Literal["status"] = "status"
    channel: str
    org: str = DEFAULT_ORG
    provider_id: str
    tracker: str | None = None
    state: DeliveryState | None
    word: str
    at: float
    error: DeliveryError | None = None
    billable: bool = False
    category: str | None = None
    recipient_key: str | None = None
    received_at: float


_STATUSES: TypeAdapter[tuple[StatusUpdate, ...]] = TypeAdapter(tuple[StatusUpdate, ...])


def pack_statuses(updates: tuple[StatusUpdate, ...]) -> bytes:
    return _STATUSES.dump_json(updates)


def unpack_statuses(body: bytes) -> tuple[StatusUpdate, ...]:
    return _STATUSES.validate_json(body)


class Send(Value):
    """Outbound queue: please send this delivery (its record is in the store), but not before `after`."""

    type: Literal["send"] = "send"
    delivery: Delivery
    after: float = 0


class Typing(Value):
    """Outbound queue: the bot is at work on the answer to `provider_id`; show that it was read, and typing.

    Worth nothing after `until` (epoch seconds).
    """

    type: Literal["typing"] = "typing"
    call: str
    channel: str
    org: str = DEFAULT_ORG
    agent: str = ""
    provider_id: str
    typing: bool = True
    until: float


class FetchMedia(Value):
    """Media queue: fetch one part's file from the provider into the blobs, transcribe it if it is speech."""

    type: Literal["fetch"] = "fetch"
    call: str
    home: str
    org: str = DEFAULT_ORG
    agent: str
    channel: str
    message_id: str
    part: int
    media: Media
    language: str | None = None


Outbound = Annotated[Send | Typing, Field(discriminator="type")]
_OUTBOUND: TypeAdapter[Send | Typing] = TypeAdapter(Outbound)


def pack_outbound(item: Send | Typing) -> bytes:
    return _OUTBOUND.dump_json(item, exclude_none=True)


def unpack_outbound(body: bytes) -> Send | Typing:
    return _OUTBOUND.validate_json(body)


def piece_of(tracker: str | None) -> tuple[str, int] | None:
    """The delivery id and piece named by a tracker, or None for a text we did not write."""
    if tracker is None or not tracker.startswith("omni:"):
        return None
    head, _, piece = tracker[5:].rpartition(":")
    if not head or not piece.isascii() or not piece.isdigit() or len(piece) > 4:
        return None
    return head, int(piece)


def claim(delivery: Delivery, pieces: int, now: float) -> Delivery | None:
    """The delivery as it is while its pieces are being sent, or None when nobody should send it (any more).

    One that was withdrawn in the middle is cancelled instead.
    """
    if delivery.is_settled:
        return None
    if delivery.withdrawn:
        return delivery.model_copy(update={"state": DeliveryState.CANCELLED, "updated_at": now})
    return delivery.model_copy(
        update={
            "state": DeliveryState.SENDING,
            "pieces": pieces,
            "attempts": delivery.attempts + 1,
            "updated_at": now,
        }
    )


def hand_back(delivery: Delivery, now: float) -> Delivery | None:
    """Queued again: nobody is sending it, and no piece of it is on its way with an unknown outcome."""
    if delivery.state is not DeliveryState.SENDING:
        return None
    state = DeliveryState.CANCELLED if delivery.withdrawn else DeliveryState.QUEUED
    return delivery.model_copy(update={"state": state, "updated_at": now})


def requeue(delivery: Delivery, piece: int, now: float) -> Delivery:
    """Queued again because the provider reported, after accepting a piece, that it could not deliver it for now."""
    receipts = _with_piece(delivery.receipts, piece)
    if delivery.withdrawn or RANK.get(receipts[piece].state, 0) >= RANK[DeliveryState.DELIVERED]:
        return delivery
    receipts[piece] = Receipt()
    return delivery.model_copy(
        update={"state": DeliveryState.QUEUED, "error": None, "receipts": tuple(receipts), "updated_at": now}
    )


def next_piece(delivery: Delivery) -> int:
    """The first piece that the provider has not taken, as far as we know."""
    for place, receipt in enumerate(delivery.receipts):
        if receipt.provider_id is None:
            return place
    return len(delivery.receipts)


def accept(delivery: Delivery, piece: int, provider_id: str, now: float, *, segments: int | None = None) -> Delivery:
    """The provider took one piece."""
    receipts = _with_piece(delivery.receipts, piece)
    old = receipts[piece]
    state = old.state if RANK.get(old.state, 0) >= RANK[DeliveryState.SENT] else DeliveryState.SENT
    known = {"provider_id": provider_id, "state": state, "sent_at": old.sent_at or now}
    receipts[piece] = old.model_copy(update={**known, "segments": segments or old.segments})
    return _settle(delivery, receipts, now)


def fail(delivery: Delivery, error: DeliveryError, now: float) -> Delivery:
    """The provider refused for good; a message that is known to have arrived stays arrived."""
    if RANK.get(delivery.state, 0) >= RANK[DeliveryState.DELIVERED]:
        return delivery
    return delivery.model_copy(update={"state": DeliveryState.FAILED, "error": error, "updated_at": now})


def cancel(delivery: Delivery, now: float) -> Delivery:
    """Withdrawn: cancelled when nobody began to send it, else not begun again. What is on its way stays on its way."""
    if delivery.state is DeliveryState.SENDING:
        return delivery.model_copy(update={"withdrawn": True})
    if delivery.state is not DeliveryState.QUEUED:
        return delivery
    return delivery.model_copy(update={"state": DeliveryState.CANCELLED, "updated_at": now})


def receive(delivery: Delivery, status: StatusUpdate, piece: int) -> Delivery:
    """The delivery after a provider's status: it never goes down, and an arrival beats a failure."""
    if status.state is None or status.recipient_key is not None:
        return delivery
    receipts = _with_piece(delivery.receipts, piece)
    old = receipts[piece]
    if status.state is DeliveryState.FAILED:
        if RANK.get(old.state, 0) >= RANK[DeliveryState.DELIVERED]:
            return delivery
        receipts[piece] = old.model_copy(update={"provider_id": old.provider_id or status.provider_id})
        error = status.error or DeliveryError(code="failed", reason="the provider gave no reason")
        return delivery.model_copy(
            update={
                "state": DeliveryState.FAILED,
                "error": error,
                "receipts": tuple(receipts),
                "updated_at": status.received_at,
            }
        )
    changes: dict[str, object] = {"provider_id": old.provider_id or status.provider_id}
    time_field = f"{status.state.value}_at"
    if getattr(old, time_field, None) is None:
        changes[time_field] = status.at
    if RANK[status.state] > RANK.get(old.state, -1):
        changes["state"] = status.state
    if status.billable:
        changes["billable"] = True
    if status.category is not None:
        changes["category"] = status.category
    receipts[piece] = old.model_copy(update=changes)
    return _settle(delivery, receipts, status.received_at)


def _with_piece(receipts: tuple[Receipt, ...], piece: int) -> list[Receipt]:
    return [*receipts, *(Receipt() for _ in range(piece + 1 - len(receipts)))]


def _settle(delivery: Delivery, receipts: list[Receipt], now: float) -> Delivery:
    """A delivery is as far as its slowest piece; while pieces are still to be sent it stays `sending`."""
    changes: dict[str, object] = {"receipts": tuple(receipts), "updated_at": now}
    slowest = min((r.state for r in receipts), key=lambda state: RANK.get(state, 0))
    arrived = RANK.get(slowest, 0) >= RANK[DeliveryState.DELIVERED]
    if delivery.state is DeliveryState.FAILED:
        if arrived:
            changes |= {"state": slowest, "error": None}
    elif (
        len(receipts) >= delivery.pieces
        and delivery.state is not DeliveryState.CANCELLED
        and RANK[slowest] > RANK[delivery.state]
    ):
        changes["state"] = slowest
    return delivery.model_copy(update=changes)
