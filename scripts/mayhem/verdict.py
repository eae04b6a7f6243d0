"""The promises, checked from the outside: what was said and taken against what the provider was asked to send, and
the call logs at the end."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from mayhem.load import TEXT, Load, Said, wa_id
from mayhem.plan import SLOTS, Plan
from mayhem.processes import MUST_DRAIN_WITHIN, Life
from mayhem.standin import Ledger, Request
from omni.app.engines import Engines
from omni.model.base import DEFAULT_ORG
from omni.model.delivery import Delivery, DeliveryState, piece_of
from omni.model.entry import BotSaid, Entry, TurnEnded, UserSaid
from omni.model.queues import every_queue
from omni.store.base import CallFilter

MOST_MEMORY_KB = 400 * 1024
ENGINES_SLOW = 15.0
"""Seconds before a kill in which an answered request may still have been unwritten."""

READ_LATE = 2.0
"""Seconds after a kill in which the stand-in may still read a request that was on the wire."""


@dataclass(slots=True)
class Autopsy:
    """The records, soon after a life was killed, of what it had been sending. A slow store may answer when another
    worker has gone on with one; `updated_at` tells."""

    life: Life
    records: dict[str, Delivery]


@dataclass(slots=True)
class Verdict:
    """Counts, and a sentence for each broken promise."""

    lost: int = 0
    acted_twice: int = 0
    out_of_order: int = 0
    duplicates: int = 0
    unexplained: int = 0
    dead_letters: int = 0
    left_on_queues: int = 0
    replies: int = 0
    unread: int = 0
    joined: int = 0
    delays: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def breaks(self, sentence: str) -> None:
        self.broken.append(sentence)


def from_outside(plan: Plan, load: Load, ledger: Ledger, verdict: Verdict) -> None:
    """Loss, doubles and order, by the replies that the provider took."""
    first: dict[tuple[int, int], Request] = {}
    answers: dict[tuple[int, int], set[str]] = {}
    order: dict[int, list[int]] = {}
    for request in ledger.accepted:
        found = [(int(contact), int(number)) for contact, number in TEXT.findall(request.text)]
        for key in found:
            if request.to != wa_id(key[0]):
                verdict.breaks(f"{_name(key)} was answered to {request.to}, who never said it")
            answers.setdefault(key, set()).add(request.tracker)
            if key not in first:
                first[key] = request
                order.setdefault(key[0], []).append(key[1])
    verdict.replies = len({request.tracker for request in ledger.accepted})
    verdict.joined = plan.size - verdict.replies
    for key, said in load.said.items():
        if key not in first:
            verdict.lost += 1
            verdict.breaks(f"{_name(key)} ({said.id}, taken at {said.taken:.3f}) was never answered")
            continue
        verdict.delays.append((first[key].accepted or 0) - said.posted)
        if len(answers[key]) > 1:
            verdict.acted_twice += 1
            verdict.breaks(f"{_name(key)} was answered by {len(answers[key])} replies: {', '.join(answers[key])}")
    for contact, numbers in order.items():
        wrong = [later for earlier, later in pairwise(numbers) if later < earlier]
        if wrong:
            verdict.out_of_order += len(wrong)
            verdict.breaks(f"contact {contact} was answered in the order {numbers}")


def duplicates(ledger: Ledger, lives: Sequence[Life], autopsies: Sequence[Autopsy], verdict: Verdict) -> None:
    """Each copy but the last needs a sender that was killed after it began, before the store knew of its success."""
    life_of = {life.number: life for life in lives}
    seen = {autopsy.life.number: autopsy.records for autopsy in autopsies}
    doubles: Counter[int] = Counter()
    for tracker, copies in ledger.copies().items():
        for copy, again in pairwise(copies):
            verdict.duplicates += 1
            doubles[copy.life] += 1
            life = life_of.get(copy.life)
            what = f"{tracker} to {copy.to}, sent by {life.name if life else '?'} (life {copy.life})"
            if life is None or life.end != "killed" or life.asked is None or life.asked + READ_LATE < copy.began:
                verdict.unexplained += 1
                verdict.breaks(
                    f"{what} came again after {again.began - copy.began:.2f} s and its sender was not killed"
                )
                continue
            place = piece_of(tracker)
            record = seen.get(copy.life, {}).get(place[0]) if place else None
            taken = _around(copy.accepted, life.asked)
            if record is None or (record.state is not DeliveryState.SENDING and record.updated_at <= life.asked):
                verdict.unexplained += 1
                state = record.state if record else "not looked up"
                verdict.breaks(f"{what}, taken {taken} its kill, was {state} when its sender died, and came again")
                continue
            later = again.began - life.asked
            verdict.notes.append(
                f"{what}: taken {taken} its kill, the record still `sending`; again {later:.1f} s after"
            )
    for number, times in doubles.items():
        if times > SLOTS:
            verdict.breaks(f"life {number} left {times} doubles, more than the {SLOTS} requests it makes at a time")


async def from_logs(plan: Plan, load: Load, ledger: Ledger, engines: Engines, folder: Path, verdict: Verdict) -> None:
    """What the call logs, the records and the queues say when everything has ended; the logs are kept in the folder,
    `calls.ndjson`."""
    kept: list[str] = []
    calls = await engines.store.calls(CallFilter(org=DEFAULT_ORG), limit=10 * plan.contacts)
    heard: Counter[str] = Counter()
    by_id: dict[str, Said] = {said.id: said for said in load.said.values()}
    copies = ledger.copies()
    for call in calls:
        log: list[Entry] = []
        while page := await engines.store.entries(call.id, after=log[-1].seq if log else 0):
            log += page
        kept += [json.dumps(entry.wire(), ensure_ascii=False) for entry in log]
        if [entry.seq for entry in log] != list(range(1, len(log) + 1)):
            verdict.breaks(f"the log of {call.id} has gaps or doubles")
        ours = {entry.fact.id: entry.fact.provider_id for entry in log if isinstance(entry.fact, UserSaid)}
        heard.update(entry.fact.provider_id for entry in log if isinstance(entry.fact, UserSaid))
        turns = Counter(ref for entry in log if isinstance(entry.fact, TurnEnded) for ref in entry.fact.answers)
        for ref, provider_id in ours.items():
            if turns[ref] != 1:
                verdict.acted_twice += turns[ref] > 1
                verdict.breaks(f"{provider_id} is answered by {turns[ref]} turns of {call.id}")
        records = {record.id: record for record in await engines.store.deliveries(call.id)}
        for fact in (entry.fact for entry in log):
            if isinstance(fact, BotSaid) and fact.delivery is not None:
                _check_sent(plan, fact.delivery, records.get(fact.delivery.id), copies, verdict)
    for provider_id, said in by_id.items():
        if heard[provider_id] != 1:
            verdict.acted_twice += heard[provider_id] > 1
            verdict.breaks(f"{_name(said.key)} ({provider_id}) is {heard[provider_id]} times in the logs")
    for provider_id in heard.keys() - by_id.keys():
        verdict.breaks(f"the logs hold {provider_id}, which nobody said")
    await asyncio.to_thread((folder / "calls.ndjson").write_text, "\n".join(kept))
    letters = await engines.bus.dead_letters(limit=1000)
    verdict.dead_letters = len(letters)
    for letter in letters[:5]:
        verdict.breaks(f"a dead letter of {letter.queue} after {letter.attempts} attempts: {letter.error}")
    for queue in every_queue(plan.partitions):
        depth = await engines.bus.depth(queue.name)
        if depth.ready or depth.taken:
            verdict.left_on_queues += depth.ready + depth.taken
            verdict.breaks(f"{depth.ready + depth.taken} messages are left on {queue.name}")


def _check_sent(
    plan: Plan, asked: Delivery, record: Delivery | None, copies: dict[str, list[Request]], verdict: Verdict
) -> None:
    if record is None:
        verdict.breaks(f"the reply {asked.id} is in the log of {asked.call} and has no record")
        return
    if record.state not in (DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.READ):
        verdict.breaks(f"the reply {record.id} ended as {record.state} ({record.error})")
    elif plan.has_statuses and record.state is not DeliveryState.READ:
        verdict.unread += 1
        verdict.breaks(f"the reply {record.id} was read, its status was taken, and its record says {record.state}")
    for piece in range(record.pieces):
        times = len(copies.get(record.tracker(piece), ()))
        if times == 0:
            verdict.breaks(f"{record.tracker(piece)} is {record.state} and never reached the provider")
        elif times - 1 > record.unclear:
            verdict.breaks(f"{record.tracker(piece)} was sent {times} times and {record.unclear} were counted unclear")


def processes(lives: Sequence[Life], peak_kb: dict[str, int], verdict: Verdict) -> None:
    """Nobody ends by itself, SIGTERM ends with 0 in time, memory stays in bounds."""
    for life in lives:
        who = f"{life.name} (life {life.number})"
        if life.end == "itself":
            verdict.breaks(f"{who} ended by itself with exit code {life.exit_code}")
        elif life.end == "drained" and (life.exit_code != 0 or life.drain_seconds >= MUST_DRAIN_WITHIN):
            verdict.breaks(f"{who} ended {life.drain_seconds:.1f} s after SIGTERM with exit code {life.exit_code}")
    for role, size in peak_kb.items():
        if size > MOST_MEMORY_KB:
            verdict.breaks(f"a process of role {role} grew to {size // 1024} MB")


def _around(at: float | None, kill: float) -> str:
    ms = 1000 * ((at or kill) - kill)
    return f"{-ms:.0f} ms before" if ms < 0 else f"{ms:.0f} ms after"


def _name(key: tuple[int, int]) -> str:
    return f"message {key[1]} of contact {key[0]}"
