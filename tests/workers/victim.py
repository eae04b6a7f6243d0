"""A process with a delivery worker that the test kills: `victim.py <file> <provider's URL> <slots>`."""

from __future__ import annotations

import asyncio
import logging
import sys

import aiohttp

from channels.base import Accepted, Action, Piece, RefusedError
from omni.bus.sqlite import SqliteBus
from omni.model.channel import WhatsAppChannel
from omni.model.queues import every_queue
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore
from workers.delivery import DeliveryWorker
from workers.line import Route

PARTITIONS = 2


class Wire:
    """A channel whose provider is the test, over HTTP."""

    kind = "whatsapp"

    def __init__(self, url, session):
        self.url, self.session = url, session

    def pieces(self, channel, delivery):
        return [Piece(text) for text in delivery.message.text.split("|")]

    def closed_window_pieces(self, channel, delivery):
        return None

    async def send(self, channel, delivery, index, piece):
        try:
            async with self.session.post(self.url, json={"tracker": delivery.tracker(index)}) as answer:
                return Accepted((await answer.json())["id"])
        except aiohttp.ClientError as error:
            raise RefusedError(str(error), action=Action.RETRY, code="transient", is_unclear=True) from error

    async def show_typing(self, channel, provider_id, *, typing): ...

    async def probe(self, channel):
        return "the test"


class OneChannel:
    async def route(self, org, channel, agent):
        number = WhatsAppChannel(
            phone_number_id="100", access_token="T", app_secret="S", verify_token="V", rate=1000, pair_interval=0
        )
        return Route(number, org, agent)


async def main(path, url, slots):
    file = SqliteFile(path, sync="normal")
    store, bus = SqliteStore(file), SqliteBus(file)
    await store.open()
    await bus.open()
    await bus.declare(every_queue(PARTITIONS))
    async with aiohttp.ClientSession() as session:
        worker = DeliveryWorker(
            bus=bus,
            store=store,
            adapters={"whatsapp": Wire(url, session)},
            channels=OneChannel(),
            partition_count=PARTITIONS,
            settle_wait=0.05,
            slots=slots,
        )
        await worker.start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    logging.disable()
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
