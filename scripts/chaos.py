"""Chaos: people write while every process of the server is killed with SIGKILL at random and started again.

Two topologies: `embedded` (one process on SQLite) and `distributed` (2 gateways, 2 session workers, 2 delivery workers
on RabbitMQ and MongoDB; a small run where a stand-in plays MongoDB). The verdict comes from outside: what was said and
taken against what the provider was asked to send, and the call logs at the end. Exit status 1 when a promise broke; the
run's folder is then kept.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import services
from mayhem.plan import Plan, Topology
from mayhem.run import Outcome, run

TOPOLOGIES: tuple[Topology, ...] = ("embedded", "distributed")


def plans(options: argparse.Namespace, has_stand_in: bool) -> Iterator[Plan]:
    """The runs that the options ask for: each topology once without debounce and with statuses, once the other way.

    `has_stand_in`: MongoDB is the stand-in, which takes some fifty appends a second.
    """
    for topology in TOPOLOGIES:
        if options.only not in (None, topology):
            continue
        is_embedded = topology == "embedded"
        is_small = not is_embedded and has_stand_in
        base = Plan(
            topology=topology,
            seed=options.seed,
            contacts=40 if is_small else 200,
            messages=8 if is_small else 20,
            load_seconds=45.0 if is_embedded or is_small else 90.0,
            kill_every=2.5 if is_embedded else 8.0,
            debounce_ms=0,
            has_statuses=True,
            cut=0.0 if is_embedded else 5.0,
            partitions=8,
        )
        if options.short:
            base = replace(
                base,
                contacts=20 if is_embedded else 8,
                messages=10 if is_embedded else 4,
                load_seconds=8.0,
                kill_every=2.0 if is_embedded else 5.0,
                cut=0.0,
                partitions=2,
            )
        base = replace(
            base,
            contacts=options.contacts or base.contacts,
            messages=options.messages or base.messages,
            kill_every=options.kill_every or base.kill_every,
            load_seconds=options.minutes * 60 if options.minutes else base.load_seconds,
            cut=options.cut if options.cut is not None and not is_embedded else base.cut,
        )
        yield base
        if not options.short:
            yield replace(base, debounce_ms=300, has_statuses=False, cut=0.0)


def told(outcome: Outcome) -> str:
    """The outcome as lines for a person."""
    plan, verdict = outcome.plan, outcome.verdict
    delays = sorted(verdict.delays) or [0.0]

    def share(part: float) -> str:
        return f"{delays[min(len(delays) - 1, int(len(delays) * part))]:.2f} s"

    roles = sorted({role for role, _ in outcome.faults})
    faults = "; ".join(
        f"{role}: {outcome.faults[role, 'killed']} killed, {outcome.faults[role, 'drained']} drained" for role in roles
    )
    drains = [life.drain_seconds for life in outcome.lives if life.end == "drained"]
    memory = ", ".join(f"{role} {size // 1024} MB" for role, size in sorted(outcome.peak_kb.items()))
    answers = ", ".join(f"{times} × {word}" for word, times in outcome.answers.most_common())
    size = f"{plan.size} of {plan.contacts} contacts in {outcome.posts} posts, {outcome.repeated} repeated"
    counts = {
        "lost": verdict.lost,
        "acted on twice": verdict.acted_twice,
        "out of order": verdict.out_of_order,
        "dead letters": verdict.dead_letters,
        "left on queues": verdict.left_on_queues,
    }
    lines = [
        f"{plan.title}, seed {plan.seed}: {'KEPT' if not verdict.broken else 'BROKEN'}",
        f"  faults       {faults}; slowest drain {max(drains, default=0):.1f} s",
        f"  messages     {size}; load {outcome.load_seconds:.0f} s, whole run {outcome.seconds:.0f} s",
        f"  webhooks     {answers}",
        f"  replies      {verdict.replies} ({verdict.joined} messages joined to another's turn)",
        f"  promises     {' · '.join(f'{name} {count}' for name, count in counts.items())}",
        f"  duplicates   {verdict.duplicates}, {verdict.unexplained} of them without a kill inside the provider call",
        f"  delay        p50 {share(0.5)} · p99 {share(0.99)} · worst {delays[-1]:.2f} s",
        f"  memory       {memory}",
    ]
    if outcome.cut:
        lines.append(f"  cut          {outcome.cut}")
    lines += [f"    duplicate: {note}" for note in verdict.notes[:40]]
    lines += [f"  BROKEN: {sentence}" for sentence in verdict.broken[:40]]
    if len(verdict.broken) > 40:
        lines.append(f"  … and {len(verdict.broken) - 40} more")
    return "\n".join(lines)


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A load while every process is killed at random and restarted.")
    parser.add_argument("--seed", type=int, default=None, help="repeats the dice of a run (not the machine's timing)")
    parser.add_argument("--contacts", type=int)
    parser.add_argument("--messages", type=int, help="of each contact")
    parser.add_argument("--kill-every", type=float, metavar="SECONDS", help="mean life of a process")
    parser.add_argument("--minutes", type=float, help="spread the messages over so long")
    parser.add_argument("--cut", type=float, metavar="SECONDS", help="once, the broker is out of reach for so long")
    parser.add_argument("--only", choices=TOPOLOGIES)
    parser.add_argument("--short", action="store_true", help="small sizes, under a minute")
    parser.add_argument("--keep", action="store_true", help="keep the folder whatever happens")
    options = parser.parse_args(words)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(10**6)
    return options


def main(words: Sequence[str]) -> int:
    options = parse(words)
    # Asked to stop, it still ends the processes it started and removes what it made.
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    is_broken = False
    has_stand_in = options.only != "embedded" and services.is_stand_in(services.MONGO_URL)
    if has_stand_in:
        print("A slow stand-in plays MongoDB: the distributed runs are small.", flush=True)
    for plan in plans(options, has_stand_in):
        if plan.topology == "distributed" and (missing := _missing()):
            print(f"{plan.title}: SKIPPED, {missing}", flush=True)
            is_broken |= services.IN_CI
            continue
        folder = Path(tempfile.mkdtemp(prefix=f"omni-chaos-{int(time.time())}-"))
        try:
            outcome = asyncio.run(run(plan, folder, services.RABBITMQ_URL, services.MONGO_URL))
        except BaseException:
            print(f"{plan.title}, seed {plan.seed}: the run itself failed; its folder is {folder}", flush=True)
            raise
        print(told(outcome), flush=True)
        if outcome.verdict.broken or options.keep:
            print(f"  kept {folder}; again: scripts/chaos.py --only {plan.topology} --seed {plan.seed}", flush=True)
        else:
            shutil.rmtree(folder)
        is_broken |= bool(outcome.verdict.broken)
    return int(is_broken)


def _missing() -> str:
    if not services.speaks_amqp(services.RABBITMQ_URL):
        return "RabbitMQ does not answer; try `make services`"
    if not services.speaks_mongodb(services.MONGO_URL):
        return "MongoDB does not answer; try `make services`"
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
