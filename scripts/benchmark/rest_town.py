"""A store that holds a million ended calls, for the section "rest".

`python -m benchmark.rest_town FILE NUMBER` writes them while the server is down: people through the store, calls as the
store's own rows and documents, a few thousand at a time, because a million appends would take half an hour. These calls
have no logs, which lists do not read. The n-th began at `began_at(n)`, so a page's own words say how deep it is.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from benchmark import posts
from benchmark.inbox_town import name_of
from benchmark.server import BenchError
from omni.app.engines import engines
from omni.model.call import Call, conversation_key
from omni.model.contact import Contact, known_by
from omni.settings import load
from omni.store.base import Store

CHUNK: Final = 5_000
AT_ONCE: Final = 64
CALLS_EACH: Final = 50
"""Calls of one person: a page of a hundred shows a hundred people."""
ORG: Final = "default"
AGENT: Final = "echo"
_BEGAN: Final = 1_750_000_000.0
_STEP: Final = 8.0
_ROOT: Final = Path(__file__).resolve().parents[2]


def began_at(number: int) -> float:
    return _BEGAN + _STEP * number


def number_at(started: float) -> int:
    """Which of the stored calls began then; beyond the last for calls of this run."""
    return round((started - _BEGAN) / _STEP)


def people_of(calls: int) -> int:
    return max(1, calls // CALLS_EACH)


def person(number: int) -> Contact:
    wa_id = posts.person(1_000_000 + number)
    identities = known_by(wa_id)
    return Contact(
        id=f"ct_{number:026d}",
        home=f"whatsapp:{ORG}:{identities[-1].value}",
        identities=identities,
        name=name_of(number),
    )


def stored_calls(calls: int) -> Iterator[tuple[Call, int, bool]]:
    """Each with its place in its conversation, from 1 on, and whether it is the newest there."""
    people = people_of(calls)
    channel = f"whatsapp:{posts.PHONE_NUMBER_IDS[0]}"
    pattern = Call(
        id="", org=ORG, agent=AGENT, channel=channel, transport="whatsapp", conversation="", contact="", home="",
        is_open=False, started_at=0, reason="inactive", last_seq=9, last_text="You said: Where is my order?",
        last_from="bot", user_messages=2, bot_messages=2,
    )  # fmt: skip
    known = [person(number) for number in range(people)]
    for number in range(calls):
        contact, at = known[number % people], began_at(number)
        call = pattern.model_copy(
            update={
                "id": f"wa-{number:012x}",
                "conversation": conversation_key(ORG, AGENT, channel, contact.id),
                "contact": contact.id,
                "home": contact.home,
                "name": contact.name,
                "started_at": at,
                "ended_at": at + 600,
                "first_user_at": at,
                "first_answer_at": at + 1,
                "last_user_at": at + 5,
                "last_at": at + 6,
                "window_closes_at": at + 86_405,
            }
        )
        yield call, number // people + 1, number + people >= calls


async def fill(file: Path, calls: int) -> None:
    settings = await asyncio.to_thread(load, file)
    async with engines(settings) as opened:
        await _write_people(opened.store, people_of(calls))
    if settings.sqlite_path is not None:
        await asyncio.to_thread(_write_rows, settings.sqlite_path, calls)
    else:
        await _write_documents(settings.store_url, calls)


async def _write_people(store: Store, people: int) -> None:
    numbers = iter(range(people))

    async def work() -> None:
        for number in numbers:
            await store.save_contact(person(number))

    async with asyncio.TaskGroup() as workers:
        for _ in range(AT_ONCE):
            workers.create_task(work())


def _write_rows(path: str, calls: int) -> None:
    from omni.store.sqlite.calls import BEGIN, call_row

    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -400000")  # indexes of a million rows are written to in any order
    rows = (call_row(call) for call, _, _ in stored_calls(calls))
    while some := list(islice(rows, CHUNK)):
        db.execute("BEGIN IMMEDIATE")
        db.executemany(BEGIN, some)
        db.execute("COMMIT")
    db.close()


async def _write_documents(url: str, calls: int) -> None:
    from pymongo import AsyncMongoClient

    from omni.mongodb import Document
    from omni.store.mongodb.calls import call_document
    from omni.store.mongodb.collections import CALLS

    documents = (
        # what the store says of every call but a conversation's newest
        {**call_document(call), "nth": nth, **({} if is_newest else {"followed": True})}
        for call, nth, is_newest in stored_calls(calls)
    )
    async with AsyncMongoClient[Document](url) as client:
        collection = client.get_default_database()[CALLS]
        while some := list(islice(documents, CHUNK)):
            await collection.insert_many(some, ordered=False)


async def fill_apart(file: Path, calls: int) -> None:
    """The same in a process of its own. Raises BenchError."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmark.rest_town", str(file), str(calls), cwd=_ROOT / "scripts",
        stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        if await child.wait():
            raise BenchError("the store could not be filled; what went wrong is above")
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


if __name__ == "__main__":
    from benchmark.floor import run

    run(fill(Path(sys.argv[1]), int(sys.argv[2])))
