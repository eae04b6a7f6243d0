"""Bodies that anybody may send: until they are whole nobody knows whether they are signed, so they share a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from yarl import URL

from channels.whatsapp.signature import HEADER
from channels.whatsapp.webhook import PATH, WebhookLimits


@pytest.fixture
def webhook_limits() -> WebhookLimits:
    return WebhookLimits(max_reading=100_000, read_seconds=30.0)


async def test_unfinished_bodies_of_strangers_do_not_fill_the_memory(
    gate: Any, fixture_body: Callable[[str], bytes]
) -> None:
    url = URL(gate.url)
    assert url.host is not None

    async def begin() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n{HEADER}: sha256={'0' * 64}\r\n\r\n"
        writer.write(head.encode() + b"x" * 60_000)
        await writer.drain()
        return reader, writer

    strangers = [await begin() for _ in range(4)]
    answers = [asyncio.create_task(reader.readline()) for reader, _ in strangers]
    done, waiting = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    assert done
    assert all(b"503" in answer.result() for answer in done)
    assert await gate.post(fixture_body("text")) == 200, "a body that comes whole is taken all the same"
    for _, writer in strangers:
        writer.close()
        await writer.wait_closed()
    await asyncio.wait(answers)
    assert waiting
