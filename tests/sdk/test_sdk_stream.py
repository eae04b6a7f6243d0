"""Events for pages: server-sent events over aiohttp and over ASGI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from omni import Omni
from omni.sdk.agent import Agent
from omni.sdk.stream import QUEUE, EventStream, StreamEvent
from tests.sdk.scripted import CALL, ScriptedServer, begin_chat, started


async def test_a_stream_gives_events_with_the_names_that_pages_expect(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    sales = omni.agent("sales")
    peer = await started(omni, server)
    mine, others, everything = desk.stream(), sales.stream(), omni.stream()
    await begin_chat(peer)
    await peer.send("chat.message", **CALL, message_id="u1", text="Hello")
    await peer.send("chat.message", **CALL, message_id="u1", text="Hello")
    for index, word in enumerate(("Hi", "Hi")):
        await peer.send("bot.word", **CALL, message_id="m1", word=word, word_index=index)
    await peer.send("llm.tool_call", **CALL, msg_id="tc_1", tool_calls=[])
    await peer.send("call.held", **CALL)
    await peer.send("message.confirmed", **CALL, message_id="m1", text="Hi Hi")
    about = {"callId": "chat-1", "sessionId": "chat-1", "agent": "desk"}
    expected = [
        StreamEvent("chat.started", about),
        StreamEvent("user.message", {**about, "messageId": "u1", "text": "Hello"}),
        StreamEvent("bot.word", {**about, "messageId": "m1", "word": "Hi", "wordIndex": 0}),
        StreamEvent("bot.word", {**about, "messageId": "m1", "word": "Hi", "wordIndex": 1}),
        StreamEvent("message.confirmed", {**about, "messageId": "m1", "text": "Hi Hi"}),
    ]
    for stream in (mine, everything):
        assert [await anext(stream) for _ in expected] == expected
    assert others._queue.empty()


def test_an_event_is_written_as_browsers_read_it() -> None:
    event = StreamEvent("user.message", {"text": "¿Sí?\nNo"})
    assert event.sse() == 'event: user.message\ndata: {"text": "¿Sí?\\nNo"}\n\n'.encode()


async def read(pieces: AsyncIterator[bytes], until: bytes) -> bytes:
    came = b""
    async for piece in pieces:
        came += piece
        if until in came:
            return came
    return came


async def test_an_aiohttp_handler_answers_with_the_stream(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer = await started(omni, server)
    app = web.Application()

    async def events(request: web.Request) -> web.StreamResponse:
        return await desk.stream().respond(request)

    app.router.add_get("/events", events)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/events") as answer:
                assert answer.headers["Content-Type"] == "text/event-stream"
                assert answer.headers["X-Accel-Buffering"] == "no"
                pieces = answer.content.iter_any()
                hello = await read(pieces, b"\n\n")
                assert hello == b'event: connected\ndata: {"agent": "desk"}\n\n'
                await begin_chat(peer)
                assert b"event: chat.started\n" in await read(pieces, b"\n\n")
            await begin_chat(peer, "chat-2")
    finally:
        await runner.cleanup()


async def test_it_is_an_asgi_application_until_the_browser_leaves(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    peer = await started(omni, server)
    sent: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    requests: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    requests.put_nowait({"type": "http.request"})
    stream = omni.stream()
    answering = asyncio.create_task(stream({"type": "http"}, requests.get, sent.put))  # type: ignore[arg-type]
    start = await sent.get()
    assert (start["type"], start["status"]) == ("http.response.start", 200)
    assert (b"content-type", b"text/event-stream") in start["headers"]
    assert (await sent.get())["body"] == b'event: connected\ndata: {"agents": ["desk"]}\n\n'
    await begin_chat(peer)
    assert (await sent.get())["body"].startswith(b"event: chat.started\n")
    requests.put_nowait({"type": "http.disconnect"})
    await answering


async def test_a_program_that_stops_ends_its_streams(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    await started(omni, server)
    mine, everything = desk.stream(), omni.stream()
    await omni.close()
    assert [event async for event in mine] == []
    assert [event async for event in everything] == []


async def test_silence_is_filled_with_comments(omni: Omni, desk: Agent) -> None:
    pieces = desk.stream().sse(ping=0.001)
    await anext(pieces)
    assert await anext(pieces) == b":ping\n\n"
    await pieces.aclose()  # type: ignore[attr-defined]


async def test_a_reader_that_falls_behind_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    stream = EventStream(["desk"], one=True)
    for number in range(QUEUE + 10):
        stream._offer(StreamEvent("bot.word", {"wordIndex": number}))
    assert len([event async for event in stream]) == QUEUE
    assert "its reader is 1000 behind" in caplog.text


async def test_a_stream_that_nobody_reads_any_more_costs_nothing(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    desk.stream()
    omni.stream()
    assert not desk._streams
    assert not omni._streams


def test_what_a_page_gets_is_json() -> None:
    body = StreamEvent("user.message", {"text": "\u2028"}).sse().decode()
    assert json.loads(body.split("data: ", 1)[1]) == {"text": "\u2028"}
