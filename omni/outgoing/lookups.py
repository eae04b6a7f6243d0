"""Looking names up without holding anybody else up.

Whoever gave us a name may run its name server, which may take half a minute to say nothing. A lookup occupies a thread
for so long: it is one of our own, and one domain gets only a few of them.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from aiohttp.abc import AbstractResolver, ResolveResult

THREADS: Final = 32
THREADS_PER_DOMAIN: Final = 4

_FLAGS: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Lookups(AbstractResolver):
    """The system's resolver. Raises OSError."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lookup")
        self._rooms: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        domain = ".".join(host.lower().rstrip(".").rsplit(".", 2)[-2:])
        room = self._rooms.get(domain)
        if room is None:
            room = self._rooms[domain] = asyncio.Semaphore(THREADS_PER_DOMAIN)
        ask = partial(
            socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        async with room:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=int(address[1]), family=kind, proto=proto, flags=_FLAGS
            )
            for kind, _, proto, _, address in found
            if kind != socket.AF_INET6 or len(address) > 2  # a Python without IPv6 gives two other things
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
