"""The queues that carry work between the roles, by name."""

from __future__ import annotations

from omni.model.base import Value
from omni.model.ids import partition_of


class Queue(Value):
    """`is_exclusive`: one consumer at a time gets its messages (and so keeps their order); others stand by."""

    name: str
    is_exclusive: bool


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


def webhooks_for(home: str, partitions: int) -> Queue:
    return webhooks(partition_of(home, partitions))


def commands_for(home: str, partitions: int) -> Queue:
    return commands(partition_of(home, partitions))


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
    )
