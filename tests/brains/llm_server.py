"""A model's server: OpenAI's streaming chat completions on a real socket, with every fault a network can have.

It plays one `Reply` a request, in the order they were given, and then echoes. Alone: `python tests/brains/llm_server.py
--port 9000`, and OMNI_LLM_BASE_URL=http://127.0.0.1:9000/v1 makes the echo an agent's model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web


@dataclass(frozen=True)
class Reply:
    """`events` are the bodies of server-sent events, in order; `then` is what happens after them.

    done: `[DONE]` and a clean end. end: a clean end without it. cut: the connection breaks. hang: silence until the
    client goes away. repeat: the last event again and again until the client goes away.
    """

    events: tuple[bytes, ...] = ()
    then: Literal["done", "end", "cut", "hang", "repeat"] = "done"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "text/event-stream"
    raw: bytes | None = None
    """The whole body, instead of events."""
    in_pieces_of: int | None = None
    """Write so many bytes at a time, wherever an event or a character ends."""


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps(body, ensure_ascii=False).encode()


def says(*pieces: str, finish: str | None = "stop", **rest: Any) -> Reply:
    ends = (chunk({}, finish),) if finish else ()
    return Reply((chunk({"role": "assistant", "content": ""}), *(chunk({"content": p}) for p in pieces), *ends), **rest)


def calls(*tools: tuple[str, str], text: str = "", ids: Sequence[str | None] = (), **rest: Any) -> Reply:
    """Tool calls (name, arguments as JSON text) in deltas: the name first, the arguments in pieces of five letters."""
    deltas: list[dict[str, Any]] = [{"content": text}] if text else []
    for place, (name, arguments) in enumerate(tools):
        id_ = ids[place] if ids else f"call_{name}_{place}"
        first = {"index": place, "id": id_, "type": "function", "function": {"name": name, "arguments": ""}}
        deltas.append({"tool_calls": [first]})
        for at in range(0, len(arguments), 5):
            piece = {"index": place, "function": {"arguments": arguments[at : at + 5]}}
            deltas.append({"tool_calls": [piece]})
    return Reply((*map(chunk, deltas), chunk({}, "tool_calls")), **rest)


def refuses(status: int, message: str = "no", code: str | None = None, **headers: str) -> Reply:
    body = json.dumps({"error": {"message": message, "type": "t", "code": code}}).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=names, content_type="application/json", raw=body)


class LlmServer:
    """`requests` are the bodies that came, `keys` their bearer tokens; `gone` is set when a client left an answer."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.connections: set[object] = set()
        self.came = asyncio.Event()
        self.gone = asyncio.Event()
        self._replies: deque[Reply] = deque()
        self.otherwise: Callable[[dict[str, Any]], Reply] = _echo
        """What it answers to a request when nothing was planned."""
        self._runner: web.AppRunner | None = None
        self.base_url = ""

    def will(self, *replies: Reply) -> None:
        self._replies.extend(replies)

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.keys.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
        self.connections.add(request.transport)
        self.came.set()
        reply = self._replies.popleft() if self._replies else self.otherwise(body)
        headers = {"Content-Type": reply.content_type, **reply.headers}
        if reply.raw is not None:
            return web.Response(body=reply.raw, status=reply.status, headers=headers)
        response = web.StreamResponse(status=reply.status, headers=headers)
        try:
            await response.prepare(request)
            await self._play(reply, response, request)
        except (asyncio.CancelledError, ConnectionError):
            self.gone.set()
            raise
        return response

    async def _play(self, reply: Reply, response: web.StreamResponse, request: web.Request) -> None:
        wire = b"".join(b"data: " + event + b"\n\n" for event in reply.events)
        if reply.then == "done":
            wire += b"data: [DONE]\n\n"
        step = reply.in_pieces_of or max(len(wire), 1)
        for at in range(0, len(wire), step):
            await response.write(wire[at : at + step])
            if reply.in_pieces_of:
                await asyncio.sleep(0)
        match reply.then:
            case "cut":
                assert request.transport is not None
                request.transport.close()  # after what is written, and before the body's end
            case "hang":
                await asyncio.Event().wait()
            case "repeat":
                while True:
                    await response.write(b"data: " + reply.events[-1] + b"\n\n")
                    await asyncio.sleep(0)
            case "done" | "end":
                await response.write_eof()


def _echo(body: dict[str, Any]) -> Reply:
    asked = next((m["content"] for m in reversed(body["messages"]) if m["role"] == "user"), "")
    return says(*(f"{word} " for word in f"You said: {asked}".split()))


async def _serve(port: int) -> None:
    server = LlmServer()
    await server.start(port)
    print(f"OMNI_LLM_BASE_URL={server.base_url}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A model's server that echoes, for demonstrations and load.")
    parser.add_argument("--port", type=int, default=9000)
    asyncio.run(_serve(parser.parse_args().port))
