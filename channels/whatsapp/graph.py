"""The Graph API over HTTP: one session, bounded waits, errors as `RefusedError`, and no secret in any of them.

Source: the Graph API's overview and error handling pages. The token travels in the Authorization header only, never in
an address.
"""

from __future__ import annotations

import email.utils
import logging
import time
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from typing import Any, Final

import aiohttp
import pydantic_core
from yarl import URL

from channels.base import Action, RefusedError
from channels.whatsapp.errors import Complaint, refusal
from channels.whatsapp.reading import Json
from channels.whatsapp.signature import appsecret_proof
from omni.model.channel import WhatsAppChannel

log = logging.getLogger("omni.whatsapp.graph")

GRAPH_URL: Final = "https://graph.facebook.com"
USER_AGENT: Final = "omni/whatsapp (aiohttp)"
_MAX_ANSWER = 1024 * 1024
_MAX_WAIT = 3600.0
_proof = lru_cache(maxsize=1024)(appsecret_proof)


class Graph:
    """Calls to one Graph API, for all channels of the process.

    `timeout` and `connect` are seconds: for a whole request, and for reaching the server.
    """

    def __init__(
        self, base_url: str = GRAPH_URL, *, timeout: float = 30, connect: float = 5, connections: int = 100
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.origin = URL(self.base_url).origin()
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=connect)
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._versions: set[str] = set()

    async def open(self) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ttl_dns_cache=300, keepalive_timeout=30),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
            )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the WhatsApp adapter is not open; await adapter.open() first")
        return self._session

    def proof(self, channel: WhatsAppChannel) -> dict[str, str]:
        """The query parameter that shows that the token's user also knows the app secret."""
        if not channel.app_secret_proof:
            return {}
        secret, token = channel.app_secret.get_secret_value(), channel.access_token.get_secret_value()
        return {"appsecret_proof": _proof(secret, token)}

    async def call(
        self,
        channel: WhatsAppChannel,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        stream: AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        may_act: bool = False,
        timeout: float | None = None,
    ) -> Json:
        """One request to `/{version}/{path}`; its JSON answer.

        `path` consists of ids that were checked to be digits, and fixed words. `may_act`: when the answer gets lost,
        the request may have had an effect that must not be repeated blindly; such refusals are `is_unclear`.
        Raises RefusedError for everything but a JSON object with status 2xx.
        """
        query = {**(params or {}), **self.proof(channel)}
        sent = {"Authorization": f"Bearer {channel.access_token.get_secret_value()}", **(headers or {})}
        content: bytes | AsyncIterator[bytes] | None = stream
        if body is not None:
            content = pydantic_core.to_json(body)
            sent["Content-Type"] = "application/json"
        limit = self._timeout if timeout is None else aiohttp.ClientTimeout(total=timeout, sock_connect=5)
        try:
            async with self.session.request(
                method,
                f"{self.base_url}/{channel.graph_version}/{path}",
                params=query,
                data=content,
                headers=sent,
                timeout=limit,
                allow_redirects=False,
            ) as response:
                raw = await _answer_of(response)
                status, answered = response.status, response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise lost(error, may_act=may_act) from None
        self._look_at_version(channel, answered.get("facebook-api-version"))
        try:
            document = pydantic_core.from_json(raw, allow_inf_nan=False)
        except ValueError:
            document = None
        if isinstance(document, dict):
            if 200 <= status < 300 and "error" not in document:
                return document
            if isinstance(document.get("error"), dict):
                complaint = Complaint.read(document["error"])
                refused = refusal(complaint, max(status, 400), retry_after=_retry_after(answered))
                refused.is_unclear = refused.is_unclear and may_act
                raise _redacted(refused, channel)
        raise _gateway(status, _retry_after(answered), may_act=may_act)

    def _look_at_version(self, channel: WhatsAppChannel, answered: str | None) -> None:
        """An expired version is answered by another one without an error: say so, once."""
        if answered is None or answered == channel.graph_version or answered in self._versions:
            return
        self._versions.add(answered)
        log.warning(
            "whatsapp graph: asked for %s and was answered by %s; set graph_version to a version that is alive",
            channel.graph_version,
            ascii(answered)[:16],
        )


async def _answer_of(response: aiohttp.ClientResponse) -> bytes:
    """At most a mebibyte of the answer: more is not Graph's."""
    raw = bytearray()
    async for piece in response.content.iter_any():
        raw += piece
        if len(raw) > _MAX_ANSWER:
            return b""
    return bytes(raw)


def lost(error: BaseException, *, may_act: bool) -> RefusedError:
    """The refusal for a request that got no answer. It can only have had an effect if it was written."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientSSLError | aiohttp.ConnectionTimeoutError):
        why, written = "cannot be reached", False
    elif isinstance(error, aiohttp.InvalidURL):
        why, written = "has an address that is not one", False
    elif isinstance(error, TimeoutError):
        why, written = "did not answer in time", True
    else:
        why, written = "broke the connection off", True
    return RefusedError(
        f"WhatsApp {why} ({type(error).__name__}).",
        action=Action.RETRY,
        code="no_answer" if written else "unreachable",
        is_unclear=written and may_act,
    )


def _gateway(status: int, retry_after: float | None, *, may_act: bool) -> RefusedError:
    """The refusal for an answer that Graph did not write: a proxy's page, an empty or broken body."""
    if status == 429:
        action, code = Action.SLOW_NUMBER, "rate_limited"
    elif status >= 500 or status == 408 or status < 400:
        action, code = Action.RETRY, "transient"
    else:
        action, code = Action.GIVE_UP, "unknown"
    return RefusedError(
        f"WhatsApp answered {status} with a body that is not Graph's.",
        action=action,
        code=code,
        retry_after=retry_after,
        is_unclear=may_act and (status >= 500 or status < 400),
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header: a number, or a date. At most an hour."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), _MAX_WAIT)
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return min(max(at.timestamp() - time.time(), 0.0), _MAX_WAIT)


def _redacted(refused: RefusedError, channel: WhatsAppChannel) -> RefusedError:
    """Graph may quote what it was given: no secret stays in the sentence."""
    text = redact(refused.reason, channel)
    if text != refused.reason:
        refused.reason = text
        refused.args = (text,)
    return refused


def redact(text: str, channel: WhatsAppChannel) -> str:
    token, secret = channel.access_token.get_secret_value(), channel.app_secret.get_secret_value()
    for hidden in (token, secret, _proof(secret, token)):
        if len(hidden) > 3:
            text = text.replace(hidden, "***")
    return text


def request_path(*parts: str) -> str:
    """A path of checked ids and fixed words. Raises ValueError for anything that could lead elsewhere."""
    for part in parts:
        if not part or not part.isascii() or not part.replace("_", "").isalnum():
            raise ValueError(f"{part[:40]!r} cannot be part of a Graph path")
    return "/".join(parts)
