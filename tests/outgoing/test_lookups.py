"""A name server that says nothing holds nobody up but those who ask for its names."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from omni.outgoing.errors import TooSlowError, UnreachableError
from omni.outgoing.http import OutgoingHttp


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The name servers of `hung.example` and `stuck.example` answer when this is set; every other name leads here."""
    answers, real = threading.Event(), socket.getaddrinfo

    def look_up(host: Any, *args: Any, **more: Any) -> Any:
        name = str(host)
        if name.endswith((".hung.example", ".stuck.example")):
            assert answers.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return real("127.0.0.1" if name.endswith(".example") else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield answers
    answers.set()


async def test_names_that_are_never_found_hold_up_neither_other_names_nor_the_process(silent: threading.Event) -> None:
    app = web.Application()
    app.router.add_post("/", _well)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    http = OutgoingHttp(allow_private=True)

    async def ask(host: str, seconds: float) -> int:
        async with http.request("POST", f"http://{host}:{port}/", headers={}, timeout_s=seconds) as answer:
            return answer.status

    hung = [asyncio.create_task(ask(f"{n}.{d}.example", 20)) for n in range(60) for d in ("hung", "stuck")]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await asyncio.to_thread(lambda: "free") == "free"
        assert await ask("shop.example", 5) == 200
    with pytest.raises(TooSlowError):
        await ask("late.hung.example", 0.1)
    silent.set()
    for outcome in await asyncio.gather(*hung, return_exceptions=True):
        assert isinstance(outcome, UnreachableError)
    await http.close()
    await runner.cleanup()


async def _well(_: web.Request) -> web.Response:
    return web.Response(text="ok")
