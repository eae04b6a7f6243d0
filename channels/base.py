"""What the delivery and media workers need from a channel: one protocol, one adapter a channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from omni.model.channel import Channel
from omni.model.contact import Identity
from omni.model.delivery import Delivery
from omni.model.message import Media


class Action(StrEnum):
    """What a sender must do about a refusal, by the channel's error table."""

    RETRY = "retry"
    """Transient: the same message again, with backoff."""
    SLOW_PAIR = "slow_pair"
    """Too much to this person: hold this conversation, others go on."""
    SLOW_NUMBER = "slow_number"
    """Too much from this number: slow all of it down."""
    WINDOW_CLOSED = "window_closed"
    """Free-form messages are not allowed (any more): a template or nothing."""
    GIVE_UP = "give_up"
    """Permanent for this message or this person."""
    STOP_TEMPLATE = "stop_template"
    """This template cannot be used."""
    STOP_MARKETING = "stop_marketing"
    """The platform or the person refuses marketing: never send it another way."""
    STOP_TOKEN = "stop_token"
    """The access token is broken: stop every send of it until a probe succeeds, keep the messages."""
    STOP_NUMBER = "stop_number"
    """The number or account is blocked: stop it, keep the messages, tell an operator."""


class RefusedError(Exception):
    """The provider did not take a message.

    `is_unclear`: it may have taken it after all (the connection broke after the request was written, or it answered
    with a server error), so sending again may deliver twice. `retry_after` is in seconds, when the provider named it.
    `code` is omni's word, the same on every channel; the text is a sentence without secrets.
    """

    def __init__(
        self,
        reason: str,
        *,
        action: Action,
        code: str,
        provider_code: int | None = None,
        retry_after: float | None = None,
        is_unclear: bool = False,
        max_retries: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.action = action
        self.code = code
        self.provider_code = provider_code
        self.retry_after = retry_after
        self.is_unclear = is_unclear
        self.max_retries = max_retries


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took a piece. `identities` are names of the recipient that its answer taught us, `segments` how many
    messages of the telephone network it made of it, where that is what it charges for."""

    provider_id: str
    identities: tuple[Identity, ...] = ()
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """One provider request of a delivery, ready but for credentials; `payload` is the adapter's own affair."""

    payload: Any
    is_template: bool = False


class Adapter(Protocol):
    """A channel's way to its provider. One instance serves all channels of its kind in the process."""

    kind: str

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def pieces(self, channel: Channel, delivery: Delivery) -> Sequence[Piece]:
        """The requests that carry a delivery: always the same for the same delivery, so that a restart can go on in
        the middle. Raises RefusedError (GIVE_UP) for a message that this channel can never carry."""

    def closed_window_pieces(self, channel: Channel, delivery: Delivery) -> Sequence[Piece] | None:
        """The template to send when the service window is closed, or None to send nothing."""

    async def send(self, channel: Channel, delivery: Delivery, index: int, piece: Piece) -> Accepted:
        """Send one piece. Raises RefusedError for everything that is not an acceptance."""

    async def show_typing(self, channel: Channel, provider_id: str, *, typing: bool) -> None:
        """Show that a user's message was read (and that an answer is being written). Raises RefusedError."""

    async def probe(self, channel: Channel) -> str:
        """One harmless authenticated request; returns who we are in a few words. Raises RefusedError."""

    def fetch(self, channel: Channel, media: Media) -> AbstractAsyncContextManager[Download]:
        """Begin to download a file. Raises RefusedError when it cannot be had, or must not be fetched."""


class Download(Protocol):
    """A file on its way. `expected_sha256` is lower-case hex when the provider named a digest."""

    mime: str | None
    expected_sha256: str | None
    max_bytes: int

    def content(self) -> AsyncIterator[bytes]: ...
