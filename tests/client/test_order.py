"""What one socket asks for keeps its order: on the way to the bus, and in the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from omni.bus.base import Received
from omni.bus.sqlite import SqliteBus
from omni.gateway.client.acks import Acks
from omni.gateway.client.outbox import Outbox
from omni.live.hub import Hub
from omni.live.told import Answered, desk_topic
from omni.model.inbound import Ask, EndCall, unpack
from omni.model.queues import commands, every_queue
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore
from sessions.commands import Commands


@dataclass
class Office:
    bus: SqliteBus
    hub: Hub
    commands: Commands

    async def answer(self, ask: Ask) -> None:
        await self.bus.broadcast(desk_topic(ask.desk), Answered(id=ask.id).model_dump_json().encode())


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    file = SqliteFile(tmp_path / "omni.db", sync="normal")
    await file.open()
    store, bus = SqliteStore(file), SqliteBus(file)
    await store.open()
    await bus.open()
    await bus.declare(every_queue(1))
    hub = Hub(bus, store, "desk-1")
    await hub.start()
    yield Office(bus, hub, Commands(store, bus, 1))
    await hub.stop()
    await bus.close()
    await store.close()
    await file.close()


def end(key: str) -> EndCall:
    return EndCall(key=key, agent="a", channel="c", at=1, call="id-1", home="h", by="program")


async def test_commands_are_published_in_the_order_they_came(office: Office) -> None:
    outbox = Outbox(office.commands, room=10)
    keys = [f"k{number}" for number in range(100)]
    for key in keys:
        await outbox.put(end(key))
    await outbox.close()
    taken: list[str] = []

    def take(received: Received) -> None:
        taken.extend(one.key for one in unpack(received.body))
        received.ack()

    consumer = await office.bus.consume(commands(0), take, prefetch=1000)
    async with asyncio.timeout(20):
        while len(taken) < len(keys):
            await asyncio.sleep(0.005)
    await consumer.stop()
    assert taken == keys


async def test_answers_of_a_call_come_in_the_order_of_its_requests(office: Office) -> None:
    acks = Acks(office.hub, 20)
    asks: list[Ask] = []
    settled: list[str] = []
    done = asyncio.Event()

    async def send(ask: Ask) -> None:
        asks.append(ask)

    def settle(name: str) -> None:
        settled.append(name)
        if len(settled) == 4:
            done.set()

    for name in ("first", "second", "third"):
        await acks.request("id-1", send, lambda _, name=name: settle(name))  # type: ignore[misc]
    await acks.request("id-2", send, lambda _: settle("other"))
    for ask in reversed(asks):
        await office.answer(ask)
    async with asyncio.timeout(20):
        await done.wait()
    assert [name for name in settled if name != "other"] == ["first", "second", "third"]
    assert settled[0] == "other"  # which waits for nobody else's call
    await acks.close()


async def test_a_request_that_nobody_answers_is_settled_without_an_outcome(office: Office) -> None:
    acks = Acks(office.hub, 0.05)
    outcome: asyncio.Future[Answered | None] = asyncio.get_running_loop().create_future()

    async def send(_: Ask) -> None:
        return

    await acks.request("id-1", send, outcome.set_result)
    assert await outcome is None
    await acks.close()
