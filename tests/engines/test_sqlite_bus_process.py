"""The embedded bus and its one server: who may consume, what another process may do, what stays in the file."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from omni.bus.base import BusUnavailableError, Outgoing, Received
from omni.bus.sqlite import SqliteBus
from omni.bus.sqlite.bus import READY_MESSAGES
from omni.model.queues import Queue
from omni.sqlite import SqliteFile

ROOT = Path(__file__).resolve().parents[2]
WORK = Queue(name="work", is_exclusive=True)
PATIENCE = 20.0

OpenBus = Callable[[], Awaitable[SqliteBus]]


@pytest.fixture
async def open_bus(tmp_path: Path) -> AsyncIterator[OpenBus]:
    """Each call is what one process has: a file of its own on the same path."""
    buses: list[SqliteBus] = []

    async def start() -> SqliteBus:
        bus = SqliteBus(SqliteFile(tmp_path / "omni.db"))
        await bus.open()
        buses.append(bus)
        await bus.declare([WORK])
        return bus

    yield start
    for bus in buses:
        await bus.close()


async def mailbox_on(bus: SqliteBus, prefetch: int = 100) -> asyncio.Queue[Received]:
    mailbox: asyncio.Queue[Received] = asyncio.Queue()
    await bus.consume(WORK, mailbox.put_nowait, prefetch=prefetch)
    return mailbox


async def take(mailbox: asyncio.Queue[Received], count: int) -> list[Received]:
    async with asyncio.timeout(PATIENCE):
        return [await mailbox.get() for _ in range(count)]


def outgoing(*ids: str) -> list[Outgoing]:
    return [Outgoing("work", b"body of " + id_.encode(), id_) for id_ in ids]


_CHILD = """
import asyncio, sys
sys.path.insert(0, {root!r})
from omni.bus.base import Outgoing
from omni.bus.sqlite import SqliteBus
from omni.model.queues import Queue
from omni.sqlite import SqliteFile

WORK = Queue(name="work", is_exclusive=True)

async def serve(bus):
    await bus.consume(WORK, lambda message: print(message.id, flush=True), prefetch=10)
    await asyncio.Event().wait()

async def publish(bus):
    await bus.publish([Outgoing("work", b"from the command line", "theirs")])

async def replay(bus):
    await bus.replay([letter.id for letter in await bus.dead_letters()])

async def main():
    bus = SqliteBus(SqliteFile(sys.argv[2]))
    await bus.open()
    await {{"serve": serve, "publish": publish, "replay": replay}}[sys.argv[1]](bus)
    await bus.close()

asyncio.run(main())
"""


async def child(path: Path, what: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _CHILD.format(root=str(ROOT)),
        what,
        str(path / "omni.db"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_second_server_is_refused_and_told_who_has_the_file(open_bus: OpenBus, tmp_path: Path) -> None:
    bus = await open_bus()
    await mailbox_on(bus)
    second = await child(tmp_path, "serve")
    _, complaint = await second.communicate()
    assert second.returncode != 0
    assert b"another omni server (process " in complaint
    assert b"RabbitMQ" in complaint


async def test_the_next_server_gets_the_file_when_the_first_is_killed(open_bus: OpenBus, tmp_path: Path) -> None:
    bus = await open_bus()
    await bus.publish(outgoing("a"))
    first = await child(tmp_path, "serve")
    assert first.stdout is not None
    assert (await first.stdout.readline()).strip() == b"a"
    with pytest.raises(BusUnavailableError, match=f"process {first.pid}"):
        await mailbox_on(bus)
    first.send_signal(signal.SIGKILL)
    await first.communicate()
    [message] = await take(await mailbox_on(bus), 1)
    assert (message.id, message.is_redelivered) == ("a", True), "the killed one may have acted on it"


async def test_a_server_that_stopped_well_leaves_no_doubt_behind(open_bus: OpenBus) -> None:
    first = await open_bus()
    await mailbox_on(first)
    await first.close()
    second = await open_bus()
    await second.publish(outgoing("a"))
    [message] = await take(await mailbox_on(second), 1)
    assert not message.is_redelivered


async def test_a_message_of_another_process_is_seen(open_bus: OpenBus, tmp_path: Path) -> None:
    bus = await open_bus()
    mailbox = await mailbox_on(bus)
    await bus.publish(outgoing("ours"))
    assert [message.id for message in await take(mailbox, 1)] == ["ours"]
    process = await child(tmp_path, "publish")
    assert (await process.communicate(), process.returncode) == ((b"", b""), 0)
    assert [message.id for message in await take(mailbox, 1)] == ["theirs"]
    await bus.publish(outgoing("ours again"))
    assert [message.id for message in await take(mailbox, 1)] == ["ours again"]


async def test_a_dead_letter_that_another_process_replays_is_seen(open_bus: OpenBus, tmp_path: Path) -> None:
    bus = await open_bus()
    mailbox = await mailbox_on(bus)
    await bus.publish(outgoing("a"))
    (await take(mailbox, 1))[0].bury("not now")
    assert len(await bus.dead_letters()) == 1
    process = await child(tmp_path, "replay")
    assert (await process.communicate(), process.returncode) == ((b"", b""), 0)
    [message] = await take(mailbox, 1)
    assert (message.id, message.attempt) == ("a", 1)


async def test_a_message_of_a_process_whose_clock_is_behind_is_seen(open_bus: OpenBus, tmp_path: Path) -> None:
    bus = await open_bus()
    mailbox = await mailbox_on(bus)
    await bus.publish(outgoing("now"))
    await take(mailbox, 1)
    other = sqlite3.connect(tmp_path / "omni.db", isolation_level=None)
    [(newest,)] = other.execute("SELECT max(row) FROM bus_messages").fetchall()
    other.execute("INSERT INTO bus_messages (row, id, body) VALUES (?, 'an hour ago', x'')", (newest - 3_600_000_000,))
    other.close()
    assert [message.id for message in await take(mailbox, 1)] == ["an hour ago"]


async def test_a_backlog_stays_in_the_file_and_keeps_its_order(open_bus: OpenBus) -> None:
    bus = await open_bus()
    mailbox = await mailbox_on(bus, prefetch=7)
    names = [f"{n:05d}" for n in range(3 * READY_MESSAGES)]
    for start in range(0, len(names), 100):
        await asyncio.gather(*(bus.publish(outgoing(name)) for name in names[start : start + 100]))
    lane: Any = bus._lanes["work"]
    assert len(lane.here) <= READY_MESSAGES + 7
    taken: list[str] = []
    while len(taken) < len(names):
        for message in await take(mailbox, 1):
            taken.append(message.id)
            message.ack()
            if len(taken) % 500 == 0:
                await bus.publish(outgoing(f"late {len(taken)}"))
                names.append(f"late {len(taken)}")
    assert taken == names
    assert (await bus.depth("work")).ready == 0
    assert lane.here == set()


async def test_a_cancelled_publish_is_delivered_or_never_was(open_bus: OpenBus) -> None:
    bus = await open_bus()
    mailbox = await mailbox_on(bus)
    publishing = asyncio.ensure_future(bus.publish(outgoing("a")))
    await asyncio.sleep(0)
    publishing.cancel()
    await bus.publish(outgoing("b"))
    await asyncio.wait([publishing])
    assert [message.id for message in await take(mailbox, 2)] == ["a", "b"]


async def test_an_acknowledgement_is_tried_again_when_the_disk_is_full(
    open_bus: OpenBus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("omni.bus.sqlite.bus.RETRY_WRITE", 0.01)
    bus = await open_bus()
    mailbox = await mailbox_on(bus)
    await bus.publish([Outgoing("work", b"x" * 50_000, "a")])
    [message] = await take(mailbox, 1)

    def room(pages: int) -> Callable[[sqlite3.Connection], sqlite3.Cursor]:
        return lambda db: db.execute(f"PRAGMA max_page_count = {pages}")

    await bus._file.write(room(1))  # no less than the file has: nothing may be added, as a dead letter would
    message.bury("no room for it")
    while bus._unwritten:
        await asyncio.sleep(0)
    assert "could not be written" in caplog.text
    await bus._file.write(room(100_000))
    async with asyncio.timeout(PATIENCE):
        while not await bus.dead_letters():
            await asyncio.sleep(0.01)
    assert (await bus.depth("work")).ready == 0


async def test_acknowledgements_beside_long_work_in_a_thread_are_all_written(open_bus: OpenBus) -> None:
    bus = await open_bus()
    mailbox = await mailbox_on(bus)
    await bus.publish(outgoing(*(f"{n}" for n in range(600))))

    async def long_work() -> None:
        for _ in range(100):
            await bus.purge([str(n) for n in range(50)])

    working = asyncio.create_task(long_work())
    for _ in range(600):
        (await take(mailbox, 1))[0].ack()
        await asyncio.sleep(0)
    await working
    assert (await bus.depth("work")).ready == 0
    await bus.close()
    left = sqlite3.connect(bus._file.path)
    assert left.execute("SELECT count(*) FROM bus_messages").fetchone() == (0,)
    left.close()
