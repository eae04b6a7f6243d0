"""One run from the first start to the verdict."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from mayhem import verdict as judge
from mayhem.gateways import Gateways, balancer, gateways
from mayhem.load import TEXT, Load
from mayhem.places import Place, distributed, embedded, waiting
from mayhem.plan import SETTLE_WAIT, Plan
from mayhem.processes import Fleet, Life, all_listen
from mayhem.standin import Ledger, StandIn, stand_in
from mayhem.verdict import ENGINES_SLOW, Autopsy, Verdict
from omni.model.delivery import piece_of

QUIET = 2 * SETTLE_WAIT + 1.0
"""Seconds without a reply and without an answered webhook after which nothing more is expected."""

GIVEN_UP = 30.0
"""Seconds of quiet after which a message without an answer counts as lost."""

SLOWEST = 10.0
"""Messages a second that are answered at the least when nobody kills any more: so much longer a backlog may take."""

CONFIRM_SECONDS = 0.5
"""After a cut, an answer to a POST whose message the broker had confirmed before may still be on its way."""


@dataclass(slots=True)
class Outcome:
    """What a run is reported with."""

    plan: Plan
    verdict: Verdict
    lives: list[Life]
    peak_kb: dict[str, int]
    answers: Counter[str]
    posts: int
    repeated: int
    load_seconds: float
    seconds: float
    cut: str = ""
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)


async def run(plan: Plan, folder: Path, bus_url: str, mongo_url: str) -> Outcome:
    """Start the processes in any order, let people write while processes die, wait for quiet, stop, judge."""
    began = time.monotonic()
    where: AbstractAsyncContextManager[Place] = (
        embedded(plan, folder) if plan.topology == "embedded" else distributed(plan, folder, bus_url, mongo_url)
    )
    ports: dict[int, int] = {}
    async with (
        where as place,
        gateways(place.gateways, random.Random(f"{plan.seed} gateways")) as ways,
        balancer(ways) as webhook_url,
        stand_in(plan, webhook_url, ports) as graph,
    ):
        autopsies: list[Autopsy] = []

        async def environment(life: int) -> Mapping[str, str]:
            return {**place.variables, "OMNI_WHATSAPP_GRAPH_URL": await graph.open_port(life, ports)}

        async def examine(life: Life) -> None:
            if life.role in ("all", "delivery"):
                autopsies.append(await _autopsy(life, graph.ledger, place))

        fleet = Fleet(environment, examine, place.posts)
        load = Load(plan, graph.simulator, ways)
        try:
            load_seconds, cut = await _storm(plan, place, fleet, load, graph, ways)
        finally:
            await fleet.end()
        found = Verdict()
        judge.from_outside(plan, load, graph.ledger, found)
        judge.duplicates(graph.ledger, fleet.lives, autopsies, found)
        judge.processes(fleet.lives, fleet.peak_kb, found)
        found.broken += cut[1]
        async with place.opened() as opened:
            await judge.from_logs(plan, load, graph.ledger, opened, folder, found)
        seconds = time.monotonic() - began
        outcome = Outcome(
            plan,
            found,
            fleet.lives,
            fleet.peak_kb,
            ways.answers,
            load.posts,
            load.repeated,
            load_seconds,
            seconds,
            cut[0],
        )
        outcome.faults.update((life.role, life.end) for life in fleet.lives if life.end is not None)
        return outcome


async def _storm(
    plan: Plan, place: Place, fleet: Fleet, load: Load, graph: StandIn, ways: Gateways
) -> tuple[float, tuple[str, list[str]]]:
    """Seconds the load took, and what became of a cut."""
    dice = random.Random(f"{plan.seed} faults")
    cut: tuple[str, list[str]] = ("", [])
    order = list(place.posts)
    dice.shuffle(order)  # the order in which processes start must not matter
    for post in order:
        await fleet.start(post)
        await asyncio.sleep(dice.random() * 0.3)
    started = time.monotonic()
    watching = asyncio.create_task(fleet.watch_memory(), name="memory")
    loading = asyncio.create_task(load.run(), name="load")
    try:
        enough = asyncio.Event()
        tormenting = asyncio.create_task(_torment(plan, fleet, dice, enough), name="torment")
        try:
            if place.wire is not None and plan.cut:
                await asyncio.wait([loading, tormenting], timeout=plan.load_seconds / 2, return_when="FIRST_COMPLETED")
                cut = await _cut(plan, place, ways)
            await asyncio.wait(
                [loading, tormenting], timeout=plan.load_seconds + plan.patience, return_when="FIRST_COMPLETED"
            )
            enough.set()
            await tormenting  # it leaves every post filled
        finally:
            tormenting.cancel()
            await asyncio.wait([tormenting])
        load_seconds = time.monotonic() - started
        backlog = len(_unanswered(load, graph.ledger))
        patience = plan.patience + backlog / SLOWEST
        try:
            async with asyncio.timeout(patience):
                await loading
                if not await all_listen(place.posts, plan.patience / 2):
                    cut[1].append("a process that nobody kills any more does not listen")
                await _quiet(load, graph.ledger, ways, place)
        except TimeoutError:
            cut[1].append(f"there was no quiet within {patience:.0f} s after the load, which left {backlog} to answer")
        await asyncio.gather(*(fleet.drain(post) for post in place.posts))
        return load_seconds, cut
    finally:
        watching.cancel()
        loading.cancel()
        await asyncio.wait([watching, loading])


async def _torment(plan: Plan, fleet: Fleet, dice: random.Random, enough: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        for post in fleet.posts:
            own = random.Random(f"{dice.random()} {post.name}")
            tasks.create_task(fleet.torment(post, plan.kill_every, plan.drain_share, own, enough))


async def _cut(plan: Plan, place: Place, ways: Gateways) -> tuple[str, list[str]]:
    """Cut the wire to the broker for a while: no webhook may be answered with 200 meanwhile."""
    assert place.wire is not None
    place.wire.cut()
    began = time.time()
    await asyncio.sleep(plan.cut)
    place.wire.mend()
    ended = time.time()
    taken = [at for at in ways.taken_at if began + CONFIRM_SECONDS < at < ended]
    refused = Counter(word for at, word in ways.refused_at if began < at < ended)
    told = ", ".join(f"{times} × {word}" for word, times in refused.most_common())
    broken = [f"{len(taken)} webhooks were answered with 200 while the broker was out of reach"] if taken else []
    return f"broker out of reach for {plan.cut:g} s: {len(taken)} webhooks taken, refused: {told or 'none'}", broken


async def _autopsy(life: Life, ledger: Ledger, place: Place) -> Autopsy:
    requests = ledger.of(life.number, (life.asked or 0) - ENGINES_SLOW)
    ids = {place_[0] for request in requests if (place_ := piece_of(request.tracker)) is not None}
    return Autopsy(life, await place.records(ids) if ids else {})


async def _quiet(load: Load, ledger: Ledger, ways: Gateways, place: Place) -> None:
    """Until everything is answered, the queues are empty and nothing has happened for a while."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            await asyncio.sleep(0.5)
            idle = time.time() - max(ledger.changed_at, ways.changed_at)
            if idle < QUIET or await waiting(place, session) != 0:
                continue
            if idle >= GIVEN_UP or not _unanswered(load, ledger):
                return


def _unanswered(load: Load, ledger: Ledger) -> set[tuple[int, int]]:
    """The messages, said by now or not, that no reply has spoken of."""
    return load.said.keys() - {(int(c), int(n)) for request in ledger.accepted for c, n in TEXT.findall(request.text)}
