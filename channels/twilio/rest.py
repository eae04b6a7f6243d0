"""Twilio's REST API through Twilio's own client, over one connection pool of ours.

Imported when it is first needed, and then in a thread: the package takes a quarter of a second to load. Its own HTTP
client ignores the time limit it is given, so requests go through one that does not.
"""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import aiohttp
import pydantic_core
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from channels.twilio.credentials import basic
from channels.twilio.failures import ApiRefusal, NoAnswer

_MAX_ANSWER: Final = 1024 * 1024
_MAX_WAIT: Final = 3600.0


class Clients:
    """A client an account, all over one session and towards one address. `timeout` is a whole request's, in seconds.
    Their methods raise ApiRefusal and NoAnswer, without secrets."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession, timeout: float) -> None:
        self._base_url = base_url
        self._http = _Http(session, timeout)
        self._client = lru_cache(maxsize=256)(self._made)

    def of(self, account: str, token: str) -> Any:
        return self._client(account, token)

    def _made(self, account: str, token: str) -> Any:
        client = Client(account, token, http_client=self._http)
        client.api.base_url = self._base_url
        return client


class _Http(AsyncHttpClient):  # type: ignore[misc]  # the package has no types
    """The package's HTTP client, with a limit that holds, over a session that is ours."""

    def __init__(self, session: aiohttp.ClientSession, timeout: float) -> None:
        super().__init__(logger=None, is_async=True)
        self._session = session
        self._seconds = timeout

    async def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Any:
        sent = dict(headers or {})
        if auth is not None:
            sent["Authorization"] = basic(*auth)
        is_write = method.upper() != "GET"
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._session.request(
                    method, url, params=params, data=data, headers=sent, allow_redirects=False
                ) as answer,
            ):
                raw = await _bounded(answer)
                status, answered = answer.status, answer.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoAnswer(error, may_act=is_write) from None
        if 200 <= status < 300:
            return Response(status, raw.decode("utf-8", "replace"), answered)
        raise _refused(status, raw, retry_after=_retry_after(answered), may_act=is_write)


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    """At most a mebibyte of the answer: more is not Twilio's."""
    raw = bytearray()
    async for piece in answer.content.iter_any():
        raw += piece
        if len(raw) > _MAX_ANSWER:
            return b""
    return bytes(raw)


def _refused(status: int, raw: bytes, *, retry_after: float | None, may_act: bool) -> ApiRefusal:
    try:
        document = pydantic_core.from_json(raw, allow_inf_nan=False)
    except ValueError:
        document = None
    said = document if isinstance(document, dict) else {}
    code, text = said.get("code"), said.get("message")
    known = code if isinstance(code, int) and not isinstance(code, bool) and 0 < code < 10**6 else None
    words = " ".join(text.split())[:300] if isinstance(text, str) and text.isprintable() else None
    return ApiRefusal(known, words, max(status, 400), retry_after=retry_after, may_act=may_act)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header: a number, or a date. At most an hour."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit() and len(value) < 10:
        return min(float(value), _MAX_WAIT)
    try:
        at = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    return min(max(at.timestamp() - time.time(), 0.0), _MAX_WAIT)
