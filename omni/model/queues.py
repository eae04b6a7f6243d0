"""The queues that carry work between the roles, by name."""

from __future__ import annotations

from typing import Final

from omni.model.base import Value
from omni.model.ids import partition_of


class Queue(Value):
    """`is_exclusive`: one consumer at a time gets its messages (and so keeps their order); others stand by."""

    name: str
    is_exclusive: bool
    is_passing: bool = False
    """It goes with its consumer: what is in it then is lost, and nobody minds."""


VOICE = Queue(name="voice", is_exclusive=False)
"""Calls with sound that come in, or are to be placed: whichever voice worker has room takes one."""

STATUSES = Queue(name="statuses", is_exclusive=False)
MEDIA = Queue(name="media", is_exclusive=False)


def inbound(partition: int) -> Queue:
    return Queue(name=f"inbound.{partition}", is_exclusive=True)


def outbound(partition: int) -> Queue:
    return Queue(name=f"outbound.{partition}", is_exclusive=True)


def commands(partition: int) -> Queue:
    """What people on our side ask of the partition's calls: it must not wait behind what customers wrote."""
    return Queue(name=f"commands.{partition}", is_exclusive=True)


def webhooks(partition: int) -> Queue:
    """Calls of the partition with events that developers are still to be told of."""
    return Queue(name=f"webhooks.{partition}", is_exclusive=True)


_AT_VOICE: Final = "voice:"


def voice_home(worker: str) -> str:
    """The routing key of the calls with sound that a voice worker has."""
    return f"{_AT_VOICE}{worker}"


def voice_worker(home: str) -> str | None:
    """The voice worker that such a routing key names; None for any other."""
    return home.removeprefix(_AT_VOICE) if home.startswith(_AT_VOICE) else None


def claim_of(call: str) -> str:
    """The name of the lease by which a voice worker has a call before it is in its log."""
    return f"call:{call}"


def end_of(call: str) -> str:
    """The name of the lease by which the end of a call is known that may be told of later than its end."""
    return f"over:{call}"


def voice_of(worker: str) -> Queue:
    """What people ask of the calls that a voice worker has: they end with it."""
    return Queue(name=f"voice.{worker}", is_exclusive=True, is_passing=True)


def webhooks_for(home: str, partitions: int) -> Queue:
    return webhooks(partition_of(home, partitions))


def commands_for(home: str, partitions: int) -> Queue:
    """Where the owner of what `home` routes to takes commands."""
    worker = voice_worker(home)
    return voice_of(worker) if worker is not None else commands(partition_of(home, partitions))


def inbound_for(home: str, partitions: int) -> Queue:
    """The queue of the one worker that speaks with whoever `home` routes to."""
    return inbound(partition_of(home, partitions))


def outbound_for(home: str, partitions: int) -> Queue:
    return outbound(partition_of(home, partitions))


def every_queue(partitions: int) -> tuple[Queue, ...]:
    return (
        *(commands(n) for n in range(partitions)),
        *(inbound(n) for n in range(partitions)),
        *(outbound(n) for n in range(partitions)),
        *(webhooks(n) for n in range(partitions)),
        STATUSES,
        MEDIA,
        VOICE,
    )
