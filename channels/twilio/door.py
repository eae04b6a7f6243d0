"""The way in for what Twilio posts: a bounded form, signed by the account of one of our numbers.

Nothing is believed before the signature is checked, and what is refused is counted and logged once a minute.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

from aiohttp import web
from prometheus_client import Counter

from channels.per_minute import PerMinute
from channels.twilio import form, package
from channels.twilio.form import BadFormError, Form
from channels.twilio.signature import HEADER, Signed, signer
from omni.telemetry.metrics import WEBHOOK_ITEMS

log = logging.getLogger("omni.twilio")

TWIML: Final = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""Nothing to do."""

S = TypeVar("S", bound=Signed)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """`max_body` in bytes, `read_seconds` for a whole body."""

    max_body: int = 64 * 1024
    read_seconds: float = 5.0


class RefusedRequest(Exception):
    """A request that is answered with `status`; the reason is for our log."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Door:
    """`url` is our public address without a trailing slash, the one Twilio was told; `kind` names the channel in
    metrics and log lines."""

    def __init__(
        self,
        kind: str,
        url: Callable[[], str],
        clock: Callable[[], float] = time.time,
        limits: BodyLimits | None = None,
    ) -> None:
        self._kind = kind
        self._url = url
        self._limits = limits or BodyLimits()
        self._oddities = PerMinute(clock)

    async def read(self, request: web.Request) -> Form:
        """The form that came, not yet known to be Twilio's. Raises RefusedRequest."""
        if len(request.headers.getall(HEADER, ())) != 1:
            raise RefusedRequest(401, "no signature header")
        if request.content_type != "application/x-www-form-urlencoded" or "Content-Encoding" in request.headers:
            raise RefusedRequest(415, "not a form")
        try:
            return form.load(await self._body(request))
        except BadFormError:
            raise RefusedRequest(400, "not a readable form") from None

    def signed(self, request: web.Request, filled: Form, lines: Sequence[S]) -> S:
        """The line whose secret signed a request with this form. Raises RefusedRequest."""
        if not lines:
            raise RefusedRequest(403, "a number, service or account that no agent has")
        if not package.is_installed():
            raise RefusedRequest(503, package.MISSING)
        # The path as it was sent: a query belongs to what Twilio was told, and signed.
        line = signer(lines, f"{self._url()}{request.raw_path}", filled, request.headers)
        if line is None:
            raise RefusedRequest(403, "wrong signature, or signed for another address than OMNI_PUBLIC_URL's")
        return line

    async def _body(self, request: web.Request) -> bytes:
        """The body's bytes, however long or slow the sender claims or tries to be."""
        cap = self._limits.max_body
        if (request.content_length or 0) > cap:
            raise RefusedRequest(413, "body too large")
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.read_seconds):
                while piece := await request.content.readany():
                    body += piece
                    if len(body) > cap:
                        raise RefusedRequest(413, "body too large")
        except TimeoutError:
            raise RefusedRequest(408, "body too slow") from None
        except (ConnectionError, web.RequestPayloadError):
            raise RefusedRequest(400, "body broken off") from None
        return bytes(body)

    def odd(self, kind: str, why: str) -> web.Response:
        """The answer to a signed form that cannot be acted on: a repetition would not mend it."""
        self.count(kind, "malformed")
        if self._oddities.count(why) == 1:
            log.warning("%s webhook: left out a %s: %s", self._kind, kind, why)
        return answer(200, TWIML, "text/xml")

    def refuse(self, request: web.Request, refused: RefusedRequest) -> web.Response:
        self.count("body", "refused")
        source = ascii(request.remote or "?")[:64]
        if self._oddities.count(f"{source}|{refused.reason}") == 1:
            log.warning("%s webhook: refused a request from %s: %s", self._kind, source, refused.reason)
        return answer(refused.status, {401: b"unauthorized", 403: b"forbidden"}.get(refused.status, b"refused"))

    def count(self, kind: str, outcome: str) -> None:
        _items(self._kind, kind, outcome).inc()


StatusReader = Callable[[web.Request, Form], Awaitable[web.Response]]
"""Takes a form that was read and not yet checked. Raises RefusedRequest."""


def status_route(path: str, door: Door, *, messages: StatusReader | None, calls: StatusReader | None) -> web.RouteDef:
    """What became of ours: messages (`MessageSid`) and calls (`CallSid`) are told at one address."""

    async def status(request: web.Request) -> web.Response:
        try:
            filled = await door.read(request)
            reader = calls if "CallSid" in filled and "MessageSid" not in filled else messages
            if reader is None:
                raise RefusedRequest(403, "a number, service or account that no agent has")
            return await reader(request, filled)
        except RefusedRequest as refused:
            return door.refuse(request, refused)

    return web.post(path, status)


def answer(
    status: int, body: bytes, content_type: str = "text/plain", headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(status=status, body=body, content_type=content_type, headers=headers)


@lru_cache(maxsize=128)
def _items(channel: str, kind: str, outcome: str) -> Counter:
    return WEBHOOK_ITEMS.labels(channel=channel, kind=kind, outcome=outcome)
