"""How long the inbox's lists, numbers and searches take over HTTP, by how many conversations are stored."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from benchmark.figures import percentile
from benchmark.inbox_town import RARE
from benchmark.server import BenchError
from benchmark.wire import Client

ASKED: Final = {
    "first page of 100": "/conversations?limit=100",
    "page of 500": "/conversations?limit=500",
    "who waits, longest first": "/conversations?handler=nobody&order=waiting&limit=100",
    "counts": "/counts",
    "search, a rare word": f"/search?q={RARE}",
    "search, a common word": "/search?q=order",
    "search, a name": f"/search?q={quote('Okafor')}",
    "overview of a week": "/overview",
}


@dataclass(frozen=True, slots=True)
class Answered:
    """Milliseconds of one kind of question, and the size of its answer."""

    p50: float
    p95: float
    kilobytes: float


def request(path: str, key: str, port: int) -> bytes:
    return (f"GET /v1/inbox{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n\r\n").encode(
        "ascii"
    )


async def ask(client: Client, port: int, path: str, key: str) -> tuple[float, Any, int]:
    """Seconds, the body, its size. Raises BenchError."""
    answered: asyncio.Future[tuple[int, float, bytes]] = asyncio.get_running_loop().create_future()

    def told(status: int, seconds: float, body: bytes) -> None:
        if not answered.done():
            answered.set_result((status, seconds, body))

    client.ask(request(path, key, port), told)
    status, seconds, body = await answered
    if status != 200:
        raise BenchError(f"GET /v1/inbox{path} was answered {status}: {body[:200].decode(errors='replace')}")
    return seconds, json.loads(body), len(body)


async def lists(port: int, key: str, times: int) -> dict[str, Answered]:
    """Each asked so many times, one after the other."""
    found = {}
    async with Client(port, 1) as client:
        for name, path in ASKED.items():
            took = []
            size = 0
            for _ in range(times + 1):
                seconds, _, size = await ask(client, port, path, key)
                took.append(1000 * seconds)
            took = sorted(took[1:])  # the first one fills caches
            found[name] = Answered(percentile(took, 0.5), percentile(took, 0.95), size / 1024)
    return found
