"""`Idempotency-Key`: a POST that is sent again does nothing again, and is answered as the first time, for 24 hours.

The key's name is a lease. Whoever takes it acts; whoever comes meanwhile waits for the outcome. What was answered is
kept in it, locked with the asker's own API key and Idempotency-Key, neither of which we store: an answer may hold a
secret that is shown once, or somebody's words. A refusal did nothing and is not kept: send what was wrong again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import JsonValue

from omni.gateway.rest.errors import ApiError, conflict, invalid
from omni.model.access import ApiKey, Lease
from omni.store.base import Store

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
KEPT_SECONDS: Final = 86_400.0
BUSY_SECONDS: Final = 60.0
"""A process that died while it acted keeps others out for so long."""
WAIT_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 0.02
LONGEST: Final = 200

Act = Callable[[], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that came with a key. `secret` is the API key it came with, `name` where its outcome is kept, `mark`
    the same for the same body."""

    name: str
    mark: str
    secret: str
    typed: str

    @classmethod
    def of(cls, request: web.Request, key: ApiKey, secret: str, body: str) -> Attempt | None:
        """None without the header. Raises ApiError 400."""
        typed = request.headers.get(HEADER)
        if typed is None:
            return None
        typed = typed.strip()
        if not typed or len(typed) > LONGEST or not typed.isascii() or not typed.isprintable():
            raise invalid(HEADER, f"use 1 to {LONGEST} printable characters, another for every request")
        where = json.dumps([key.org, key.id, request.method, request.path, typed]).encode()
        mark = hashlib.sha256(_plain(body).encode("utf-8", "surrogatepass")).hexdigest()
        return cls(f"idempotent:{hashlib.sha256(where).hexdigest()}", mark, secret, typed)

    @property
    def act(self) -> str:
        """Names what is done: commands with it act once for good, whatever becomes of the lease."""
        return f"{self.name.removeprefix('idempotent:')[:40]}{self.mark[:8]}"

    def lock(self, answer: str) -> str:
        nonce = secrets.token_bytes(16)
        locked = nonce + self._mixed(nonce, answer.encode())
        return base64.b64encode(self._sum(locked) + locked).decode()

    def unlock(self, kept: str) -> str | None:
        """None when it was locked with another key."""
        content = base64.b64decode(kept)
        sum_, locked = content[:32], content[32:]
        if not hmac.compare_digest(sum_, self._sum(locked)):
            return None
        return self._mixed(locked[:16], locked[16:]).decode()

    def _mixed(self, nonce: bytes, content: bytes) -> bytes:
        stream = hashlib.shake_256(self._key(b"lock") + nonce).digest(len(content))
        return bytes(one ^ other for one, other in zip(content, stream, strict=True))

    def _sum(self, locked: bytes) -> bytes:
        return hmac.digest(self._key(b"sum"), locked, hashlib.sha256)

    def _key(self, purpose: bytes) -> bytes:
        return hmac.digest(self.secret.encode("utf-8", "surrogatepass"), purpose + self.typed.encode(), hashlib.sha256)


class Idempotency:
    def __init__(self, store: Store, clock: Callable[[], float], *, wait: float = WAIT_SECONDS) -> None:
        self._store = store
        self._clock = clock
        self._wait = wait

    async def once(self, attempt: Attempt, act: Act) -> web.StreamResponse:
        """Act, or answer as before. Raises ApiError 409, and whatever `act` raises."""
        mine = secrets.token_hex(8)
        deadline = asyncio.get_running_loop().time() + self._wait
        while True:
            now = self._clock()
            busy = Lease(name=attempt.name, holder=mine, until=now + BUSY_SECONDS, data={"mark": attempt.mark})
            held = await self._store.take_lease(busy, now=now)
            if held.holder == mine:
                return await self._act(attempt, mine, act)
            if held.data.get("mark") != attempt.mark:
                raise conflict(
                    "idempotency_key_reused",
                    f"{HEADER}: it came with another body before; use a new one for every request",
                    HEADER,
                )
            if "status" in held.data:
                return _again(attempt, held)
            if asyncio.get_running_loop().time() >= deadline:
                raise ApiError(
                    409,
                    "idempotency_key_in_use",
                    f"{HEADER}: the first request with it is still at work; ask again in a moment",
                    HEADER,
                    retry_after=1,
                )
            await asyncio.sleep(LOOK_SECONDS)

    async def _act(self, attempt: Attempt, mine: str, act: Act) -> web.StreamResponse:
        try:
            response = await act()
        except BaseException:
            await self._store.drop_lease(attempt.name, mine)
            raise
        now = self._clock()
        text = response.text if isinstance(response, web.Response) else None
        kept: dict[str, JsonValue] = {"mark": attempt.mark, "status": response.status}
        kept["answer"] = attempt.lock(text or "")
        await self._store.take_lease(
            Lease(name=attempt.name, holder=mine, until=now + KEPT_SECONDS, data=kept), now=now
        )
        return response


def _again(attempt: Attempt, held: Lease) -> web.Response:
    status, answer = held.data["status"], attempt.unlock(str(held.data["answer"]))
    if answer is None or not isinstance(status, int):
        raise conflict(
            "idempotency_key_reused", f"{HEADER}: another API key used it; use a new one for every request", HEADER
        )
    return web.Response(status=status, text=answer, content_type="application/json", headers={REPLAYED: "true"})


def _plain(body: str) -> str:
    """The same for bodies that say the same."""
    try:
        return json.dumps(json.loads(body or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        return body
