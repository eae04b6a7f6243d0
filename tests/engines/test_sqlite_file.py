"""The file under the embedded bus and store: what a returned write means, whoever fails, is killed or is in the way."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from omni.sqlite import CHECKPOINT_AFTER, SqliteFile, SqliteFileError, SqliteFullError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[SqliteFile]:
    file = SqliteFile(tmp_path / "omni.db")
    await file.open()
    await file.migrate("test", [["CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT UNIQUE)"]])
    yield file
    await file.close()


def insert(body: str) -> Callable[[sqlite3.Connection], int]:
    return lambda db: db.execute("INSERT INTO t (body) VALUES (?)", (body,)).lastrowid or 0


def bodies(db: sqlite3.Connection) -> list[str]:
    return [body for (body,) in db.execute("SELECT body FROM t ORDER BY id")]


async def commits_during(file: SqliteFile, work: Callable[[], Awaitable[object]]) -> int:
    statements: list[str] = []
    await file.write(lambda db: db.set_trace_callback(statements.append))
    await work()
    await file.write(lambda db: db.set_trace_callback(None))
    # That of the first write may still be in the list, that of the last is.
    begins = [statement for statement in statements if statement.startswith("BEGIN")]
    return len(begins) - 1


async def test_a_read_sees_every_write_that_returned(file: SqliteFile) -> None:
    for number in range(20):
        await file.write(insert(str(number)))
        assert file.look(bodies)[-1] == str(number)
        assert (await file.read(bodies))[-1] == str(number)


async def test_a_lone_write_is_committed_at_once_and_many_share_a_commit(file: SqliteFile) -> None:
    assert await commits_during(file, lambda: asyncio.gather(file.write(insert("alone")))) == 1
    together = await commits_during(
        file, lambda: asyncio.gather(*(file.write(insert(f"together {n}")) for n in range(50)))
    )
    assert together < 10
    assert len(file.look(bodies)) == 51


async def test_writes_are_performed_in_the_order_they_were_asked_for(file: SqliteFile) -> None:
    await asyncio.gather(*(file.write(insert(f"{n:03d}")) for n in range(300)))
    assert file.look(bodies) == [f"{n:03d}" for n in range(300)]


@pytest.mark.parametrize("long", [False, True])
async def test_a_job_that_fails_is_undone_alone(file: SqliteFile, long: bool) -> None:
    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t (body) VALUES ('half')")
        raise LookupError("changed my mind")

    results = await asyncio.gather(
        file.write(insert("a")),
        file.write(half, long=long),
        file.write(insert("a")),
        file.write(insert("b")),
        return_exceptions=True,
    )
    assert isinstance(results[1], LookupError)
    assert isinstance(results[2], sqlite3.IntegrityError)
    assert (results[0], results[3]) == (1, 2)
    assert file.look(bodies) == ["a", "b"]


async def test_a_lone_job_that_fails_leaves_nothing(file: SqliteFile) -> None:
    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t (body) VALUES ('half')")
        raise LookupError("changed my mind")

    with pytest.raises(LookupError):
        await file.write(half)
    assert file.look(bodies) == []
    await file.write(insert("after"))
    assert file.look(bodies) == ["after"]


async def test_a_cancelled_caller_harms_nobody(file: SqliteFile) -> None:
    writing = [asyncio.ensure_future(file.write(insert(str(n)))) for n in range(10)]
    await asyncio.sleep(0)
    writing[4].cancel()
    results = await asyncio.gather(*writing, return_exceptions=True)
    assert [n for n, result in enumerate(results) if isinstance(result, asyncio.CancelledError)] == [4]
    assert set(file.look(bodies)) >= {str(n) for n in range(10) if n != 4}


async def test_a_write_nobody_waits_for_rides_with_the_next(file: SqliteFile) -> None:
    told: list[object] = []
    file.write_soon(insert("soon"), lambda result, error: told.append((result, error)))
    await file.write(insert("now"))
    assert told == [(1, None)]
    assert file.look(bodies) == ["soon", "now"]


async def test_a_write_nobody_waits_for_is_committed_by_itself_too(file: SqliteFile) -> None:
    told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    file.write_soon(insert("soon"), lambda result, error: told.set_result(error))
    assert await told is None
    assert file.look(bodies) == ["soon"]


async def test_close_writes_what_nobody_waited_for(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "omni.db")
    await file.open()
    await file.write(lambda db: db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)"))
    file.write_soon(insert("last words"))
    await file.close()
    await file.close()
    await file.open()
    assert file.look(bodies) == ["last words"]
    await file.close()


async def test_a_listener_that_fails_does_not_stop_the_others(file: SqliteFile) -> None:
    def fails(_result: object, _error: object) -> None:
        raise LookupError("a listener's own mistake")

    file.write_now(insert("a"), fails)
    assert await file.write(insert("b")) == 2


async def test_too_many_waiting_writes_are_refused_at_once(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "omni.db", max_waiting=10)
    await file.open()
    await file.write(lambda db: db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)"))
    results = await asyncio.gather(*(file.write(insert(str(n))) for n in range(30)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, SqliteFullError)]
    assert len(refused) == 20
    assert len(file.look(bodies)) == 10
    await file.close()


async def test_two_parts_share_a_file_and_the_last_to_close_closes_it(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "omni.db")
    await file.open()
    await file.open()
    await file.close()
    await file.write(lambda db: db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
    await file.close()
    with pytest.raises(SqliteFileError, match="not open"):
        await file.write(lambda db: None)


async def test_the_file_is_its_owners_alone(file: SqliteFile) -> None:
    for suffix in ("", "-wal", "-shm"):
        assert stat.S_IMODE(Path(f"{file.path}{suffix}").stat().st_mode) == 0o600


async def test_the_write_ahead_log_stays_short(file: SqliteFile) -> None:
    """However long the writing goes on without a pause."""
    for lap in range(6):
        for _ in range(10):
            await asyncio.gather(
                *(
                    file.write(
                        lambda db: db.executemany("INSERT INTO t (body) VALUES (hex(randomblob(40)))", [()] * 100)
                    )
                    for _ in range(CHECKPOINT_AFTER // 1000)
                )
            )
        size = Path(f"{file.path}-wal").stat().st_size
        assert size < 30_000_000, lap


# in the way


async def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_done(file: SqliteFile) -> None:
    def little_room(db: sqlite3.Connection) -> None:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 8}")

    await file.write(insert("before"))
    await file.write(little_room)
    results = await asyncio.gather(
        file.write(insert("small")), file.write(insert("x" * 1_000_000)), return_exceptions=True
    )
    assert isinstance(results[1], SqliteFileError)
    assert "free some space" in str(results[1])
    kept = file.look(bodies)
    assert kept == (["before", "small"] if results[0] == 2 else ["before"])
    await file.write(lambda db: db.execute("PRAGMA max_page_count = 100000"))
    await file.write(insert("room again"))
    assert file.look(bodies) == [*kept, "room again"]


async def test_another_process_that_writes_is_waited_for_without_holding_the_loop(file: SqliteFile) -> None:
    other = sqlite3.connect(file.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO t (body) VALUES ('theirs')")
    writing = [asyncio.ensure_future(file.write(insert(f"ours {n}"))) for n in range(3)]
    for _ in range(100):
        await asyncio.sleep(0)  # the loop turns
    assert not any(write.done() for write in writing)
    other.execute("COMMIT")
    other.close()
    await asyncio.gather(*writing)
    assert file.look(bodies) == ["theirs", "ours 0", "ours 1", "ours 2"]
    assert file.changed_elsewhere()
    assert not file.changed_elsewhere()


async def test_another_process_that_never_ends_is_a_sentence(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "omni.db", busy_timeout=0.02)
    await file.open()
    await file.write(lambda db: db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)"))
    other = sqlite3.connect(file.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SqliteFileError, match="another process"):
        await file.write(insert("ours"))
    other.close()
    await file.write(insert("now"))
    assert file.look(bodies) == ["now"]
    await file.close()


async def test_a_file_that_is_no_database_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("this is not a database, but somebody's notes\n" * 100)
    with pytest.raises(SqliteFileError, match="another path"):
        await SqliteFile(path).open()
    assert path.read_text().startswith("this is not a database")


async def test_a_damaged_file_is_a_sentence(file: SqliteFile, tmp_path: Path) -> None:
    for n in range(50):
        await file.write(insert(f"{n}" * 500))
    await file.close()
    content = bytearray(file.path.read_bytes())
    content[4096 * 2 :] = b"\xff" * len(content[4096 * 2 :])
    file.path.write_bytes(content)
    broken = SqliteFile(file.path)
    await broken.open()
    with pytest.raises(SqliteFileError, match="damaged"):
        await broken.read(bodies)
    await broken.close()
    await file.open()  # for the fixture


async def test_a_folder_that_is_missing_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SqliteFileError, match="nowhere"):
        await SqliteFile(tmp_path / "nowhere" / "omni.db").open()


async def test_a_file_of_a_newer_release_is_left_alone(file: SqliteFile) -> None:
    await file.migrate("other", [["CREATE TABLE o1 (x)"], ["CREATE TABLE o2 (x)"]])
    with pytest.raises(SqliteFileError, match="version 2"):
        await file.migrate("other", [["CREATE TABLE o1 (x)"]])


async def test_a_migration_is_all_or_nothing_and_runs_once(file: SqliteFile) -> None:
    with pytest.raises(sqlite3.OperationalError):
        await file.migrate("new", [["CREATE TABLE n1 (x)", "CREATE NONSENSE"]])
    versions = [["CREATE TABLE n1 (x)"]]
    await file.migrate("new", versions)
    await file.migrate("new", versions)
    await file.migrate("new", [*versions, ["ALTER TABLE n1 ADD COLUMN y"]])
    assert len(file.look(lambda db: db.execute("SELECT x, y FROM n1").description)) == 2


# kill -9

_CHILD = """
import asyncio, sys
sys.path.insert(0, {root!r})
from omni.sqlite import SqliteFile

async def lane(file, number):
    for count in range(1_000_000):
        body = f"{{number}}.{{count}}"
        await file.write(lambda db: db.execute("INSERT INTO t (body) VALUES (?)", (body,)))
        print(body, flush=True)

async def main():
    file = SqliteFile(sys.argv[1])
    await file.open()
    await file.migrate("test", [["CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT UNIQUE)"]])
    async with asyncio.TaskGroup() as group:
        for number in range(16):
            group.create_task(lane(file, number))

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 500, 20_000])
async def test_what_returned_survives_kill_9(tmp_path: Path, lines: int) -> None:
    """The last number of lines is beyond a checkpoint of the write-ahead log."""
    path = tmp_path / "omni.db"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CHILD.format(root=str(ROOT)), str(path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    promised = [await child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    rest = await child.stdout.read()
    await child.wait()
    promised += [line for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
    file = SqliteFile(path)
    await file.open()
    kept = await file.read(bodies)
    assert {line.decode().strip() for line in promised} <= set(kept)
    for number in range(16):
        of_lane = [body for body in kept if body.startswith(f"{number}.")]
        assert of_lane == [f"{number}.{count}" for count in range(len(of_lane))]
    assert (await file.read(lambda db: db.execute("PRAGMA integrity_check").fetchone())) == ("ok",)
    await file.close()
