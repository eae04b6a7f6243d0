"""Store, bus and blobs: whether each answers, and gives back what was given to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from omni.app.engines import Engines, engines
from omni.blobs.base import Blobs
from omni.bus.base import Bus, BusUnavailableError, Outgoing, Received
from omni.cli.checks.base import FAIL, OK, WARN, Finding
from omni.cli.opening import SENTENCES
from omni.model.agent import Agent
from omni.model.ids import new_id
from omni.model.queues import Queue, every_queue
from omni.settings import Settings
from omni.store.base import Store

ORG: Final = "omni-doctor"
"""An organisation of its own, so that no server takes what is written here for an agent of somebody."""

QUEUE: Final = Queue(name="doctor", is_exclusive=False)
ANSWER_SECONDS: Final = 10.0
OLD_SECONDS: Final = 60.0

E = TypeVar("E")


async def check_engines(settings: Settings) -> tuple[list[Finding], Sequence[Agent]]:
    """Findings, and the agents as a server with these settings knows them."""
    findings: list[Finding] = []
    path = settings.sqlite_path
    if path is not None and not await asyncio.to_thread(Path(path).exists):
        return [Finding(OK, "engines", f"{path} does not exist yet; the server makes it")], settings.agents
    try:
        async with asyncio.timeout(60), engines(settings) as found:
            findings.append(await _tried("store", found.store, _store_round))
            findings.append(await _tried("blobs", found.blobs, _blobs_round))
            findings.append(await _tried("bus", found.bus, _embedded_bus if settings.is_embedded else _bus_round))
            findings += await _waiting(found, settings.partitions)
            known = {(agent.org, agent.slug): agent for agent in await found.store.agents()}
    except SENTENCES as error:
        return [*findings, Finding(FAIL, "engines", str(error))], settings.agents
    except TimeoutError:
        return [*findings, Finding(FAIL, "engines", "no answer within 60 s; look into their logs")], settings.agents
    for agent in settings.agents:
        known.setdefault((agent.org, agent.slug), agent)
    return findings, [agent for (org, _), agent in sorted(known.items()) if org != ORG]


async def _tried(name: str, engine: E, round_trip: Callable[[E], Awaitable[str]]) -> Finding:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            what = await round_trip(engine)
    except SENTENCES as error:
        return Finding(FAIL, name, str(error))
    except TimeoutError:
        return Finding(FAIL, name, f"no answer within {ANSWER_SECONDS:g} s; look into its log and its load")
    return Finding(OK, name, f"{what} in {(time.perf_counter() - began) * 1000:.1f} ms")


async def _store_round(store: Store) -> str:
    agent = Agent(org=ORG, slug="doctor", brain="script", is_paused=True)
    await store.save_agent(agent)
    try:
        came_back = await store.agent(ORG, agent.slug) == agent
    finally:
        await store.remove_agent(ORG, agent.slug)
    if not came_back:
        raise BusUnavailableError("the store gave back something else than was written; restore a backup")
    return "written and read"


async def _blobs_round(blobs: Blobs) -> str:
    key = new_id("doctor")

    async def content() -> AsyncIterator[bytes]:
        yield b"omni doctor"

    await blobs.put(key, content(), mime="text/plain", max_bytes=64)
    try:
        back = b"".join([piece async for piece in blobs.read(key)])
    finally:
        await blobs.delete(key)
    if back != b"omni doctor":
        raise BusUnavailableError("the blobs gave back something else than was written; check their disk")
    return "written and read"


async def _embedded_bus(bus: Bus) -> str:
    """Only one process may consume from the file, and that is the server; its writing was tried with the store."""
    await bus.ping()
    return "answers"


async def _bus_round(bus: Bus) -> str:
    """A message there and back."""
    await bus.declare((QUEUE,))
    arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    sent = new_id("doctor").encode()

    def take(received: Received) -> None:
        received.ack()
        if received.body == sent and not arrived.done():
            arrived.set_result(received.body)

    consumer = await bus.consume(QUEUE, take, prefetch=10)
    try:
        await bus.publish([Outgoing(QUEUE.name, sent, sent.decode())])
        await arrived
    finally:
        await consumer.stop()
    return "published and received"


async def _waiting(found: Engines, partitions: int) -> list[Finding]:
    """Work that nobody takes, and work that was given up."""
    findings: list[Finding] = []
    queues = every_queue(partitions)
    await found.bus.declare(queues)
    ready, oldest, slowest = 0, 0.0, ""
    for queue in queues:
        depth = await found.bus.depth(queue.name)
        ready += depth.ready
        if depth.oldest_age is not None and depth.oldest_age > oldest:
            oldest, slowest = depth.oldest_age, queue.name
    if oldest > OLD_SECONDS:
        findings.append(
            Finding(
                WARN,
                "queues",
                f"{ready} messages wait, the oldest for {oldest:.0f} s in {slowest}; is a worker of its role running?",
            )
        )
    else:
        findings.append(Finding(OK, "queues", f"{ready} messages wait"))
    dead = await found.bus.dead_letters(limit=100)
    if dead:
        many = "100 or more" if len(dead) == 100 else str(len(dead))
        findings.append(
            Finding(WARN, "dlq", f"{many} dead letters; `omni dlq list` shows why, `omni dlq replay` retries")
        )
    return findings
