"""The section "growth": the same load on a store that already holds 10 to 100,000 conversations.

One exchange is made by the server itself; copies of it, with people, calls, messages and deliveries of their own, are
written through the store's own `save_contact` and `append` while the server is down.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import graph, machine, posts
from benchmark.answers import Conversations, Round, measure, strangers
from benchmark.figures import Section, Target, paragraph, percentile, table
from benchmark.plan import Plan
from benchmark.server import BenchError, omni
from benchmark.wire import Client
from omni.app.engines import engines
from omni.model.call import Call
from omni.model.contact import Contact, Identity, IdentityKind
from omni.model.delivery import Delivery
from omni.model.entry import Entry, fact_from_json, fact_json
from omni.settings import load
from omni.store.base import Append, Store

SEATS = 8
AT_ONCE = 64
TOLERANCE = 1.2
SPREAD = 1_000
"""Of what is stored, so many people at most write again; they are spread over all of it."""
MODEL = posts.person(0)
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One person, their call, its log and its delivery, as JSON: the pattern of the copies."""

    contact: str
    call: str
    entries: tuple[Entry, ...]
    facts: tuple[str, ...]
    deliveries: tuple[str, ...]
    names: tuple[str, ...]
    """What must be different in each copy, beside the person's number."""

    @classmethod
    async def read(cls, store: Store) -> Exchange:
        found = await store.find_contacts("default", [Identity(kind=IdentityKind.WA_ID, value=MODEL)])
        if len(found) != 1:
            raise BenchError("the exchange that should be copied was not stored")
        contact = found[0]
        call = await store.last_call(f"default/echo/whatsapp:{posts.number_of(MODEL)}/{contact.id}")
        if call is None:
            raise BenchError("the call that should be copied was not stored")
        entries = await store.entries(call.id)
        deliveries = await store.deliveries(call.id)
        facts = [fact_json(entry.fact) for entry in entries]
        names = {contact.id, call.id, *(one.id for one in deliveries)}
        names |= {receipt.provider_id for one in deliveries for receipt in one.receipts if receipt.provider_id}
        names |= {name for text in facts for name in _references(json.loads(text))}
        return cls(
            contact.model_copy(update={"version": 0}).model_dump_json(),
            call.model_dump_json(),
            tuple(entries),
            tuple(facts),
            tuple(one.model_copy(update={"version": 0}).model_dump_json() for one in deliveries),
            tuple(sorted(names, key=len, reverse=True)),
        )

    def copy(self, number: int) -> tuple[Contact, Append]:
        """The exchange of the n-th person."""
        wa_id = posts.person(number)

        def theirs(text: str) -> str:
            for name in self.names:
                text = text.replace(name, f"{name[:-7]}{number:07d}")
            return text.replace(MODEL, wa_id).replace(posts.number_of(MODEL), posts.number_of(wa_id))

        contact = Contact.model_validate_json(theirs(self.contact))
        call = Call.model_validate_json(theirs(self.call))
        entries = tuple(
            entry.model_copy(update={"call": call.id, "fact": fact_from_json(entry.fact.type, theirs(text))})
            for entry, text in zip(self.entries, self.facts, strict=True)
        )
        deliveries = tuple(Delivery.model_validate_json(theirs(text)) for text in self.deliveries)
        return contact, Append(call=call, entries=entries, keys=(f"bench:{number}",), deliveries=deliveries)


def _references(value: Any, name: str = "") -> Iterator[str]:
    """Ids inside an entry: the provider's of a message, ours of a turn."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _references(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner, name)
    elif (
        isinstance(value, str) and len(value) > 16 and value.startswith(("wamid.", "msg_", "turn_", "dl_", "m_", "t_"))
    ):
        yield value


async def fill(file: Path, first: int, last: int) -> None:
    """Store the exchanges of the people `first` to `last` - 1."""
    settings = await asyncio.to_thread(load, file)
    async with engines(settings) as opened:
        pattern = await Exchange.read(opened.store)
        numbers = iter(range(first, last))

        async def work() -> None:
            for number in numbers:
                contact, step = pattern.copy(number)
                await opened.store.save_contact(contact)
                await opened.store.append(step)

        async with asyncio.TaskGroup() as workers:
            for _ in range(AT_ONCE):
                workers.create_task(work())


async def section(plan: Plan, folder: Path) -> Section:
    rows: list[list[str]] = []
    rounds: list[tuple[int, Round]] = []
    stored = fresh = 1
    async with graph.running() as stand_in:
        async with omni(folder, stand_in.url, cores=plan.server_cores) as server, Client(server.port, 4) as client:
            load = Conversations(client, stand_in, 1, iter([MODEL]), each=1)
            load.start()
            await load.over()
            await load.stop()
        # leaving ends the server, which writes what became of the delivery first
        for wanted in plan.growth_points:
            began = time.perf_counter()
            if wanted > stored:
                await _fill_apart(folder / "omni.yaml", stored, wanted)
            filled = time.perf_counter() - began
            stored = max(stored, wanted)
            people = _people(fresh, stored)
            fresh = stored
            async with omni(folder, stand_in.url, cores=plan.server_cores) as server:
                done = await measure(
                    server, stand_in, SEATS, seconds=2 * plan.round_seconds, warm_up=plan.warm_up, people=people
                )
            rounds.append((stored, done))
            size = machine.stored(folder)
            rows.append(
                [
                    f"{stored:,}",
                    f"{size / 2**20:,.0f}",
                    f"{done.rate:,.0f}",
                    f"{1000 * percentile(done.latencies, 0.5):.1f}",
                    f"{1000 * percentile(done.latencies, 0.99):.1f}",
                    f"{done.cpu_ms:.2f}",
                    f"{filled:.0f} s",
                ]
            )
    head = ("stored conversations", "database MiB", "answers/s", "p50 ms", "p99 ms", "CPU ms/message", "filling took")
    text = (
        paragraph(
            f"""{SEATS} conversations at a time, 20 messages each; every other one by somebody who was stored and comes
            back, the others by new people; the server restarted at each point."""
        )
        + "\n\n"
        + table(head, rows)
    )
    least, most = rounds[0][1].cpu_ms, rounds[-1][1].cpu_ms
    ratio = most / least
    name = f"CPU a message at {rounds[-1][0]:,} against {rounds[0][0]:,} stored"
    target = Target(name, f"≤ {TOLERANCE:g} times", f"{ratio:.2f} times", ratio <= TOLERANCE)
    numbers = {
        "points": [
            {
                "stored": stored,
                "answers_per_second": one.rate,
                "p50_ms": 1000 * percentile(one.latencies, 0.5),
                "p99_ms": 1000 * percentile(one.latencies, 0.99),
                "cpu_ms_per_message": one.cpu_ms,
            }
            for stored, one in rounds
        ]
    }
    return Section("Growth", text, [target], numbers)


def _people(first: int, last: int) -> Iterator[str]:
    """In turns somebody who was stored at this point, each once, and somebody new."""
    stored = range(first, last, max(1, (last - first) // SPREAD))
    new = strangers()
    for number in stored:
        yield posts.person(number)
        yield next(new)
    yield from new


async def _fill_apart(file: Path, first: int, last: int) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmark.growth", str(file), str(first), str(last), cwd=_ROOT / "scripts",
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

    run(fill(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
