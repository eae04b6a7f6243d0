"""Signing in at a trunk, so that calls find us (RFC 3261 section 10)."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from typing import Final

from aiosipua.headers import parse_address
from aiosipua.message import SipRequest, SipResponse

from channels.sip.client import Client
from channels.sip.dialog import new_tag
from channels.sip.framing import PING
from channels.sip.messages import request
from channels.sip.requests import Requests
from omni.model.sip import SipTrunk

log = logging.getLogger("omni.sip")

AGAIN: Final = (2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds to wait after each failure; the last one from then on."""
PART: Final = 0.9
"""Of the granted time, until it is asked for again."""
ALIVE_SECONDS: Final = 25.0
"""How often a word goes to the registrar, so that the routers on the way keep it open for calls (RFC 5626)."""
GOODBYE_SECONDS: Final = 2.0


class Registration:
    """`learned` is told the address of whoever took us in. `sleep` takes seconds."""

    def __init__(
        self,
        trunk: SipTrunk,
        requests: Requests,
        learned: Callable[[SipTrunk, str], None],
        *,
        sleep: Callable[[float], object] = asyncio.sleep,
    ) -> None:
        self.granted = 0.0
        """Seconds, of the last time; 0 while we are not signed in."""
        self._trunk = trunk
        self._requests = requests
        self._learned = learned
        self._sleep = sleep
        self._call_id = secrets.token_hex(16)
        self._tag = new_tag()
        self._number = 0
        self._seconds = trunk.register_seconds
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._alive: asyncio.TimerHandle | None = None

    @property
    def trunk(self) -> SipTrunk:
        return self._trunk

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"register at {self._trunk.name}")

    async def stop(self) -> None:
        """Sign out, if we are in."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._alive is not None:
            self._alive.cancel()
        if self.granted:
            self.granted = 0.0
            try:
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._ask(0)
            except TimeoutError:
                log.info("the trunk %s has not said that we are signed out", self._trunk.name)

    async def _run(self) -> None:
        while True:
            await self._sleep(await self.once())  # type: ignore[misc]

    async def once(self) -> float:
        """Sign in now; returns the seconds until the next time."""
        answer = await self._ask(self._seconds)
        status = answer.status_code
        if status == 423 and (answer.get_header("min-expires") or "").isdigit():
            self._seconds = min(int(answer.get_header("min-expires") or "0"), 86_400)
            answer = await self._ask(self._seconds)
            status = answer.status_code
        if status < 300:
            if not self.granted:
                log.info("signed in at the trunk %s", self._trunk.name)
            self.granted, self._failures = _granted(answer, self._seconds, self._requests, self._client), 0
            if self._client is not None:
                self._learned(self._trunk, self._client.flow.hop.host)
            if self._alive is None:
                self._keep_alive()
            return self.granted * PART
        log.warning("the trunk %s did not take us in: %d %s", self._trunk.name, status, answer.reason_phrase)
        self.granted = 0.0
        wait = AGAIN[min(self._failures, len(AGAIN) - 1)]
        self._failures += 1
        return wait * random.uniform(0.8, 1.2)

    def _keep_alive(self) -> None:
        if self._client is not None and self.granted:
            self._client.flow.send(PING)
        self._alive = asyncio.get_running_loop().call_later(ALIVE_SECONDS, self._keep_alive)

    async def _ask(self, seconds: int) -> SipResponse:
        trunk = self._trunk
        own = f"sip:{trunk.username}@{trunk.realm}"

        def make() -> SipRequest:
            self._number += 1
            made = request("REGISTER", f"sip:{trunk.realm}")
            made.headers.set_single("From", f"<{own}>;tag={self._tag}")
            made.headers.set_single("To", f"<{own}>")
            made.headers.set_single("Call-ID", self._call_id)
            made.headers.set_single("CSeq", f"{self._number} REGISTER")
            made.headers.set_single("Expires", str(seconds))
            return made

        def heard(answer: SipResponse, client: Client) -> None:
            self._client = client

        return await self._requests.ask(make, trunk, heard=heard, sips=f"sip:{trunk.host};transport={trunk.transport}")


def _granted(answer: SipResponse, asked: int, requests: Requests, client: Client | None) -> float:
    """What they say of our own contact, else of all."""
    own = client.request.get_header("contact") if client is not None else None
    uri = parse_address(own).uri if own else None
    found: str | None = None
    for value in answer.headers.get("contact"):
        each = parse_address(value)
        if uri is not None and (each.uri.host, each.uri.port or 5060) == (uri.host, uri.port or 5060):
            found = each.params.get("expires")
    found = found or answer.get_header("expires") or str(asked)
    return float(max(1, min(int(found), 86_400))) if found.isdigit() else float(asked)
