"""Passing queues on RabbitMQ: they go with their consumer, and not with its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from yarl import URL

from omni.bus.base import Outgoing, Received, UnknownQueueError
from omni.bus.rabbitmq import RabbitBus
from omni.bus.rabbitmq import consumer as consuming
from omni.model.queues import Queue
from tests.engines.test_rabbitmq_recovery import Proxy

MINE = Queue(name="voice.w1", is_exclusive=True, is_passing=True)
WORK = Queue(name="work", is_exclusive=False)
PATIENCE = 30.0

pytestmark = pytest.mark.rabbitmq

OpenBus = Callable[..., Awaitable[RabbitBus]]


@pytest.fixture
async def proxy(rabbitmq_url: str) -> AsyncIterator[Proxy]:
    target = URL(rabbitmq_url)
    assert target.host
    proxy = Proxy(target.host, target.port or 5672)
    await proxy.open()
    yield proxy
    await proxy.close()


@pytest.fixture
async def open_bus(rabbitmq_url: str, rabbitmq_prefix: str) -> AsyncIterator[OpenBus]:
    async with AsyncExitStack() as stack:

        async def start(through: Proxy | None = None, *, passing_seconds: float = 60.0) -> RabbitBus:
            url = URL(rabbitmq_url)
            if through is not None:
                url = url.with_host("127.0.0.1").with_port(through.port)
            prefix = rabbitmq_prefix.rstrip(".")
            bus = RabbitBus(str(url), prefix=prefix, delay_steps=(0.05,), passing_seconds=passing_seconds)
            stack.push_async_callback(bus.close)
            await bus.open()
            return bus

        yield start


class Taken:
    """A taker: what it was given, and acknowledged."""

    def __init__(self) -> None:
        self.ids: asyncio.Queue[str] = asyncio.Queue()

    def __call__(self, message: Received) -> None:
        message.ack()
        self.ids.put_nowait(message.id)

    async def next(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return await self.ids.get()


async def put(bus: RabbitBus, id_: str, queue: Queue = MINE) -> None:
    await bus.publish([Outgoing(queue.name, b"", id_)])


async def until_gone(bus: RabbitBus) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await put(bus, "probe")
            except UnknownQueueError:
                return
            await asyncio.sleep(0.05)


async def test_a_short_loss_of_the_consumer_s_connection_loses_nothing(open_bus: OpenBus, proxy: Proxy) -> None:
    worker, other = await open_bus(proxy), await open_bus()
    await worker.declare([MINE])
    taken = Taken()
    await worker.consume(MINE, taken, prefetch=10)
    proxy.cut()
    for number in range(20):
        await put(other, f"m{number}")
    proxy.restore()
    assert [await taken.next() for _ in range(20)] == [f"m{number}" for number in range(20)]


async def test_a_consumer_makes_its_queue_anew_after_the_broker_lost_it(
    open_bus: OpenBus, rabbitmq_url: str, rabbitmq_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consuming, "PROBE_EVERY", 0.1)
    worker, other = await open_bus(), await open_bus()
    await worker.declare([MINE])
    taken = Taken()
    await worker.consume(MINE, taken, prefetch=10)
    async with worker._consuming.channel() as channel:
        await channel.queue_delete(f"{rabbitmq_prefix.rstrip('.')}.{MINE.name}")
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await put(other, "after")
            except UnknownQueueError:
                await asyncio.sleep(0.05)
            else:
                break
    assert await taken.next() == "after"


async def test_a_queue_goes_some_time_after_its_consumer_and_stays_as_long_as_that_lives(open_bus: OpenBus) -> None:
    worker, other = await open_bus(passing_seconds=0.4), await open_bus()
    await worker.declare([MINE])
    taken = Taken()
    await worker.consume(MINE, taken, prefetch=10)
    await asyncio.sleep(1.2)  # three times as long as it may be without its consumer
    await put(other, "still there")
    assert await taken.next() == "still there"
    await worker.close()
    await until_gone(other)


async def test_what_a_consumer_has_in_hand_comes_again_after_its_connection_was_cut(
    open_bus: OpenBus, proxy: Proxy
) -> None:
    worker = await open_bus(proxy)
    await worker.declare([MINE])
    seen: list[tuple[str, bool]] = []
    news = asyncio.Event()

    def take(message: Received) -> None:
        seen.append((message.id, message.is_redelivered))
        news.set()
        if message.is_redelivered:
            message.ack()

    await worker.consume(MINE, take, prefetch=10)
    await put(worker, "m")
    async with asyncio.timeout(PATIENCE):
        await news.wait()
        proxy.cut()
        proxy.restore()
        while len(seen) < 2:
            news.clear()
            await news.wait()
    assert seen == [("m", False), ("m", True)]


async def test_letters_of_a_queue_that_is_gone_stay_dead_and_harm_no_others(open_bus: OpenBus) -> None:
    worker, other = await open_bus(passing_seconds=0.4), await open_bus()
    await worker.declare([MINE, WORK])
    for queue in (MINE, WORK):
        await worker.consume(queue, lambda message: message.bury("no good"), prefetch=1)
        await put(worker, f"bad of {queue.name}", queue)
    async with asyncio.timeout(PATIENCE):
        while len(letters := await other.dead_letters()) < 2:
            await asyncio.sleep(0.05)
    await worker.close()
    await until_gone(other)
    assert await other.replay([letter.id for letter in letters]) == 1
    assert [letter.queue for letter in await other.dead_letters()] == [MINE.name]
    assert (await other.depth(WORK.name)).ready == 1
