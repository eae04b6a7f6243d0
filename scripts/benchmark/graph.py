"""The least of a Graph API that takes sends: inside the load generator, so that it sees an answer the moment it comes.

It answers at once and remembers nothing; `channels.whatsapp.simulator` is the one that behaves like the platform.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that omni asked Graph to send."""

    to: str
    text: str
    provider_id: str
    tracker: str


class Graph:
    """What became of the calls. `on_sent` is called for each message, before its 200 is written."""

    def __init__(self) -> None:
        self.on_sent: Callable[[Sent], None] = lambda _: None
        self.sends = 0
        self.reads = 0
        self.others = 0
        self.port = 0
        self.words = ""
        """The text of the newest message."""
        self._ids = count(1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, method: bytes, body: bytes) -> bytes:
        if method != b"POST":
            self.others += 1
            return b'{"id":"1","display_phone_number":"+1 202 555 0142","verified_name":"Bench"}'
        document: dict[str, Any] = json.loads(body)
        if document.get("status") == "read":
            self.reads += 1
            return b'{"success":true}'
        self.sends += 1
        to = document.get("to") or document["recipient"]
        provider_id = f"wamid.bench{next(self._ids):012d}"
        self.words = document.get("text", {}).get("body", "")
        self.on_sent(Sent(to, self.words, provider_id, document.get("biz_opaque_callback_data", "")))
        contact = {"input": to, "wa_id": to}
        accepted = {"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": provider_id}]}
        return json.dumps(accepted, separators=(",", ":")).encode()


class _Peer(asyncio.Protocol):
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not its subclasses

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        while (head := data.find(b"\r\n\r\n")) >= 0:
            end = head + 4 + _length(data[:head])
            if len(data) < end:
                break
            body = self._graph.answer(data[: data.find(b" ")], data[head + 4 : end])
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nfacebook-api-version: v26.0\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            data = data[end:]
        self._buffer = data


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    end = lower.find(b"\r", at + 2)
    return int(lower[at + 17 : end if end > 0 else None])


@asynccontextmanager
async def running() -> AsyncIterator[Graph]:
    """The stand-in on a free port."""
    graph = Graph()
    server = await asyncio.get_running_loop().create_server(lambda: _Peer(graph), "127.0.0.1", 0)
    graph.port = server.sockets[0].getsockname()[1]
    try:
        yield graph
    finally:
        server.close()
