"""Programs at `/client` that speak its frames and do no more: what a connection costs the server, without the SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from benchmark.server import BenchError
from benchmark.websocket import WebSocket

API_KEY: Final = "pk_bench-key-of-the-server"
"""The server's setting `api_key`."""

ANSWER_SECONDS: Final = 30.0

_requests = count(1)


class Program:
    """A connection that has one agent. `on_event` is called with everything it is told of calls; `heard` counts all
    frames."""

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self.on_event: Callable[[dict[str, Any]], None] = lambda _: None
        self.heard = 0
        self.socket: WebSocket
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked: dict[str, asyncio.Future[None]] = {}

    @classmethod
    async def open(cls, port: int, agent: str) -> Program:
        """Returns once the agent is registered. Raises BenchError."""
        program = cls(agent)
        program.socket = await WebSocket.open(port, "/client", program._heard)
        program.socket.send({"event": "connect", "api_key": API_KEY})
        try:
            await asyncio.wait_for(program._ready, ANSWER_SECONDS)
        except TimeoutError:
            raise BenchError(f"a program was not registered within {ANSWER_SECONDS:g} s") from None
        return program

    def answer(self, turn: dict[str, Any]) -> None:
        """Reply to a `turn.end`."""
        about = {"call_id": turn["call_id"], "in_reply_to": turn["message_id"]}
        self.socket.send({"event": "bot.reply", "message_id": f"msg_{next(_requests)}", "text": "Yes.", **about})

    async def history(self, call: str) -> None:
        """Read a call's history; returns when it has come. Raises BenchError."""
        request = f"r-{next(_requests)}"
        answer = self._asked[request] = asyncio.get_running_loop().create_future()
        self.socket.send({"event": "history.get", "call_id": call, "request_id": request})
        try:
            await asyncio.wait_for(answer, ANSWER_SECONDS)
        except TimeoutError:
            raise BenchError(f"history.get was not answered within {ANSWER_SECONDS:g} s") from None
        finally:
            del self._asked[request]

    def _heard(self, frame: dict[str, Any]) -> None:
        self.heard += 1
        match frame:
            case {"event": "connected"}:
                self.socket.send({"event": "agent.create", "agent_id": self.agent})
            case {"event": "agent.created"}:
                self._ready.set_result(None)
            case {"event": "error", "error": sentence} if not self._ready.done():
                self._ready.set_exception(BenchError(f"a program was not registered: {sentence}"))
            case {"event": "history.data", "request_id": request, "error": sentence}:
                self._settle(request, BenchError(f"history.get was refused: {sentence}"))
            case {"event": "history.data", "request_id": request}:
                self._settle(request, None)
            case {"event": "ping"}:
                self.socket.send({"event": "pong"})
            case _:
                self.on_event(frame)

    def _settle(self, request: str, problem: BenchError | None) -> None:
        answer = self._asked.get(request)
        if answer is None or answer.done():
            return
        if problem is None:
            answer.set_result(None)
        else:
            answer.set_exception(problem)
