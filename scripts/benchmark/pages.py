"""Visitors of the web chat: pages that stay open and say nothing, and pages that talk at a steady rate."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import Any, Final

from benchmark.server import BenchError
from benchmark.websocket import WebSocket
from omni.access.seal import Sealer
from omni.access.tokens import PREFIXES, Token, token_payload

SECRET: Final = "bench-secret-of-the-server"
"""The server's setting `secret`: tokens are sealed here, since a key may not mint ten thousand in a minute."""

ANSWER_SECONDS: Final = 30.0
WORDS: Final = "Where is my order?"

_sealer = Sealer(SECRET)
_numbers = count(1)


def chat_token(agent: str = "echo") -> str:
    """As a key's owner gets one for a visitor. Opens one socket within a minute."""
    now = time.time()
    token = Token(
        kind="chat",
        id=secrets.token_urlsafe(16),
        org="default",
        agents=(agent,),
        scope="participate",
        issued_at=now,
        expires_at=now + 60,
    )
    return _sealer.seal(PREFIXES["chat"], token_payload(token))


class Page:
    """Omni's own page or widget, open: it follows its conversation."""

    def __init__(self) -> None:
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answered: asyncio.Future[None] | None = None
        self.socket: WebSocket

    @classmethod
    async def open(cls, port: int) -> Page:
        """Raises BenchError."""
        page = cls()
        page.socket = await WebSocket.open(port, "/chat/ws", page._heard)
        page.socket.send({"event": "hello", "token": chat_token()})
        await _within(page._ready, "a chat page was not let in")
        return page

    async def say_one_thing(self) -> None:
        """Returns when it was answered. Raises BenchError."""
        self._answered = asyncio.get_running_loop().create_future()
        self.socket.send({"event": "message", "text": WORDS, "id": f"m-{next(_numbers)}"})
        await _within(self._answered, "a chat page was not answered")

    def _heard(self, frame: dict[str, Any]) -> None:
        match frame:
            case {"event": "chat.caught_up"} if not self._ready.done():
                self._ready.set_result(None)
            case {"event": "error", "error": sentence} if not self._ready.done():
                self._ready.set_exception(BenchError(f"a chat page was not let in: {sentence}"))
            case {"event": "chat.message", "message": {"from": "bot"}} if self._answered and not self._answered.done():
                self._answered.set_result(None)


class Talker:
    """Any browser client of the chat: it writes, and sees turns end. `latencies` (seconds) grow as they do."""

    def __init__(self) -> None:
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._began: deque[float] = deque()
        self._quiet = asyncio.Event()
        self.latencies: list[float] = []
        self.problem = ""
        self.socket: WebSocket

    @classmethod
    async def open(cls, port: int, agent: str = "echo") -> Talker:
        """Raises BenchError."""
        talker = cls()
        talker.socket = await WebSocket.open(port, f"/chat/ws?token={chat_token(agent)}", talker._heard)
        await _within(talker._ready, "a chat socket was not let in")
        return talker

    def say(self) -> None:
        self._began.append(time.perf_counter())
        self._quiet.clear()
        self.socket.send({"event": "message", "text": WORDS})

    async def quiet(self) -> None:
        """Returns when every message has its answer. Raises BenchError."""
        if self._began:
            await _within(asyncio.ensure_future(self._quiet.wait()), "a chat message was not answered")
        if self.problem:
            raise BenchError(f"a chat message was not answered: {self.problem}")

    def _heard(self, frame: dict[str, Any]) -> None:
        match frame:
            case {"event": "chat.connected"} if not self._ready.done():
                self._ready.set_result(None)
            case {"event": "chat.done"} if self._began:
                self.latencies.append(time.perf_counter() - self._began.popleft())
            case {"event": "chat.error" | "error", "error": sentence}:
                self.problem = str(sentence)
                self._began.clear()
        if not self._began:
            self._quiet.set()


async def talk(talkers: Sequence[Talker], rate: float, seconds: float) -> list[float]:
    """The talkers write in turn, `rate` messages a second in all, whether answers come or not. Seconds from a message
    to the end of its turn, ascending. Raises BenchError."""
    loop = asyncio.get_running_loop()
    skipped = [len(one.latencies) for one in talkers]
    began = loop.time()
    for number in range(max(1, int(rate * seconds))):
        await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
        talkers[number % len(talkers)].say()
    for one in talkers:
        await one.quiet()
    return sorted(took for one, known in zip(talkers, skipped, strict=True) for took in one.latencies[known:])


async def _within(done: asyncio.Future[Any], problem: str) -> None:
    try:
        await asyncio.wait_for(done, ANSWER_SECONDS)
    except TimeoutError:
        raise BenchError(f"{problem} within {ANSWER_SECONDS:g} s") from None
