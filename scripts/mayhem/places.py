"""Where a run happens: its folder, its engines, and which processes stand where."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aio_pika
import aiohttp
import pymongo

from mayhem.plan import SETTLE_WAIT, Plan
from mayhem.processes import Post, free_port
from mayhem.wire import Wire, wire_to
from omni.app.engines import Engines, engines
from omni.model.delivery import Delivery
from omni.model.queues import every_queue
from omni.settings import Settings
from omni.sqlite import SqliteFile
from omni.store.base import Store
from omni.store.mongodb import MongoStore
from omni.store.sqlite import SqliteStore

ROLES = ("gateway", "gateway", "session", "session", "delivery", "delivery")


@dataclass(slots=True)
class Place:
    """`records` reads deliveries as they are right now, without touching what a dead process left behind."""

    folder: Path
    settings: Settings
    variables: Mapping[str, str]
    posts: list[Post]
    records: Callable[[Iterable[str]], Awaitable[dict[str, Delivery]]]
    wire: Wire | None = None

    @property
    def gateways(self) -> list[str]:
        return [f"http://127.0.0.1:{post.port}" for post in self.posts if post.role in ("all", "gateway")]

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Engines]:
        """The engines, when every process has ended."""
        async with engines(self.settings) as found:
            await found.bus.declare(every_queue(self.settings.partitions))
            yield found


def _config(plan: Plan, folder: Path) -> Path:
    """The agent and what else every process shares. JSON is YAML."""
    agent = {
        "slug": "echo",
        "brain": "script",
        "debounce_ms": plan.debounce_ms,
        "max_turns_per_minute": 100_000,
        "script": [{"when": "(?s).*", "say": "You said: {{ text }}"}],
        "channels": [
            {
                "kind": "whatsapp",
                "phone_number_id": "100200300",
                "access_token": "simulated-access-token",
                "app_secret": "simulated-app-secret",
                "verify_token": "simulated-verify-token",
                "rate": 1000,
                "pair_interval": 0,
            }
        ],
    }
    shared = {"agents": [agent], "partitions": plan.partitions, "settle_wait": SETTLE_WAIT}
    path = folder / "omni.yaml"
    path.write_text(json.dumps(shared, indent=2))
    return path


@asynccontextmanager
async def embedded(plan: Plan, folder: Path) -> AsyncIterator[Place]:
    """One process with every role, and one SQLite file."""
    path = folder / "omni.db"
    config = _config(plan, folder)
    post = Post("all-1", "all", ("--config", str(config)), free_port(), folder / "all-1.log")
    variables = {"OMNI_STORE_URL": f"sqlite:///{path}"}

    async def records(ids: Iterable[str]) -> dict[str, Delivery]:
        """From a copy: opening the file itself would mend what the kill left behind, and that is the server's task."""
        copy = folder / "autopsy" / path.name
        copy.parent.mkdir(exist_ok=True)
        for name in (path.name, f"{path.name}-wal"):
            (copy.parent / name).unlink(missing_ok=True)
            if (folder / name).exists():
                shutil.copyfile(folder / name, copy.parent / name)
        file = SqliteFile(copy)
        await file.open()
        store = SqliteStore(file)
        await store.open()
        try:
            return await _deliveries(store, ids)
        finally:
            await store.close()
            await file.close()
            shutil.rmtree(copy.parent)

    yield Place(folder, Settings(store_url=variables["OMNI_STORE_URL"]), variables, [post], records)


@asynccontextmanager
async def distributed(plan: Plan, folder: Path, bus_url: str, mongo_url: str) -> AsyncIterator[Place]:
    """Two gateways, two session workers and two delivery workers around RabbitMQ and MongoDB, in a corner of their own
    that is removed afterwards."""
    name = folder.name.replace("-", "_")
    prefix = folder.name.lower().replace("_", "-")
    config = _config(plan, folder)
    parts = urlsplit(mongo_url)
    store_url = urlunsplit(parts._replace(path=f"/{name}"))
    posts: list[Post] = []
    for number, role in enumerate(ROLES):
        who = f"{role}-{number % 2 + 1}"
        arguments = ("--config", str(config), "--role", role)
        posts.append(Post(who, role, arguments, free_port(), folder / f"{who}.log"))
    async with AsyncExitStack() as stack:
        wire, wired_url = await stack.enter_async_context(wire_to(bus_url))
        settings = Settings(store_url=store_url, bus_url=bus_url, bus_prefix=prefix, partitions=plan.partitions)
        store = MongoStore(store_url)
        await store.open()
        stack.push_async_callback(store.close)
        variables = {"OMNI_STORE_URL": store_url, "OMNI_BUS_URL": wired_url, "OMNI_BUS_PREFIX": prefix}

        async def records(ids: Iterable[str]) -> dict[str, Delivery]:
            return await _deliveries(store, ids)

        try:
            yield Place(folder, settings, variables, posts, records, wire)
        finally:
            await _remove_queues(bus_url, prefix, plan.partitions)
            async with pymongo.AsyncMongoClient[dict[str, object]](mongo_url) as client:
                await client.drop_database(name)


async def _deliveries(store: Store, ids: Iterable[str]) -> dict[str, Delivery]:
    found = {delivery_id: await store.delivery(delivery_id) for delivery_id in ids}
    return {delivery_id: record for delivery_id, record in found.items() if record is not None}


async def _remove_queues(url: str, prefix: str, partitions: int) -> None:
    from omni.bus.rabbitmq.topology import DELAY_STEPS

    delays = [f"{prefix}.delay.{round(step * 1000)}" for step in DELAY_STEPS]
    queues = [f"{prefix}.{queue.name}" for queue in every_queue(partitions)]
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=False)
        for name in (*queues, *delays, f"{prefix}.dead"):
            await channel.queue_delete(name)
        for name in (*delays, f"{prefix}.live"):
            await channel.exchange_delete(name)


async def waiting(place: Place, session: aiohttp.ClientSession) -> int | None:
    """Messages on the queues as a living process counts them; None when nobody can tell."""
    for url in place.gateways:
        try:
            async with session.get(url + "/metrics") as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError):
            continue
        rows = [line for line in text.splitlines() if line.startswith(("omni_queue_ready{", "omni_queue_taken{"))]
        if rows:
            return int(sum(float(row.rpartition(" ")[2]) for row in rows))
    return None
