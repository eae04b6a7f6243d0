"""What the RabbitMQ bus does when the network or the broker goes away, shown through a proxy that can be cut."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import aio_pika
import pytest
from yarl import URL

from omni.bus.base import MISSED, BusError, BusUnavailableError, Outgoing, Received
from omni.bus.rabbitmq import RabbitBus
from omni.bus.rabbitmq import link as link_module
from omni.model.queues import Queue
from tests.ports import free_port

WORK = Queue(name="work", is_exclusive=True)
SHARED = Queue(name="shared", is_exclusive=False)
PATIENCE = 30.0
SERVER_SCRIPTS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server")

pytestmark = pytest.mark.rabbitmq


class Proxy:
    """A TCP proxy to the broker. `cut` resets every connection and refuses new ones, `freeze` swallows every byte
    in both directions while connections stay open, `restore` lets everything pass again."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self.connections = 0
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for pipe in list(self._pipes):
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        for writer in list(self._writers):
            with suppress(OSError):
                await writer.wait_closed()
        await self._server.wait_closed()

    def cut(self) -> None:
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def freeze(self) -> None:
        self._flows.clear()

    def restore(self) -> None:
        self._is_cut = False
        self._flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self._is_cut:
            writer.transport.abort()
            return
        self.connections += 1
        there, back = await asyncio.open_connection(*self._target)
        self._writers.add(back)
        for source, sink in ((reader, back), (there, writer)):
            pipe = asyncio.create_task(self._pipe(source, sink))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while chunk := await source.read(65536):
                await self._flows.wait()
                sink.write(chunk)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


@pytest.fixture
async def proxy(rabbitmq_url: str) -> AsyncIterator[Proxy]:
    target = URL(rabbitmq_url)
    assert target.host
    proxy = Proxy(target.host, target.port or 5672)
    await proxy.open()
    yield proxy
    await proxy.close()


OpenBus = Callable[..., Awaitable[RabbitBus]]


@pytest.fixture
async def open_bus(rabbitmq_url: str, rabbitmq_prefix: str) -> AsyncIterator[OpenBus]:
    buses: list[RabbitBus] = []

    async def start(through: Proxy | None = None, **options: float) -> RabbitBus:
        url = URL(rabbitmq_url)
        if through is not None:
            url = url.with_host("127.0.0.1").with_port(through.port)
        bus = RabbitBus(
            str(url),
            prefix=rabbitmq_prefix.rstrip("."),
            delay_steps=(0.05, 1.0),
            **options,  # type: ignore[arg-type]
        )
        buses.append(bus)
        await bus.open()
        await bus.declare([WORK, SHARED])
        return bus

    yield start
    for bus in buses:
        await bus.close()


@pytest.fixture
async def bus(open_bus: OpenBus, proxy: Proxy) -> RabbitBus:
    return await open_bus(proxy)


class Mailbox:
    def __init__(self) -> None:
        self.waiting: asyncio.Queue[Received] = asyncio.Queue()

    def __call__(self, message: Received) -> None:
        self.waiting.put_nowait(message)

    async def next(self) -> Received:
        async with asyncio.timeout(PATIENCE):
            return await self.waiting.get()

    async def take(self, count: int) -> list[Received]:
        return [await self.next() for _ in range(count)]


def outgoing(*ids: str) -> list[Outgoing]:
    return [Outgoing("work", b"body", message_id) for message_id in ids]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.02)


async def until_usable(bus: RabbitBus) -> None:
    async def answers() -> bool:
        try:
            await bus.ping()
            await bus.publish([Outgoing("shared", b"", "probe")])
        except BusUnavailableError:
            return False
        return True

    await until(answers)


async def until_down(bus: RabbitBus) -> None:
    async def is_down() -> bool:
        try:
            await bus.ping()
        except BusUnavailableError:
            return True
        return False

    await until(is_down)


async def test_a_consumer_goes_on_after_the_connection_was_cut(bus: RabbitBus, proxy: Proxy) -> None:
    mailbox = Mailbox()
    await bus.consume(WORK, mailbox, prefetch=10)
    await bus.publish(outgoing("a", "b"))
    held = await mailbox.take(2)
    proxy.cut()
    await until_down(bus)
    proxy.restore()
    again = await mailbox.take(2)
    assert [(message.id, message.is_redelivered, message.attempt) for message in again] == [
        ("a", True, 1),
        ("b", True, 1),
    ]
    for message in held:
        message.ack()  # of a dead channel: ignored
    held[0].bury("late")
    again[0].ack()
    again[1].ack()
    await until_usable(bus)
    await bus.publish(outgoing("c"))
    assert (await mailbox.next()).id == "c"
    assert await bus.dead_letters() == []


async def test_publishing_while_it_is_down_fails_at_once_and_works_again_afterwards(
    bus: RabbitBus, proxy: Proxy
) -> None:
    proxy.cut()
    await until_down(bus)
    with pytest.raises(BusUnavailableError, match="Check that it runs"):
        async with asyncio.timeout(1.0):
            await bus.publish(outgoing("lost"))
    proxy.restore()
    await until_usable(bus)
    await bus.publish(outgoing("kept"))
    mailbox = Mailbox()
    await bus.consume(WORK, mailbox, prefetch=10)
    assert (await mailbox.next()).id == "kept"


async def test_a_silent_broker_fails_publishes_in_time_and_is_left_for_a_new_connection(
    open_bus: OpenBus, proxy: Proxy
) -> None:
    bus = await open_bus(proxy, publish_timeout=0.5)
    mailbox = Mailbox()
    await bus.consume(WORK, mailbox, prefetch=10)
    proxy.freeze()
    with pytest.raises(BusUnavailableError):
        async with asyncio.timeout(3.0):
            await bus.publish(outgoing("unclear"))
    proxy.restore()
    await until_usable(bus)
    await bus.publish(outgoing("clear"))
    while (await mailbox.next()).id != "clear":
        pass  # "unclear" may have arrived as well


async def test_a_silent_broker_is_noticed_by_a_consumer_that_never_publishes(
    bus: RabbitBus, open_bus: OpenBus, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "PROBE_EVERY", 0.2)
    mailbox = Mailbox()
    await bus.consume(WORK, mailbox, prefetch=10)
    before = proxy.connections
    proxy.freeze()

    async def has_left() -> bool:
        return proxy.connections > before

    await until(has_left)
    proxy.restore()
    await (await open_bus()).publish(outgoing("a"))
    assert (await mailbox.next()).id == "a"


async def test_nothing_confirmed_is_lost_over_many_cuts(bus: RabbitBus, open_bus: OpenBus, proxy: Proxy) -> None:
    confirmed: set[str] = set()
    acted: set[str] = set()

    def take(message: Received) -> None:
        acted.add(message.id)
        message.ack()

    await bus.consume(WORK, take, prefetch=50)

    async def publish(lane: int) -> None:
        for count in range(150):
            while True:
                try:
                    await bus.publish(outgoing(f"{lane}.{count}"))
                except BusUnavailableError:
                    await asyncio.sleep(0.01)
                else:
                    confirmed.add(f"{lane}.{count}")
                    break

    async def cut() -> None:
        for threshold in (50, 200, 350, 500):
            while len(confirmed) < threshold:
                await asyncio.sleep(0.005)
            proxy.cut()
            await asyncio.sleep(0.01)
            proxy.restore()

    async with asyncio.TaskGroup() as group:
        group.create_task(cut())
        for lane in range(4):
            group.create_task(publish(lane))
    assert len(confirmed) == 600

    async def is_all_done() -> bool:
        return acted >= confirmed

    await until(is_all_done)


async def test_a_failure_that_cannot_be_recorded_is_delivered_again(bus: RabbitBus, proxy: Proxy) -> None:
    mailbox = Mailbox()
    await bus.consume(WORK, mailbox, prefetch=10)
    await bus.publish(outgoing("a"))
    message = await mailbox.next()
    proxy.cut()
    message.nack("failed", delay=0.05)
    await until_down(bus)
    proxy.restore()
    assert (await mailbox.next()).id == "a"


async def test_listeners_hear_again_after_a_cut_and_that_they_missed_something(bus: RabbitBus, proxy: Proxy) -> None:
    async with bus.listen("entries") as listener:
        proxy.cut()
        await until_down(bus)
        await bus.broadcast("entries", b"into the void")
        proxy.restore()
        hearing = asyncio.ensure_future(anext(listener))

        async def is_heard() -> bool:
            await bus.broadcast("entries", b"back")
            return hearing.done()

        await until(is_heard)
        assert await hearing == MISSED
        assert await anext(listener) == b"back"


async def test_closing_while_the_broker_is_away_ends(bus: RabbitBus, proxy: Proxy) -> None:
    await bus.consume(WORK, Mailbox(), prefetch=10)
    proxy.cut()
    await until_down(bus)
    async with asyncio.timeout(10.0):
        await bus.close()


async def test_closing_while_the_broker_is_silent_ends(bus: RabbitBus, proxy: Proxy) -> None:
    mailbox = Mailbox()
    await bus.consume(WORK, mailbox, prefetch=10)
    await bus.publish(outgoing("a", "b"))
    held = await mailbox.take(2)
    proxy.freeze()
    held[0].ack()
    held[1].nack("failed")
    async with asyncio.timeout(20.0):
        await bus.close()


async def test_a_message_that_kills_its_workers_becomes_a_dead_letter(open_bus: OpenBus) -> None:
    publisher = await open_bus(delivery_limit=3)
    await publisher.publish(outgoing("killer"))
    for _ in range(4):
        worker = await open_bus(delivery_limit=3)
        mailbox = Mailbox()
        await worker.consume(WORK, mailbox, prefetch=1)
        assert (await mailbox.next()).attempt == 1
        await worker.close()  # unsettled, as if it had died

    async def is_dead() -> bool:
        return bool(await publisher.dead_letters())

    await until(is_dead)
    [letter] = await publisher.dead_letters()
    assert (letter.id, letter.queue, letter.body, letter.attempts) == ("killer", "work", b"body", 4)
    assert "never settled" in letter.error
    assert abs(letter.died_at - time.time()) < 60
    assert await publisher.replay(["killer"]) == 1
    mailbox = Mailbox()
    await publisher.consume(WORK, mailbox, prefetch=1)
    again = await mailbox.next()
    assert (again.id, again.attempt, again.is_redelivered) == ("killer", 1, True)


async def test_the_next_worker_of_an_exclusive_queue_waits_for_what_the_stopped_one_holds(open_bus: OpenBus) -> None:
    leaving, staying = await open_bus(), await open_bus()
    first, second = Mailbox(), Mailbox()
    consumer = await leaving.consume(WORK, first, prefetch=2)
    await staying.consume(WORK, second, prefetch=10)
    await leaving.publish(outgoing("a", "b", "c", "d"))
    a, b = await first.take(2)
    await consumer.stop()
    a.ack()

    async def is_c_given_back_or_held() -> bool:
        return (await leaving.depth("work")).ready == 1  # "c" is in the stopped worker's socket, untaken

    await until(is_c_given_back_or_held)
    assert second.waiting.empty()
    b.ack()
    assert [message.id for message in await second.take(2)] == ["c", "d"]
    assert first.waiting.empty()


async def test_a_cancelled_publish_harms_no_other(bus: RabbitBus) -> None:
    tasks = [asyncio.create_task(bus.publish(outgoing(f"m{number}"))) for number in range(300)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(outcome is None for outcome in outcomes[1::2])
    mailbox = Mailbox()
    await bus.consume(WORK, mailbox, prefetch=500)
    wanted = {f"m{number}" for number in range(1, 300, 2)}
    while wanted:
        wanted.discard((await mailbox.next()).id)


async def test_a_queue_deleted_by_an_operator_is_consumed_again_once_it_is_back(
    bus: RabbitBus,
    rabbitmq_url: str,
    rabbitmq_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("omni.bus.rabbitmq.consumer.PROBE_EVERY", 0.05)
    mailbox = Mailbox()
    await bus.consume(WORK, mailbox, prefetch=10)
    connection = await aio_pika.connect(rabbitmq_url)
    async with connection:
        channel = await connection.channel()
        await channel.queue_delete(f"{rabbitmq_prefix}work")
    with pytest.raises(BusError, match="'work' does not exist"):
        await bus.publish(outgoing("lost"))

    async def is_noticed() -> bool:
        return "'work' cannot be consumed" in caplog.text

    await until(is_noticed)
    await bus.declare([WORK])
    await bus.publish(outgoing("a"))
    assert (await mailbox.next()).id == "a"


async def test_a_queue_declared_otherwise_is_an_error_with_its_mend(bus: RabbitBus) -> None:
    with pytest.raises(BusError, match="other arguments"):
        await bus.declare([Queue(name="work", is_exclusive=False)])


async def test_secrets_of_the_url_are_in_no_error_and_no_log(
    rabbitmq_url: str, caplog: pytest.LogCaptureFixture, proxy: Proxy
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = URL(rabbitmq_url).with_user("nobody").with_password("s3cret-w0rd")
    errors = []
    for url in (wrong, wrong.with_port(1), wrong.with_port(proxy.port)):
        if url.port == proxy.port:
            proxy.cut()
        with pytest.raises(BusUnavailableError) as raised:
            await RabbitBus(str(url)).open()
        errors.append(str(raised.value))
    with pytest.raises(BusError) as refused:
        RabbitBus("http://nobody:s3cret-w0rd@127.0.0.1/")
    errors.append(str(refused.value))
    assert "refused the user or password" in errors[0]
    assert not [text for text in (*errors, caplog.text) if "s3cret-w0rd" in text]


class Broker:
    """A RabbitMQ node of this test's own, to be killed."""

    def __init__(self, script: str, home: Path, port: int, dist_port: int) -> None:
        self.url = f"amqp://guest:guest@127.0.0.1:{port}/"
        self._script = script
        self._log = home / "stdout"
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "RABBITMQ_NODENAME": f"omni-test-{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(dist_port),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(home / "none"),
        }
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._script, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

        async def answers() -> bool:
            assert self._process is not None
            if self._process.returncode is not None:
                pytest.skip(f"a second broker does not start here: {self._log.read_text()[-500:]}")
            try:
                await (await aio_pika.connect(self.url, timeout=5)).close()
            except (OSError, TimeoutError, aio_pika.exceptions.AMQPError):
                return False
            return True

        async with asyncio.timeout(90):
            while not await answers():
                await asyncio.sleep(0.2)

    async def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        await self._process.wait()

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    script = next((path for path in SERVER_SCRIPTS if Path(path).exists()), None)
    if script is None:
        pytest.skip("needs a RabbitMQ installation on this machine, to start a broker of its own")
    broker = Broker(script, tmp_path, free_port(), free_port())
    await broker.start()
    yield broker
    await broker.kill()


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_nothing_confirmed_is_lost_when_the_broker_itself_is_killed(broker: Broker) -> None:
    # The delay outlasts the restart: a message that expires while queues are still electing their leaders waits for
    # the broker's own dead_letter_worker_publisher_confirm_timeout (3 minutes) before it moves on.
    bus = RabbitBus(broker.url, delay_steps=(15.0,))
    await bus.open()
    try:
        await bus.declare([WORK, SHARED])
        await broker.stop()  # so that the queues' names are on disk: brokers before 4 take seconds for that
        await until_down(bus)
        await broker.start()
        await until_usable(bus)
        mailbox = Mailbox()
        await bus.consume(WORK, mailbox, prefetch=100)
        await bus.publish(outgoing(*(f"m{number}" for number in range(50))))
        held = await mailbox.take(50)
        held[0].ack()
        held[1].nack("later", delay=15.0)
        held[2].bury("never")
        while len(await bus.dead_letters()) < 1 or (await bus.depth("work")).taken > 47:
            await asyncio.sleep(0.01)
        await broker.kill()
        await until_down(bus)
        await broker.start()
        await until_usable(bus)
        await bus.publish(outgoing("after"))
        wanted = {f"m{number}" for number in range(1, 50) if number != 2} | {"after"}
        while wanted:
            wanted.discard((await mailbox.next()).id)
        assert [letter.id for letter in await bus.dead_letters()] == ["m2"]
    finally:
        await bus.close()
