"""What a change of OMNI_PARTITIONS leaves behind."""

from __future__ import annotations

import logging
from typing import Final

from omni.bus.base import Bus, BusError, BusUnavailableError
from omni.model.queues import inbound

log = logging.getLogger("omni.server")

MOST: Final = 256


async def partitions_to_serve(bus: Bus, partitions: int) -> int:
    """`partitions`, or how many there were when an earlier run had more: messages may wait in their queues.

    Raises BusUnavailableError.
    """
    found = partitions
    while found < MOST and await _exists(bus, inbound(found).name):
        found += 1
    if found > partitions:
        log.warning(
            "OMNI_PARTITIONS is %d, but the bus has queues of %d partitions: what waits there is served too; "
            "all processes must have the same number",
            partitions,
            found,
        )
    return found


async def _exists(bus: Bus, queue: str) -> bool:
    try:
        await bus.depth(queue)
    except BusUnavailableError:
        raise
    except BusError:
        return False
    return True
