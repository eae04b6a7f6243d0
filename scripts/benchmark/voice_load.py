"""Calls towards omni, or towards the floor: dialled, measured for a while, and hung up."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import aiohttp

from benchmark import machine
from benchmark.figures import percentile
from benchmark.server import BenchError, Process
from benchmark.voice_phone import Found, Phone
from channels.twilio.simulator.signing import headers

ACCOUNT: Final = "AC55555555555555555555555555555555"
TOKEN: Final = "simulated-auth-token"
NUMBER: Final = "+12025550142"
DIALLED_A_SECOND: Final = 25
SETTLE: Final = 2.0
WARM_UP: Final = 9_000
"""Numbers of callers from here on are not measured."""

AnyPhone = TypeVar("AnyPhone", bound=Phone)


@dataclass
class Measured:
    """One level. CPU and memory are the server's."""

    calls: int
    seconds: float
    found: Found
    cpu: float
    memory: float
    refused: int
    asked: int
    load: float
    own_cpu: float

    def numbers(self) -> dict[str, Any]:
        found = self.found
        shown: dict[str, Any] = {"calls": self.calls, "turns": len(found.responses), "seconds": self.seconds}
        for name, values in (("response", found.responses), ("stop", found.stops), ("late", found.late)):
            values.sort()
            for share in (0.5, 0.95, 0.99):
                shown[f"{name}_p{share * 100:g}_ms"] = percentile(values, share) if values else None
        return {
            **shown,
            "interruptions": len(found.stops),
            "gaps": len(found.gaps),
            "gaps_20": sum(1 for gap in found.gaps if gap > 20),
            "gaps_40": sum(1 for gap in found.gaps if gap > 40),
            "worst_gap_ms": max(found.gaps, default=0.0),
            "frames": found.frames,
            "unanswered": found.unanswered,
            "not_stopped": found.not_stopped,
            "cpu_s_per_call_minute": self.cpu / (self.calls * self.seconds / 60),
            "mb_per_call": self.memory / self.calls / 1e6,
            "refused": self.refused,
            "asked_beyond": self.asked,
            "load_average": self.load,
            "generator_cpu": self.own_cpu,
        }


async def level(
    server: Process,
    calls: int,
    seconds: float,
    *,
    is_floor: bool = False,
    beyond: bool = False,
    begun: Callable[[], Awaitable[None]] | None = None,
) -> Measured:
    """So many calls at a time. `beyond`: ask for one more every second, which must be refused. `begun` is called when
    all of them talk, before anything is measured."""
    found = Found()
    phones: list[Phone] = []
    async with aiohttp.ClientSession() as http:
        if not is_floor:
            await warm_up(http, server)
        before = machine.memory(server.pid).anonymous
        gc.collect()
        gc.disable()  # a look at all of the generator's own objects would be measured as a gap
        try:
            for number in range(calls):
                phone = await dial(http, server, number, partial(Phone, found=found), is_floor=is_floor)
                if phone is None:
                    raise BenchError(f"call {number + 1} of {calls} was refused")
                phones.append(phone)
                await asyncio.sleep(1 / DIALLED_A_SECOND)
            await asyncio.sleep(SETTLE)
            if begun is not None:
                await begun()
            found.since, cpu, own = time.monotonic(), server.usage().cpu, machine.own_cpu()
            refused, asked = 0, 0
            while time.monotonic() - found.since < seconds:
                await asyncio.sleep(min(1.0, max(0.01, seconds - (time.monotonic() - found.since))))
                if beyond:
                    asked += 1
                    refused += await dial(http, server, 10_000 + asked, partial(Phone, found=found)) is None
            took = time.monotonic() - found.since
            found.until = time.monotonic() - 1.0  # what is asked from here on may not be answered any more
            cpu, own = server.usage().cpu - cpu, machine.own_cpu() - own
        finally:
            gc.enable()
        memory = machine.memory(server.pid).anonymous - before
        found.broken = sum(phone.closed.done() for phone in phones)
        if found.broken:
            raise BenchError(f"{found.broken} calls of {calls} broke")
        for phone in phones:
            phone.hang_up()
        await asyncio.wait([phone.closed for phone in phones], timeout=5)
    return Measured(calls, took, found, cpu, memory, refused, asked, os.getloadavg()[0], own / took)


async def warm_up(http: aiohttp.ClientSession, server: Process) -> None:
    """What is loaded by the first call is no call's."""
    phone = await _first(http, server, WARM_UP)
    await asyncio.sleep(3.0)
    phone.hang_up()
    await asyncio.wait([phone.closed], timeout=5)
    another = await _first(http, server, WARM_UP + 500)  # there is room again: the first one is in its log
    another.hang_up()
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
