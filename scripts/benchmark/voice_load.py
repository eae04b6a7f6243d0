"""Calls by Media Streams, towards omni or towards the floor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import aiohttp

from benchmark.server import BenchError, Process
from benchmark.voice_level import Dial
from benchmark.voice_phone import Phone
from benchmark.voice_talk import Found
from channels.twilio.simulator.signing import headers

ACCOUNT: Final = "AC55555555555555555555555555555555"
TOKEN: Final = "simulated-auth-token"
NUMBER: Final = "+12025550142"
WARM_UP: Final = 9_000
"""Numbers of callers from here on are not measured."""

AnyPhone = TypeVar("AnyPhone", bound=Phone)


@asynccontextmanager
async def dialling(server: Process, *, is_floor: bool = False) -> AsyncIterator[Dial]:
    """What dials this server; omni is warm."""
    async with aiohttp.ClientSession() as http:
        if not is_floor:
            await warm_up(http, server)

        async def one(number: int, found: Found) -> Phone | None:
            return await dial(http, server, number, partial(Phone, found=found), is_floor=is_floor)

        yield one


async def warm_up(http: aiohttp.ClientSession, server: Process) -> None:
    """What is loaded by the first call is no call's."""
    phone = await _first(http, server, WARM_UP)
    await asyncio.sleep(3.0)
    await phone.hang_up()
    await asyncio.wait([phone.closed], timeout=5)
    another = await _first(http, server, WARM_UP + 500)  # there is room again: the first one is in its log
    await another.hang_up()
    await asyncio.wait([another.closed], timeout=5)
    await asyncio.sleep(1.0)


def is_warm_up(call: str) -> bool:
    return int(call.removeprefix("CA"), 16) >= WARM_UP


async def _first(http: aiohttp.ClientSession, server: Process, number: int) -> Phone:
    """A call, as soon as one is taken: the voice role starts beside the server, and calls end behind their sound."""
    for attempt in range(100):
        phone = await dial(http, server, number + attempt, partial(Phone, found=Found()))
        if phone is not None:
            return phone
        await asyncio.sleep(0.2)
    raise BenchError("no call is taken")


async def dial(
    http: aiohttp.ClientSession,
    server: Process,
    number: int,
    make: Callable[[int, str, dict[str, str], dict[str, str]], AnyPhone],
    *,
    is_floor: bool = False,
) -> AnyPhone | None:
    """A signed webhook, its TwiML, the signed socket; None: refused. `make` takes the caller's number, the socket's
    path and headers, and what the stream's start says."""
    call = f"CA{number:032x}"
    start = {"account": ACCOUNT, "call": call, "stream": f"MZ{number:032x}", "token": "none"}
    if is_floor:
        address = f"ws://127.0.0.1:{server.port}/media"
    else:
        answered = await _answer(http, server.port, call, number)
        stream = answered.find("Connect/Stream")
        if stream is None:
            return None
        parameter = stream.find("Parameter")
        assert parameter is not None
        start["token"], address = parameter.get("value", ""), stream.get("url", "")
    url = urlsplit(address)
    head = {"Host": url.netloc, **headers(address, (), auth_token=TOKEN)}
    loop = asyncio.get_running_loop()
    assert url.hostname is not None
    assert url.port is not None
    _, phone = await loop.create_connection(lambda: make(number, url.path, head, start), url.hostname, url.port)
    await asyncio.wait_for(phone.connected, 10)
    return phone


async def _answer(http: aiohttp.ClientSession, port: int, call: str, number: int) -> ET.Element:
    url = f"http://127.0.0.1:{port}/twilio/voice"
    fields = (
        ("AccountSid", ACCOUNT),
        ("ApiVersion", "2010-04-01"),
        ("CallSid", call),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("From", f"+1303555{number:04d}"),
        ("To", NUMBER),
    )
    async with http.post(url, data=dict(fields), headers=headers(url, fields, auth_token=TOKEN)) as response:
        text = await response.text()
        if response.status != 200:
            raise BenchError(f"the webhook of a call was answered with {response.status}: {text[:200]}")
        return ET.fromstring(text)
