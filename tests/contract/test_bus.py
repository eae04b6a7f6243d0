"""What every bus promises, sentence by sentence (omni/bus/base.py), shown on every engine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from omni.bus.base import (
    MAX_ATTEMPTS,
    MISSED,
    Bus,
    BusError,
    BusFullError,
    BusUnavailableError,
    Consumer,
    Outgoing,
    Received,
    UnknownQueueError,
)
from omni.bus.sqlite import SqliteBus
from omni.model.queues import Queue

ROOT = Path(__file__).resolve().parents[2]
WORK = Queue(name="work", is_exclusive=True)
SHARED = Queue(name="shared", is_exclusive=False)
BOTH = (WORK, SHARED)
PASSING = Queue(name="passing", is_exclusive=True, is_passing=True)
PATIENCE = 20.0  # seconds until an awaited condition counts as never


@dataclass(frozen=True)
class Engine:
    """How to make a bus on this test's own storage, and on storage that cannot be reached."""

    name: str
    address: str
    prefix: str = ""

    def build(self, *, is_narrow: bool = False) -> Bus:
        """`is_narrow`: at most ten publishes wait."""
        if self.name == "sqlite":
            from omni.bus.sqlite import SqliteBus
            from omni.sqlite import SqliteFile

            file = SqliteFile(self.address)
            return SqliteBus(file, max_waiting=10) if is_narrow else SqliteBus(file)
        from omni.bus.rabbitmq import RabbitBus

        return RabbitBus(
            self.address, prefix=self.prefix, delay_steps=(0.05, 0.3, 1, 4, 60), backlog=10 if is_narrow else 50_000
        )

    def unreachable(self) -> Engine:
        if self.name == "sqlite":
            return Engine("sqlite", "/nowhere/at/all/omni.db")
        return Engine("rabbitmq", "amqp://someone:s3cret@127.0.0.1:1/", self.prefix)


@pytest.fixture(params=["sqlite", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "sqlite":
        return Engine("sqlite", str(tmp_path / "omni.db"))
    prefix: str = request.getfixturevalue("rabbitmq_prefix")
    return Engine("rabbitmq", request.getfixturevalue("rabbitmq_url"), prefix.rstrip("."))


OpenBus = Callable[..., Awaitable[Bus]]


@pytest.fixture
async def open_bus(engine: Engine) -> AsyncIterator[OpenBus]:
    """Opens a bus on this test's storage, its queues declared; closed after the test."""
    buses: list[Bus] = []

    async def start(*, is_narrow: bool = False) -> Bus:
        bus = engine.build(is_narrow=is_narrow)
        buses.append(bus)
        await bus.open()
        await bus.declare(BOTH)
        return bus

    yield start
    for bus in buses:
        await bus.close()


@pytest.fixture
async def bus(open_bus: OpenBus) -> Bus:
    return await open_bus()


class Mailbox:
    """A taker that keeps what it is given until a test asks for it."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[Received] = asyncio.Queue()

    def __call__(self, message: Received) -> None:
        self.waiting.put_nowait(message)

    async def next(self) -> Received:
        async with asyncio.timeout(PATIENCE):
            return await self.waiting.get()

    async def take(self, count: int) -> list[Received]:
        return [await self.next() for _ in range(count)]


async def consume(bus: Bus, queue: Queue = WORK, *, prefetch: int = 100) -> tuple[Mailbox, Consumer]:
    mailbox = Mailbox()
    return mailbox, await bus.consume(queue, mailbox, prefetch=prefetch)


async def mailbox_on(bus: Bus, queue: Queue = WORK, *, prefetch: int = 100) -> Mailbox:
    mailbox, _ = await consume(bus, queue, prefetch=prefetch)
    return mailbox


def outgoing(ids: Sequence[str], queue: Queue = WORK) -> list[Outgoing]:
    return [Outgoing(queue.name, f"body of {message_id}".encode(), message_id) for message_id in ids]


def numbered(count: int) -> list[str]:
    return [f"m{number:05d}" for number in range(count)]


def ids(messages: Sequence[Received]) -> list[str]:
    return [message.id for message in messages]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.01)


async def until_depth(bus: Bus, ready: int, taken: int, queue: Queue = WORK) -> None:
    async def is_so() -> bool:
        depth = await bus.depth(queue.name)
        return (depth.ready, depth.taken) == (ready, taken)

    await until(is_so)


async def until_dead(bus: Bus, count: int) -> None:
    async def is_so() -> bool:
        return len(await bus.dead_letters()) == count

    await until(is_so)


# --- publishing -------------------------------------------------------------------------------------------------------


async def test_a_message_arrives_as_it_was_published(bus: Bus) -> None:
    body = bytes(range(256))
    await bus.publish([Outgoing("work", body, "wamid.HBg=/+é")])
    message = await (await mailbox_on(bus)).next()
    assert (message.id, message.queue, message.body) == ("wamid.HBg=/+é", "work", body)
    assert (message.attempt, message.is_redelivered) == (1, False)


async def test_an_empty_body_and_an_empty_publish_are_fine(bus: Bus) -> None:
    await bus.publish([])
    await bus.publish([Outgoing("work", b"", "empty")])
    message = await (await mailbox_on(bus)).next()
    assert (message.id, message.body) == ("empty", b"")


async def test_published_messages_survive_close_and_reopen(bus: Bus, open_bus: OpenBus) -> None:
    await bus.publish(outgoing(numbered(20)))
    await bus.close()
    mailbox = await mailbox_on(await open_bus())
    assert ids(await mailbox.take(20)) == numbered(20)


async def test_a_queue_keeps_the_order_of_publishing(bus: Bus) -> None:
    names = numbered(300)
    for start in range(0, 300, 50):
        await bus.publish(outgoing(names[start : start + 50]))
    assert ids(await (await mailbox_on(bus)).take(100)) == names[:100]


async def test_publishes_that_start_in_order_arrive_in_order(bus: Bus) -> None:
    names = numbered(300)
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(bus.publish(outgoing([name])))
    assert ids(await (await mailbox_on(bus, prefetch=300)).take(300)) == names


async def test_one_publish_reaches_several_queues_even_under_one_id(bus: Bus) -> None:
    await bus.publish([*outgoing(["x"]), *outgoing(["x"], SHARED)])
    assert (await (await mailbox_on(bus)).next()).queue == "work"
    assert (await (await mailbox_on(bus, SHARED)).next()).queue == "shared"


async def test_publishing_to_a_queue_never_declared_is_an_error_that_names_it(bus: Bus) -> None:
    with pytest.raises(UnknownQueueError, match="nowhere"):
        await bus.publish([Outgoing("nowhere", b"", "x")])
    await bus.publish(outgoing(["after"]))  # and harms nobody else
    assert (await (await mailbox_on(bus)).next()).id == "after"


async def test_what_is_published_to_a_queue_that_is_declared_later_is_not_in_it(bus: Bus) -> None:
    with pytest.raises(UnknownQueueError):
        await bus.publish([Outgoing(PASSING.name, b"", "too early")])
    await bus.declare([PASSING])
    await bus.publish(outgoing(["in time"], PASSING))
    assert ids(await (await mailbox_on(bus, PASSING)).take(1)) == ["in time"]


async def test_a_passing_queue_keeps_its_order_and_waits_for_a_consumer_that_comes_back(bus: Bus) -> None:
    await bus.declare([PASSING])
    mailbox, consumer = await consume(bus, PASSING)
    await bus.publish(outgoing(numbered(5), PASSING))
    for message in await mailbox.take(5):
        message.ack()
    await consumer.stop()
    await bus.publish(outgoing(["while nobody listens", "and another"], PASSING))
    again = await mailbox_on(bus, PASSING)
    assert ids(await again.take(2)) == ["while nobody listens", "and another"]


async def test_a_message_of_a_passing_queue_that_failed_comes_again_and_dies_in_the_end(bus: Bus) -> None:
    await bus.declare([PASSING])
    mailbox = await mailbox_on(bus, PASSING)
    await bus.publish(outgoing(["bad"], PASSING))
    for attempt in range(1, MAX_ATTEMPTS + 1):
        message = await mailbox.next()
        assert message.attempt == attempt
        message.nack("no good", delay=0.05)
    await until_dead(bus, 1)


async def test_consuming_a_queue_never_declared_is_an_error(bus: Bus) -> None:
    with pytest.raises(BusError):
        await bus.consume(Queue(name="nowhere", is_exclusive=False), Mailbox(), prefetch=1)


async def test_declaring_again_changes_nothing(bus: Bus) -> None:
    await bus.publish(outgoing(["kept"]))
    await bus.declare(BOTH)
    assert (await (await mailbox_on(bus)).next()).id == "kept"


async def test_bodies_of_three_megabytes_pass_unchanged(bus: Bus) -> None:
    bodies = [os.urandom(3_000_000 + n) for n in range(3)]
    await bus.publish([Outgoing("work", body, f"large {n}") for n, body in enumerate(bodies)])
    messages = await (await mailbox_on(bus)).take(3)
    assert [message.body for message in messages] == bodies


async def test_ten_thousand_messages_arrive_once_each(bus: Bus) -> None:
    names = numbered(10_000)
    seen: list[str] = []
    finished = asyncio.Event()

    def take(message: Received) -> None:
        seen.append(message.id)
        assert not message.is_redelivered
        message.ack()
        if len(seen) == len(names):
            finished.set()

    await bus.consume(SHARED, take, prefetch=200)
    at_once = asyncio.Semaphore(50)  # a broker on a busy machine confirms within its time

    async def publish(some: list[str]) -> None:
        async with at_once:
            await bus.publish(outgoing(some, SHARED))

    async with asyncio.TaskGroup() as group:
        for start in range(0, len(names), 20):
            group.create_task(publish(names[start : start + 20]))
    async with asyncio.timeout(PATIENCE * 2):
        await finished.wait()
    await until_depth(bus, 0, 0, SHARED)
    assert sorted(seen) == names


async def test_too_many_waiting_publishes_are_refused_and_what_was_accepted_is_there(open_bus: OpenBus) -> None:
    bus = await open_bus(is_narrow=True)
    names = numbered(500)
    outcomes = await asyncio.gather(*(bus.publish(outgoing([name])) for name in names), return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert refused
    assert all(isinstance(outcome, BusFullError) for outcome in refused)
    accepted = [name for name, outcome in zip(names, outcomes, strict=True) if outcome is None]
    assert accepted
    assert ids(await (await mailbox_on(bus, prefetch=500)).take(len(accepted))) == accepted
    await bus.publish(outgoing(["later"]))  # and it takes again


async def test_an_engine_that_cannot_be_reached_says_so_with_the_mend(engine: Engine) -> None:
    bus = engine.unreachable().build()
    with pytest.raises(BusUnavailableError) as raised:
        await bus.open()
    assert len(str(raised.value)) > 40
    assert "s3cret" not in str(raised.value)
    await bus.close()


async def test_a_closed_bus_takes_nothing(bus: Bus) -> None:
    await bus.close()
    await bus.close()
    with pytest.raises(BusError):
        await bus.publish(outgoing(["late"]))
    with pytest.raises(BusUnavailableError):
        await bus.ping()


async def test_an_open_bus_answers_a_ping(bus: Bus) -> None:
    await bus.ping()


# --- consuming --------------------------------------------------------------------------------------------------------


async def test_an_exclusive_queue_feeds_one_consumer_and_fails_over_to_the_next(bus: Bus) -> None:
    first, consumer = await consume(bus)
    second = await mailbox_on(bus)
    await bus.publish(outgoing(numbered(10)))
    for message in await first.take(10):
        message.ack()
    await until_depth(bus, 0, 0)
    assert second.waiting.empty()
    await consumer.stop()
    await bus.publish(outgoing(["next"]))
    assert (await second.next()).id == "next"
    assert first.waiting.empty()


async def test_a_shared_queue_feeds_every_consumer(bus: Bus) -> None:
    first = await mailbox_on(bus, SHARED, prefetch=1)
    second = await mailbox_on(bus, SHARED, prefetch=1)
    await bus.publish(outgoing(["a", "b"], SHARED))
    assert {(await first.next()).id, (await second.next()).id} == {"a", "b"}


async def test_no_more_than_prefetch_are_in_hand(bus: Bus) -> None:
    await bus.publish(outgoing(numbered(10)))
    mailbox = await mailbox_on(bus, prefetch=3)
    held = await mailbox.take(3)
    await until_depth(bus, 7, 3)
    assert mailbox.waiting.empty()
    held[0].ack()
    held[2].ack()
    assert ids(await mailbox.take(2)) == numbered(5)[3:]
    await until_depth(bus, 5, 3)
    assert mailbox.waiting.empty()


async def test_what_was_acked_is_gone(bus: Bus, open_bus: OpenBus) -> None:
    await bus.publish(outgoing(numbered(10)))
    for message in await (await mailbox_on(bus)).take(10):
        message.ack()
    await bus.close()
    again = await open_bus()
    assert (await again.depth("work")).ready == 0


async def test_acks_in_any_order_leave_exactly_the_rest(bus: Bus, open_bus: OpenBus) -> None:
    await bus.publish(outgoing(numbered(20)))
    messages = await (await mailbox_on(bus)).take(20)
    for message in [*messages[10:20:2], *messages[0:10:2]]:
        message.ack()
        await asyncio.sleep(0)
    await bus.close()
    mailbox = await mailbox_on(await open_bus())
    assert ids(await mailbox.take(10)) == numbered(20)[1::2]


async def test_what_is_not_settled_is_handed_back_on_close_in_order(bus: Bus, open_bus: OpenBus) -> None:
    await bus.publish(outgoing(numbered(6)))
    held = await (await mailbox_on(bus, prefetch=4)).take(4)
    held[1].ack()
    await bus.close()
    messages = await (await mailbox_on(await open_bus())).take(5)
    assert ids(messages) == ["m00000", "m00002", "m00003", "m00004", "m00005"]
    assert all(message.is_redelivered for message in messages[:3])  # an engine may flag the others too
    assert all(message.attempt == 1 for message in messages)


async def test_a_message_settled_twice_counts_once(bus: Bus) -> None:
    await bus.publish(outgoing(["a", "b", "c"]))
    mailbox = await mailbox_on(bus)
    first, second, third = await mailbox.take(3)
    first.ack()
    first.nack("too late", delay=0)
    first.bury("too late")
    second.bury("broken")
    second.ack()
    second.bury("again")
    third.ack()
    third.release()
    await until_dead(bus, 1)
    await until_depth(bus, 0, 0)
    assert mailbox.waiting.empty()


async def test_settling_after_close_is_ignored(bus: Bus, open_bus: OpenBus) -> None:
    await bus.publish(outgoing(["a", "b", "c", "d"]))
    held = await (await mailbox_on(bus)).take(4)
    await bus.close()
    held[0].ack()
    held[1].nack("late")
    held[2].bury("late")
    held[3].release()
    again = await open_bus()
    assert ids(await (await mailbox_on(again)).take(4)) == ["a", "b", "c", "d"]
    assert await again.dead_letters() == []


async def test_a_stopped_consumer_takes_nothing_more_and_may_still_settle(bus: Bus, open_bus: OpenBus) -> None:
    await bus.publish(outgoing(numbered(5)))
    mailbox, consumer = await consume(bus, prefetch=2)
    held = await mailbox.take(2)
    await consumer.stop()
    await consumer.stop()
    held[0].ack()
    await bus.publish(outgoing(["later"]))
    await bus.close()
    assert mailbox.waiting.empty()
    messages = await (await mailbox_on(await open_bus())).take(5)
    assert ids(messages) == [*numbered(5)[1:], "later"]


async def test_a_stopped_consumer_of_a_shared_queue_leaves_the_rest_to_others(bus: Bus) -> None:
    first, consumer = await consume(bus, SHARED, prefetch=1)
    await bus.publish(outgoing(["a", "b"], SHARED))
    held = await first.next()
    await consumer.stop()
    second = await mailbox_on(bus, SHARED)
    assert (await second.next()).id == "b"
    held.ack()
    await until_depth(bus, 0, 1, SHARED)


# --- failing ----------------------------------------------------------------------------------------------------------


async def test_a_failed_message_comes_again_counted_and_those_behind_go_ahead(bus: Bus) -> None:
    await bus.publish(outgoing(["a", "b"]))
    mailbox = await mailbox_on(bus, prefetch=1)
    (await mailbox.next()).nack("not now", delay=0.3)
    second = await mailbox.next()
    assert (second.id, second.attempt) == ("b", 1)
    second.ack()
    again = await mailbox.next()
    assert (again.id, again.body, again.queue) == ("a", b"body of a", "work")
    assert (again.attempt, again.is_redelivered) == (2, True)


async def test_a_delay_is_waited_for(bus: Bus) -> None:
    await bus.publish(outgoing(["a"]))
    mailbox = await mailbox_on(bus)
    started = time.monotonic()
    (await mailbox.next()).nack("busy", delay=0.3)
    await mailbox.next()
    assert time.monotonic() - started >= 0.29


async def test_without_a_delay_the_first_retry_waits_a_second(bus: Bus) -> None:
    await bus.publish(outgoing(["a"]))
    mailbox = await mailbox_on(bus)
    started = time.monotonic()
    (await mailbox.next()).nack("busy")
    assert (await mailbox.next()).attempt == 2
    assert time.monotonic() - started >= 0.99


async def test_a_delayed_message_survives_close_and_reopen(bus: Bus, open_bus: OpenBus) -> None:
    await bus.publish(outgoing(["a"]))
    (await (await mailbox_on(bus)).next()).nack("busy", delay=0.3)
    await bus.close()
    again = await (await mailbox_on(await open_bus())).next()
    assert (again.id, again.attempt) == ("a", 2)


async def test_after_the_last_attempt_a_message_is_a_dead_letter_with_its_error(bus: Bus) -> None:
    before = time.time()
    await bus.publish(outgoing(["a"]))
    mailbox = await mailbox_on(bus)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        message = await mailbox.next()
        assert message.attempt == attempt
        message.nack(f"failure {attempt}: naïve ☎", delay=0)
    await until_dead(bus, 1)
    [letter] = await bus.dead_letters()
    assert (letter.id, letter.queue, letter.body) == ("a", "work", b"body of a")
    assert (letter.error, letter.attempts) == (f"failure {MAX_ATTEMPTS}: naïve ☎", MAX_ATTEMPTS)
    assert before - 1 < letter.died_at < time.time() + 1
    await until_depth(bus, 0, 0)


async def test_a_released_message_comes_again_uncounted_and_in_its_old_order(bus: Bus) -> None:
    await bus.publish(outgoing(["a", "b"]))
    mailbox = await mailbox_on(bus, prefetch=1)
    (await mailbox.next()).release()
    again = await mailbox.next()
    assert (again.id, again.attempt, again.is_redelivered) == ("a", 1, True)


async def test_releasing_never_kills_a_message(bus: Bus) -> None:
    await bus.publish(outgoing(["a"]))
    mailbox = await mailbox_on(bus)
    for _ in range(50):
        message = await mailbox.next()
        assert (message.id, message.attempt) == ("a", 1)
        message.release()
    (await mailbox.next()).ack()
    await until_depth(bus, 0, 0)
    assert await bus.dead_letters() == []


# --- dead letters -----------------------------------------------------------------------------------------------------


async def bury(bus: Bus, names: Sequence[str], queue: Queue = WORK) -> None:
    await bus.publish(outgoing(names, queue))
    mailbox, consumer = await consume(bus, queue)
    known = len(await bus.dead_letters(limit=1000))
    for message in await mailbox.take(len(names)):
        message.bury(f"{message.id} is broken")

    async def are_all_there() -> bool:
        return len(await bus.dead_letters(limit=1000)) == known + len(names)

    await until(are_all_there)
    await consumer.stop()


async def test_dead_letters_are_listed_oldest_first_and_listing_changes_nothing(bus: Bus) -> None:
    await bury(bus, ["a", "b", "c"])
    await bury(bus, ["s"], SHARED)
    first = await bus.dead_letters()
    assert [(letter.id, letter.queue, letter.error, letter.attempts) for letter in first] == [
        ("a", "work", "a is broken", 1),
        ("b", "work", "b is broken", 1),
        ("c", "work", "c is broken", 1),
        ("s", "shared", "s is broken", 1),
    ]
    for _ in range(25):
        assert await bus.dead_letters() == first
    assert list(await asyncio.gather(bus.dead_letters(), bus.dead_letters())) == [first, first]
    assert [letter.id for letter in await bus.dead_letters("shared")] == ["s"]
    assert [letter.id for letter in await bus.dead_letters("work", limit=2)] == ["a", "b"]
    assert await bus.dead_letters("other") == []


async def test_dead_letters_survive_close_and_reopen(bus: Bus, open_bus: OpenBus) -> None:
    await bury(bus, ["a"])
    letters = await bus.dead_letters()
    await bus.close()
    assert await (await open_bus()).dead_letters() == letters


async def test_a_replayed_letter_is_back_on_its_queue_with_its_attempts_forgotten(bus: Bus) -> None:
    await bury(bus, ["a", "b", "c"])
    assert await bus.replay(["a", "c", "unknown"]) == 2
    assert [letter.id for letter in await bus.dead_letters()] == ["b"]
    messages = await (await mailbox_on(bus)).take(2)
    assert [(message.id, message.attempt, message.body) for message in messages] == [
        ("a", 1, b"body of a"),
        ("c", 1, b"body of c"),
    ]
    assert await bus.replay(["a"]) == 0


async def test_a_replayed_letter_may_die_again(bus: Bus) -> None:
    await bury(bus, ["a"])
    await bus.replay(["a"])
    (await (await mailbox_on(bus)).next()).bury("still broken")
    await until_dead(bus, 1)
    assert [letter.error for letter in await bus.dead_letters()] == ["still broken"]


async def test_purging_deletes_the_letters_named_or_all(bus: Bus) -> None:
    await bury(bus, ["a", "b", "c", "d"])
    assert await bus.purge(["b", "unknown"]) == 1
    assert await bus.purge([]) == 0
    assert [letter.id for letter in await bus.dead_letters()] == ["a", "c", "d"]
    assert await bus.purge() == 3
    assert await bus.dead_letters() == []
    assert await bus.purge() == 0


async def test_letters_with_large_bodies_and_long_errors_are_kept(bus: Bus) -> None:
    body = os.urandom(1_000_000)
    await bus.publish([Outgoing("work", body, "large")])
    (await (await mailbox_on(bus)).next()).bury("x" * 100_000)
    await until_dead(bus, 1)
    [letter] = await bus.dead_letters()
    assert letter.body == body
    assert letter.error.startswith("x" * 1000)


# --- depth ------------------------------------------------------------------------------------------------------------


async def test_depth_tells_what_waits_and_what_is_in_hand(bus: Bus) -> None:
    await until_depth(bus, 0, 0)
    await bus.publish(outgoing(numbered(5)))
    await until_depth(bus, 5, 0)
    age = (await bus.depth("work")).oldest_age
    assert age is None or 0 <= age < PATIENCE
    mailbox = await mailbox_on(bus, prefetch=2)
    held = await mailbox.take(2)
    await until_depth(bus, 3, 2)
    for message in held:
        message.ack()
    for _ in range(3):
        (await mailbox.next()).ack()
    await until_depth(bus, 0, 0)


# --- broadcasts -------------------------------------------------------------------------------------------------------


async def heard(listener: AsyncIterator[bytes]) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await anext(listener)


async def test_a_broadcast_reaches_everyone_who_listens_to_its_topic_now(bus: Bus) -> None:
    await bus.broadcast("entries", b"before anyone listened")
    async with bus.listen("entries") as one, bus.listen("entries") as two, bus.listen("other.topic") as other:
        await bus.broadcast("entries", b"1")
        await bus.broadcast("other.topic", b"elsewhere")
        await bus.broadcast("entries", b"2")
        assert [await heard(one), await heard(one)] == [b"1", b"2"]
        assert [await heard(two), await heard(two)] == [b"1", b"2"]
        assert await heard(other) == b"elsewhere"


async def test_a_listener_that_falls_behind_loses_the_oldest_only_and_hears_of_it(bus: Bus) -> None:
    async with bus.listen("entries") as listener, bus.listen("entries") as prompt:
        for number in range(3000):
            await bus.broadcast("entries", b"%d" % number)
            assert await heard(prompt) == b"%d" % number
        bodies = [await heard(listener)]
        while bodies[-1] != b"2999":
            bodies.append(await heard(listener))
    assert bodies[0] == MISSED
    numbers = [int(body) for body in bodies[1:]]
    assert numbers == list(range(2000, 3000))


async def test_a_topic_can_be_left_and_listened_to_again(bus: Bus) -> None:
    for number in range(5):
        async with bus.listen("entries") as listener:
            await bus.broadcast("entries", b"%d" % number)
            assert await heard(listener) == b"%d" % number


async def test_many_topics_are_listened_to_at_once(bus: Bus) -> None:
    async with AsyncExitStack() as stack:
        topics = [f"calls:default/agent-{number}" for number in range(200)]
        listeners = await asyncio.gather(*(stack.enter_async_context(bus.listen(topic)) for topic in topics))
        for topic in topics:
            await bus.broadcast(topic, topic.encode())
        assert [await heard(listener) for listener in listeners] == [topic.encode() for topic in topics]


async def test_a_bus_knows_a_topic_that_somebody_listens_to(bus: Bus) -> None:
    async with bus.listen("entries"):
        assert bus.hears("entries")
    if isinstance(bus, SqliteBus):  # a broker does not tell who listens in other processes
        assert not bus.hears("entries")
        assert not bus.hears("never")


async def test_a_broadcast_nobody_hears_is_no_error(bus: Bus) -> None:
    await bus.broadcast("entries", b"hello?")
    async with bus.listen("entries"):
        pass
    await bus.broadcast("entries", b"still there?")


# --- kill -9 ----------------------------------------------------------------------------------------------------------

_CHILD = """
import asyncio, importlib.util, sys
sys.path.insert(0, {root!r})
spec = importlib.util.spec_from_file_location("contract", {file!r})
contract = sys.modules["contract"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(contract)

async def publish(bus):
    async def lane(number):
        for count in range(100_000):
            name = f"{{number}}.{{count:05d}}"
            await bus.publish(contract.outgoing([name]))
            print(name, flush=True)
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(lane(number))

async def hold(bus):
    mailbox = await contract.mailbox_on(bus)
    for message in await mailbox.take(10):
        print(message.id, flush=True)
    await asyncio.Event().wait()

async def main():
    bus = contract.Engine(*sys.argv[2:]).build()
    await bus.open()
    await bus.declare(contract.BOTH)
    await {{"publish": publish, "hold": hold}}[sys.argv[1]](bus)

asyncio.run(main())
"""


async def killed_after(engine: Engine, what: str, lines: int) -> list[str]:
    """Runs a child on the same storage, kills it with SIGKILL after so many lines; returns all lines it printed."""
    code = _CHILD.format(root=str(ROOT), file=__file__)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, what, engine.name, engine.address, engine.prefix, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    printed: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while len(printed) < lines:
                line = await child.stdout.readline()
                assert line, "the child ended by itself"
                printed.append(line.decode().strip())
    finally:
        child.send_signal(signal.SIGKILL)
        rest = await child.stdout.read()
        await child.wait()
    whole = rest.decode().splitlines(keepends=True)
    return [*printed, *(line.strip() for line in whole if line.endswith("\n"))]


async def test_every_message_whose_publish_returned_survives_kill_9(engine: Engine, open_bus: OpenBus) -> None:
    await (await open_bus()).close()  # the queues are this test's, and go with it
    promised = await killed_after(engine, "publish", 400)
    bus = await open_bus()
    mailbox = await mailbox_on(bus, prefetch=10_000)
    arrived: list[str] = []
    while not set(promised) <= set(arrived):
        arrived.append((await mailbox.next()).id)
    for lane in range(8):
        of_lane = [name for name in arrived if name.startswith(f"{lane}.")]
        assert of_lane == sorted(set(of_lane))


async def test_what_a_killed_consumer_held_comes_again_and_is_flagged(engine: Engine, open_bus: OpenBus) -> None:
    bus = await open_bus()
    await bus.publish(outgoing(numbered(10)))
    await bus.close()
    assert len(await killed_after(engine, "hold", 10)) == 10
    messages = await (await mailbox_on(await open_bus())).take(10)
    assert ids(messages) == numbered(10)
    assert all(message.is_redelivered and message.attempt == 1 for message in messages)


# --- traces -----------------------------------------------------------------------------------------------------------


async def test_a_message_brings_its_trace_along_however_often_it_comes(bus: Bus) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    box = Mailbox()
    await bus.publish([Outgoing("work", b"with", "1", trace), Outgoing("work", b"without", "2")])
    await bus.consume(WORK, box, prefetch=10)
    first, second = await box.next(), await box.next()
    assert (first.trace, second.trace) == (trace, None)
    first.nack("not now", delay=0.01)
    again = await box.next()
    assert (again.body, again.trace) == (b"with", trace)
    again.release()
    assert (await box.next()).trace == trace
