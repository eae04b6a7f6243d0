"""What the voice worker needs from a channel with sound: one party's audio both ways, and who carries the call.

Sound is signed 16-bit little-endian mono at the leg's own rate, in frames of 20 ms. Nobody resamples a frame that need
not be: a channel decodes its codec, and the stages that need another rate convert what they use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from pydantic import JsonValue

from omni.model.base import DEFAULT_ORG
from omni.model.channel import Channel
from omni.model.inbound import AnyInput, CallOffered, CallProgress, CallSignal, SeatOffered

FRAME_MS: Final = 20


def frame_bytes(rate: int) -> int:
    """The size of one frame at a rate: 320 bytes at 8,000 samples a second."""
    return rate * FRAME_MS // 1000 * 2


class Ear(Protocol):
    """What a leg tells. Called on the event loop; each returns at once."""

    def heard(self, pcm: bytes, at: float) -> None:
        """One frame of the caller. `at` is media time, in milliseconds since the leg's first frame by the sender's own
        clock: it jumps where sound was lost. Frames come in order; one that is late or doubled never comes."""

    def pressed(self, digit: str) -> None:
        """The caller pressed a key: `0-9`, `*`, `#`, `A-D`."""

    def played(self, mark: str) -> None:
        """Everything that was played before this mark has reached the caller. Never for sound that was cleared."""

    def gone(self, reason: str) -> None:
        """The leg is over, once, and nothing comes after: `hangup` when the caller left, `lost` when it broke."""


class Leg(Protocol):
    """One party's sound. Its methods return at once and never raise: a leg that broke says so through `Ear.gone`."""

    @property
    def rate(self) -> int:
        """Samples a second, both ways: 8000, 16000, …"""

    def listen(self, ear: Ear) -> None:
        """Begin to tell what is heard. Frames from before are not kept."""

    def play(self, pcm: bytes) -> None:
        """Sound to play behind what was given before: one frame or more, paced by the caller (`workers.voice`)."""

    def clear(self) -> None:
        """Drop what the far end has not played yet; marks in it will not come."""

    def mark(self, name: str) -> None:
        """Ask to be told when everything so far was played."""

    def hang_up(self) -> None:
        """End it; `Ear.gone` does not follow."""


@dataclass(frozen=True, slots=True)
class Order:
    """A call to place. `token` admits its sound (`Switchboard.connect`); `ring` is how long it may ring, in seconds;
    `org` is whose call it is."""

    channel: Channel
    from_: str
    to: str
    token: str
    ring: float = 25.0
    detects_machine: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    org: str = DEFAULT_ORG


@dataclass(frozen=True, slots=True)
class Transfer:
    """A call to give away. `announce` is said to whoever is reached, before they are connected; `number` is the one
    that they see."""

    to: str
    number: str
    announce: str | None = None
    ring: float = 25.0


Outcome = Literal["busy", "no-answer", "failed", "canceled", "rejected"]


class CarrierError(Exception):
    """The carrier did not do it. The text is a sentence without secrets; `outcome` is why a call came to nothing."""

    def __init__(self, reason: str, *, outcome: Outcome = "failed", code: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.outcome: Outcome = outcome
        self.code = code


class Carrier(Protocol):
    """Whoever carries calls of one kind of channel (`phone`: Twilio). One instance a process. What it does to a call
    shows in `CallProgress` inputs and in the leg."""

    kind: str

    async def dial(self, order: Order) -> str:
        """Begin to call; returns the carrier's id of the call, which is its id here (`CA…`). Raises CarrierError.
        Whoever asks can be told of the call as soon as this returns: it may be answered at once."""

    async def hang_up(self, channel: Channel, call: str) -> None:
        """End a call, also one that still rings. A call that is over already is fine. Raises CarrierError."""

    async def transfer(self, channel: Channel, call: str, transfer: Transfer) -> None:
        """Begin to give the call away: its leg goes, and comes back under the same token when nobody was reached.
        Raises CarrierError when it could not even begin."""

    async def press(self, channel: Channel, call: str, digits: str) -> bool:
        """Press keys towards the other party by the carrier's own means; False when it has none, and the tones must be
        played in the sound. Raises CarrierError."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call is taken: `token` admits its sound (`Switchboard.connect`)."""

    token: str


@dataclass(frozen=True, slots=True)
class Refused:
    reason: Literal["busy", "rejected"]


class Door(Protocol):
    """A channel whose callers bring the description of their sound along (WebRTC): the worker that takes the call
    answers it."""

    kind: str

    async def answer(self, offered: CallOffered, token: str) -> dict[str, JsonValue]:
        """What the caller is told (`{"sdp": …}`); the sound connects by itself, under the token. Raises
        CarrierError."""

    async def back(self, call: str, sdp: str) -> dict[str, JsonValue]:
        """The same for a call that goes on, whose caller comes back from another network."""

    def signalled(self, signal: CallSignal) -> None:
        """What the signalling says of one of its calls, where that comes apart from the sound."""

    async def seat(self, offered: SeatOffered, sit: Callable[[Leg], Ear | None]) -> dict[str, JsonValue]:
        """The same for a colleague who wants to be on the line of any call. `sit` is called when their sound is here,
        and returns who hears it; None: hang up."""


class Switchboard(Protocol):
    """What the voice worker offers to the channels of its process."""

    async def offer(self, offered: CallOffered) -> Admitted | Refused:
        """Somebody calls (`offered.ask` is not used). The same call again gets the same answer."""

    def tell(self, command: AnyInput) -> None:
        """What becomes of one of its calls (`CallProgress`), or what the other side asks of it."""

    def connect(self, token: str, call: str, leg: Leg) -> Ear | None:
        """The sound of a call that was admitted under `token` (once, for this call, within its time) is here. None:
        it is not wanted; hang up."""

    def dismiss(self, token: str) -> None:
        """The sound of a call that was admitted under `token` will not come."""


def progress(
    call: str, org: str, number: int, status: str, at: float, code: str | None = None, detail: str | None = None
) -> CallProgress:
    """What becomes of a call that a process has in hand itself: its worker finds it by its id alone. `number` counts
    what this process tells."""
    return CallProgress.model_validate(
        {
            "key": f"{call}:{number}:{status}",
            "org": org,
            "agent": "",
            "channel": "",
            "at": at,
            "call": call,
            "home": "",
            "status": status,
            "sequence": number,
            "code": code,
            "detail": detail,
        }
    )
