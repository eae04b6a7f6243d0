"""The floor: the least an honest webhook does. aiohttp on uvloop; check the signature, parse, store, answer 200.

`python -m benchmark.floor --port N --store none|sqlite|rabbitmq`. "sqlite" commits the body in WAL mode with
`synchronous = FULL` (omni's default), all that wait in one transaction; "rabbitmq" awaits a quorum queue's confirm.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from benchmark import posts

Store = Callable[[bytes], Awaitable[None]]
GROUP = 256


@asynccontextmanager
async def nothing() -> AsyncIterator[Store]:
    async def store(_: bytes) -> None:
        return

    yield store


@asynccontextmanager
async def sqlite(path: Path) -> AsyncIterator[Store]:
    """One writer thread; whatever waits when it comes round shares a transaction."""
    loop = asyncio.get_running_loop()
    waiting: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = queue.SimpleQueue()

    def settle(futures: list[asyncio.Future[None]]) -> None:
        for future in futures:
            if not future.done():
                future.set_result(None)

    def write() -> None:
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE IF NOT EXISTS bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        while (first := waiting.get()) is not None:
            group = [first]
            while len(group) < GROUP and not waiting.empty():
                if (more := waiting.get()) is None:
                    break
                group.append(more)
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO bodies (body) VALUES (?)", [(body,) for body, _ in group])
            db.execute("COMMIT")
            loop.call_soon_threadsafe(settle, [future for _, future in group])
        db.close()

    thread = threading.Thread(target=write, name="writer")
    thread.start()

    async def store(body: bytes) -> None:
        done: asyncio.Future[None] = loop.create_future()
        waiting.put((body, done))
        await done

    try:
        yield store
    finally:
        waiting.put(None)
        await asyncio.to_thread(thread.join)


@asynccontextmanager
async def rabbitmq(url: str, name: str) -> AsyncIterator[Store]:
    """A persistent message in a quorum queue, confirmed."""
    import aio_pika

    async with await aio_pika.connect_robust(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        declared = await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})

        async def store(body: bytes) -> None:
            message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await channel.default_exchange.publish(message, routing_key=name)

        try:
            yield store
        finally:
            await declared.delete(if_unused=False, if_empty=False)


def application(store: Store) -> web.Application:
    secret = posts.APP_SECRET.encode()

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        claimed = request.headers.get("X-Hub-Signature-256", "")
        if not hmac.compare_digest("sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest(), claimed):
            return web.Response(status=403)
        json.loads(body)
        await store(body)
        return web.Response(body=b"ok")

    app = web.Application()
    app.router.add_post(posts.PATH, receive)
    return app


async def serve(port: int, kind: str, where: str, name: str) -> None:
    opened = nothing() if kind == "none" else sqlite(Path(where)) if kind == "sqlite" else rabbitmq(where, name)
    async with opened as store:
        await listen(application(store), port)


async def listen(app: web.Application, port: int) -> None:
    """Serve until SIGTERM."""
    import signal

    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    try:
        await stopped.wait()
    finally:
        await runner.cleanup()


def run(main: Awaitable[None], *, is_stock: bool = False) -> None:
    """On uvloop where it is installed, as omni does; or on the loop that comes with Python."""
    factory = None
    if not is_stock:
        with suppress(ImportError):
            import uvloop

            factory = uvloop.new_event_loop

    async def body() -> None:
        await main

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(body())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The floor of an honest acknowledgement.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", choices=["none", "sqlite", "rabbitmq"], required=True)
    parser.add_argument("--where", default="", help="the SQLite file, or the broker's URL")
    parser.add_argument("--queue", default="omni-bench-floor")
    parser.add_argument("--stock-loop", action="store_true", help="asyncio's own event loop, not uvloop")
    chosen = parser.parse_args()
    run(serve(chosen.port, chosen.store, chosen.where, chosen.queue), is_stock=chosen.stock_loop)
