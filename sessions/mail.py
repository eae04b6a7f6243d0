"""What waits for a call, what it has in hand, and the bus messages these came by."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from omni.bus.base import Received
from omni.telemetry import tracing
from sessions.steps import Happening, Signalled, Tick


class Kept:
    """Messages in hand only because they are owed an answer, by queue: at most `room` of each queue, so that what
    comes behind them (a person's Pause, above all) still gets through. `is_crowded` says when there is no room for
    more brains at work: then everything is kept, and the bus holds back what follows."""

    def __init__(self, room: int, is_crowded: Callable[[], bool]) -> None:
        self._room = room
        self._is_crowded = is_crowded
        self._count: Counter[str] = Counter()

    def takes(self, queue: str) -> bool:
        if self._count[queue] >= self._room and not self._is_crowded():
            return False
        self._count[queue] += 1
        return True

    def lets_go(self, queue: str) -> None:
        self._count[queue] -= 1


class Parcel:
    """A bus message and how many of its inputs are still to be dealt with; it is acked after the last."""

    __slots__ = ("_is_kept", "_kept", "_left", "_poison", "received")

    def __init__(self, received: Received, count: int, kept: Kept) -> None:
        self.received = received
        self._left = count
        self._kept = kept
        self._is_kept = False
        self._poison: str | None = None

    def keep(self) -> bool:
        """Whether it may stay in hand until its input is answered; if not, the input is done."""
        self._is_kept = self._is_kept or self._kept.takes(self.received.queue)
        return self._is_kept

    def done(self) -> None:
        self._left -= 1
        if self._left > 0:
            return
        self._let_go()
        if self._poison is None:
            self.received.ack()
        else:
            self.received.bury(self._poison)

    def bury(self, error: str) -> None:
        """It is buried once its other inputs are dealt with: until then a crash must bring them back."""
        self._poison = error
        self.done()

    def release(self) -> None:
        self._let_go()
        self.received.release()

    def _let_go(self) -> None:
        if self._is_kept:
            self._is_kept = False
            self._kept.lets_go(self.received.queue)


@dataclass(slots=True)
class Mail:
    """A happening in the mailbox. `accepted` tells whoever posted it whether the call took it; `trace` is what it
    belongs to, where traces are told."""

    happening: Happening
    parcel: Parcel | None = None
    accepted: asyncio.Future[bool] | None = None
    was_taken: bool = False
    trace: str | None = field(default_factory=tracing.here)

    def __post_init__(self) -> None:
        if self.parcel is not None:
            self.trace = self.parcel.received.trace

    @property
    def key(self) -> str | None:
        return None if isinstance(self.happening, Tick | Signalled) else self.happening.key

    @property
    def is_redelivered(self) -> bool:
        return self.parcel is not None and self.parcel.received.is_redelivered

    def tell(self, was_taken: bool) -> None:
        """Answer whoever posted it."""
        if self.accepted is not None and not self.accepted.done():
            self.accepted.set_result(was_taken)

    def refuse(self) -> None:
        """Hand it back: nothing was made of it."""
        if self.parcel is not None:
            self.parcel.release()
        if self.accepted is not None and not self.accepted.done():
            self.accepted.cancel()


class InHand:
    """Messages that are in the log and still owed an answer, by their id. Their parcels stay unacknowledged, so that
    another worker gets them if this one dies before answering.

    `leans_on_wake`: there was no room for some of them. If we die, the call's alarm clock brings those back.
    """

    def __init__(self) -> None:
        self._parcels: dict[str, list[Parcel]] = {}
        self.leans_on_wake = False

    def keep(self, message_id: str, parcel: Parcel) -> None:
        if parcel.keep():
            self._parcels.setdefault(message_id, []).append(parcel)
        else:
            self.leans_on_wake = True
            parcel.done()

    def settle_all_but(self, owed: Collection[str]) -> None:
        """Every message but those of `owed` has its answer."""
        if not owed:
            self.leans_on_wake = False
        if not self._parcels:
            return
        owed = frozenset(owed)
        for id_ in [id_ for id_ in self._parcels if id_ not in owed]:
            for parcel in self._parcels.pop(id_):
                parcel.done()

    def release(self) -> None:
        """Hand everything back."""
        for parcel in self._empty():
            parcel.release()

    def bury(self, error: str) -> None:
        """Nothing here can be answered."""
        for parcel in self._empty():
            parcel.bury(error)

    def _empty(self) -> list[Parcel]:
        parcels = [parcel for kept in self._parcels.values() for parcel in kept]
        self._parcels.clear()
        return parcels
