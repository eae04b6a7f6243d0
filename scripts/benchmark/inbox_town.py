"""A server that holds many open conversations, and somebody who is signed in to its inbox.

`python -m benchmark.inbox_town FILE FIRST LAST` stores copies of one exchange through the store, as `growth` does, with
names, words, times and handlers that differ as those of a real inbox do.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import sys
import time
from pathlib import Path
from typing import Final

from benchmark.growth import AT_ONCE, Exchange
from benchmark.server import BenchError
from omni.access.operators.sessions import Sessions
from omni.app.engines import engines
from omni.model.entry import Entry, UserSaid
from omni.model.ids import new_id
from omni.model.message import Message
from omni.model.operator import Operator
from omni.settings import load
from omni.store.base import Append

_ROOT = Path(__file__).resolve().parents[2]
DAY: Final = 24 * 3600.0
RARE: Final = "zeppelin"
"""One message in a thousand has it."""

_FIRST: Final = ("Ana", "Bruno", "Carla", "Dmitri", "Elif", "Farah", "Goran", "Hana", "Jonas", "Kofi", "Lucía", "Mei")
_LAST: Final = ("Petrović", "García", "Okafor", "Lindqvist", "Yılmaz", "Haddad", "Novak", "Tanaka", "Moreno", "Chen")
_SAYINGS: Final = (
    "Hi, where is my order? It should have come yesterday.",
    "Can I still change the delivery address?",
    "The blue one does not fit, I would like a size larger.",
    "Thank you, that worked!",
    "I was charged twice for the same table.",
    "Do you open on Sunday?",
)


def words_of(number: int) -> str:
    saying = _SAYINGS[number % len(_SAYINGS)]
    return f"{saying} It is about a {RARE}." if number % 1000 == 7 else saying


def name_of(number: int) -> str:
    return f"{_FIRST[number % len(_FIRST)]} {_LAST[number // len(_FIRST) % len(_LAST)]} {number}"


def lived_in(step: Append, number: int, now: float) -> Append:
    """The copied exchange as that of the n-th person, some time within the last day."""
    chance = random.Random(number)
    at = now - chance.random() * DAY * 0.9
    words = words_of(number)

    def at_its_time(entry: Entry) -> Entry:
        fact = entry.fact
        if isinstance(fact, UserSaid):
            fact = fact.model_copy(update={"text": words, "message": Message.of(words)})
        return entry.model_copy(update={"ts": at, "fact": fact})

    waits = chance.random() < 0.1
    call = step.call.model_copy(
        update={
            "name": name_of(number),
            "handler": "nobody" if waits else "bot",
            "waiting_since": at if waits else None,
            "last_text": words,
            "last_from": "user" if waits else "bot",
            "last_at": at,
            "started_at": at - 60,
        }
    )
    return dataclasses.replace(step, call=call, entries=tuple(map(at_its_time, step.entries)))


async def fill(file: Path, first: int, last: int) -> None:
    """Store the conversations of the people `first` to `last` - 1."""
    settings = await asyncio.to_thread(load, file)
    now = time.time()
    async with engines(settings) as opened:
        pattern = await Exchange.read(opened.store)
        numbers = iter(range(first, last))

        async def work() -> None:
            for number in numbers:
                contact, step = pattern.copy(number)
                await opened.store.save_contact(contact.model_copy(update={"name": name_of(number)}))
                await opened.store.append(lived_in(step, number, now))

        async with asyncio.TaskGroup() as workers:
            for _ in range(AT_ONCE):
                workers.create_task(work())


async def fill_apart(file: Path, first: int, last: int) -> None:
    """The same in a process of its own. Raises BenchError."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmark.inbox_town", str(file), str(first), str(last), cwd=_ROOT / "scripts",
        stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        if await child.wait():
            raise BenchError("the store could not be filled; what went wrong is above")
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def sign_in(file: Path) -> str:
    """The cookie of an operator who has just signed in."""
    settings = await asyncio.to_thread(load, file)
    async with engines(settings) as opened:
        operator = Operator(
            id=new_id("op"),
            email="bench@example.com",
            name="Bench",
            role="agent",
            created_at=time.time(),
        )
        cookie, _ = await Sessions(opened.store).begin(await opened.store.save_operator(operator))
        return cookie


async def entries_of_an_exchange(file: Path) -> int:
    """How many entries a message and its answer make in the log; the call's beginning is none of them."""
    settings = await asyncio.to_thread(load, file)
    async with engines(settings) as opened:
        pattern = await Exchange.read(opened.store)
        return sum(entry.fact.type != "call.started" for entry in pattern.entries)


if __name__ == "__main__":
    from benchmark.floor import run

    run(fill(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
