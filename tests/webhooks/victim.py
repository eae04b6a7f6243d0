"""A process with a webhook worker that the test kills: `victim.py <file> <partitions>`."""

from __future__ import annotations

import asyncio
import logging
import sys

from omni.bus.sqlite import SqliteBus
from omni.model.queues import every_queue
from omni.outgoing.http import OutgoingHttp
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore
from sessions.webhooks.courier import Courier
from workers.webhooks import worker as module
from workers.webhooks.worker import WebhookWorker


async def main(path: str, partitions: int) -> None:
    file = SqliteFile(path, sync="normal")
    store, bus = SqliteStore(file), SqliteBus(file)
    await store.open()
    await bus.open()
    await bus.declare(every_queue(partitions))
    module.LEFT_AFTER = -1e12  # type: ignore[misc]  # what a victim left behind is found at once
    module.LOOK_EVERY = 0.05  # type: ignore[misc]
    worker = WebhookWorker(
        bus=bus,
        store=store,
        courier=Courier(OutgoingHttp(allow_private=True)),
        partitions=range(partitions),
        holder="alone",
        draw=lambda: 0.0,
        slots=3,
    )
    await worker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.disable()
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
