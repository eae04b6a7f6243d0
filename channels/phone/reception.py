"""What the phone's webhooks ask of whoever takes calls: is this call answered, and by which voice worker?

The webhooks run with the gateway, the sound with a voice worker: a `Reception` joins the two. It has ten seconds for an
answer (`webhook.PATIENCE`); one that is late, or raises, is a busy line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from omni.model.channel import PhoneChannel


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """Somebody calls a number of ours. Numbers are as the carrier names them: E.164, a SIP address, or `anonymous`.

    `call` is the carrier's id (`CA…`). `stir` is what the caller's carrier vouches for (`TN-Validation-Passed-A`),
    `extras` whatever else was said about the call, such as `SipHeader_X-…` or `FromCity`: bounded, and not to be
    trusted for anything that matters.
    """

    org: str
    agent: str
    channel: PhoneChannel
    call: str
    from_: str
    to: str
    caller_name: str | None = None
    forwarded_from: str | None = None
    stir: str | None = None
    extras: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReturnedCall:
    """A call that was given away, and nobody was reached: the caller is still there. `why` is what became of it."""

    org: str
    agent: str
    channel: PhoneChannel
    call: str
    why: Literal["busy", "no-answer", "failed", "canceled"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The call is taken. `media_url` is the `wss://` address of the worker's media socket (`media.PATH`), without a
    query; `token` admits the sound there."""

    token: str
    media_url: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The call is not taken: the caller hears a busy line, or that it is not in service."""

    reason: Literal["busy", "rejected"]


Admission = Answer | Refuse

Progress = Literal[
    "ringing",
    "answered",
    "ended",
    "busy",
    "no-answer",
    "failed",
    "canceled",
    "machine",
    "human",
    "forwarded",
    "not_forwarded",
]
FINAL: Final[frozenset[Progress]] = frozenset({"ended", "busy", "no-answer", "failed", "canceled"})


@dataclass(frozen=True, slots=True)
class CallProgress:
    """What the carrier says became of a call.

    `sequence` orders the statuses of one call (None: it was told out of that order). They come at least once and in any
    order; one gateway never tells a call backwards, but two may: who takes them compares `sequence`, and nothing
    follows a final one. `code` is the carrier's (`13227`, or a SIP code such as `486`), `detail` its word.
    """

    org: str
    agent: str
    channel: PhoneChannel
    call: str
    status: Progress
    sequence: int | None = None
    code: str | None = None
    detail: str | None = None


class Reception(Protocol):
    async def offer(self, call: IncomingCall) -> Admission:
        """Somebody calls. May be asked again about the same call by another process: the answer is the same."""

    async def returned(self, call: ReturnedCall) -> Admission:
        """The caller is back from a transfer that reached nobody: where does their sound go?"""

    async def progress(self, progress: CallProgress) -> None:
        """Take note. What it raises is an error to the carrier, which does not tell it again."""
