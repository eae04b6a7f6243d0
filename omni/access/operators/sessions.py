"""Sessions of the inbox: who is signed in, for 12 hours after the last request and 30 days at most.

A browser's cookie is `<operator id>.<192 random bits>`; the store has a lease under the SHA-256 of the whole, so that
whoever reads the store cannot sign in with what they find, and a guess needs no slow hash (as with API keys).

Two things end a session everywhere, and neither needs everybody to be told: the lease, which a revocation takes over so
that a renewal under way cannot bring it back, and the operator's record, which every request is compared with. What
was found is believed for `CACHE_SECONDS`.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from omni.model.access import Lease
from omni.model.ids import new_id
from omni.model.operator import Operator
from omni.store.base import Store, StoreError, VersionConflictError

log = logging.getLogger("omni.access")

IDLE_SECONDS: Final = 12 * 3600.0
TOTAL_SECONDS: Final = 30 * 86_400.0
RENEW_SECONDS: Final = 300.0
"""A session in use is written down that often, and `last_seen_at` of its operator is that exact."""

CACHE_SECONDS: Final = 3.0
"""How long a session that was ended elsewhere may still be taken for good. The promise is five seconds."""

CACHED: Final = 4096
REVOKED: Final = "revoked"
"""The holder of an ended session's lease: a renewal in the name of the session itself is refused."""

BURIED_SECONDS: Final = 3600.0
"""Longer than any renewal can be under way."""

_PREFIX: Final = "session:"
_COOKIE: Final = re.compile(r"(op_[0-9A-Za-z]{1,40})\.([A-Za-z0-9_-]{32})")


@dataclass(frozen=True, slots=True)
class Session:
    """`name` is its lease's, and no secret; `id` its holder. Times are epoch seconds; `until` moves with its use."""

    name: str
    id: str
    operator: str
    password: str
    began_at: float
    seen_at: float
    until: float


def password_mark(operator: Operator) -> str:
    """Changes when the password does, and not when it is hashed anew with the same salt: the salt's own hash."""
    salt = operator.password_hash.split("$")[4:5] if operator.password_hash else []
    return hashlib.sha256("".join(salt).encode()).hexdigest()[:16] if salt else ""


def ends_at(began_at: float, seen_at: float) -> float:
    """When a session that is not used again runs out."""
    return min(seen_at + IDLE_SECONDS, began_at + TOTAL_SECONDS)


def lease_of(session: Session) -> Lease:
    return Lease(
        name=session.name,
        holder=session.id,
        until=session.until,
        data={"began_at": session.began_at, "seen_at": session.seen_at, "password": session.password},
    )


def session_of(lease: Lease) -> Session | None:
    """What `lease_of` wrote; None for the lease of a revoked one."""
    operator = lease.name.removeprefix(_PREFIX).partition(":")[0]
    match lease.data:
        case {"began_at": int() | float() as began, "seen_at": int() | float() as seen, "password": str(mark)} if (
            lease.holder != REVOKED
        ):
            return Session(lease.name, lease.holder, operator, mark, float(began), float(seen), lease.until)
        case _:
            return None


def name_of(cookie: str) -> str | None:
    """The lease's name of a cookie; None for what cannot be one."""
    found = _COOKIE.fullmatch(cookie)
    if found is None:
        return None
    return f"{_PREFIX}{found[1]}:{hashlib.sha256(cookie.encode()).hexdigest()}"


class Sessions:
    def __init__(
        self, store: Store, *, clock: Callable[[], float] = time.time, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._clock = clock
        self._ticks = ticks
        self._cache: OrderedDict[str, tuple[Session, Operator, float]] = OrderedDict()

    async def begin(self, operator: Operator) -> tuple[str, Session]:
        """A fresh cookie and its session. Raises StoreError."""
        cookie = f"{operator.id}.{secrets.token_urlsafe(24)}"
        name = name_of(cookie)
        assert name is not None, "an operator's id is op_ and letters"
        now = self._clock()
        session = Session(name, new_id("ses"), operator.id, password_mark(operator), now, now, ends_at(now, now))
        await self._store.take_lease(lease_of(session), now=now)
        await self._note_seen(operator, now)
        return cookie, session

    async def find(self, cookie: str) -> tuple[Session, Operator] | None:
        """Whose cookie this is, or None when it opens nothing (any more). Raises StoreError."""
        name = name_of(cookie)
        return await self.by_name(name) if name is not None else None

    async def by_name(self, name: str) -> tuple[Session, Operator] | None:
        """As `find`, for a session that was found before: what stays open for long asks now and then."""
        now = self._clock()
        if (known := self._cache.get(name)) is not None and self._ticks() < known[2] and now < known[0].until:
            return known[0], known[1]
        self._cache.pop(name, None)
        lease = next((one for one in await self._store.leases(name, now=now) if one.name == name), None)
        session = session_of(lease) if lease is not None else None
        if session is None:
            return None
        operator = await self._store.operator(session.operator)
        if operator is None or operator.disabled_at is not None or password_mark(operator) != session.password:
            return None
        if now >= session.seen_at + RENEW_SECONDS:
            renewed = await self._renewed(session, operator, now)
            if renewed is None:
                return None
            session, operator = renewed
        self._cache[name] = (session, operator, self._ticks() + CACHE_SECONDS)
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return session, operator

    async def _renewed(self, session: Session, operator: Operator, now: float) -> tuple[Session, Operator] | None:
        later = replace(session, seen_at=now, until=ends_at(session.began_at, now))
        held = await self._store.take_lease(lease_of(later), now=now)
        if held.holder != session.id:
            return None
        return later, await self._note_seen(operator, now)

    async def _note_seen(self, operator: Operator, now: float) -> Operator:
        """Best effort: nobody is sent away because it could not be noted when they came."""
        try:
            return await self._store.save_operator(operator.model_copy(update={"last_seen_at": now}))
        except VersionConflictError:  # somebody else wrote them down this moment
            return operator
        except StoreError as error:
            log.warning("it could not be noted that %s was here: %s", operator.id, error)
            return operator

    async def remark(self, session: Session, operator: Operator) -> Session:
        """Keep this session over a change of its operator's password, which ended all of them. Raises StoreError."""
        now = self._clock()
        kept = replace(session, password=password_mark(operator), seen_at=now, until=ends_at(session.began_at, now))
        await self._store.take_lease(lease_of(kept), now=now)
        self._cache.pop(session.name, None)
        return kept

    async def end(self, session: Session) -> None:
        """Revoke one. Raises StoreError."""
        now = self._clock()
        self._cache.pop(session.name, None)
        buried = Lease(name=session.name, holder=REVOKED, until=now + BURIED_SECONDS)
        await self._store.take_lease(buried, now=now, over=session.id)

    async def end_all(self, operator_id: str) -> None:
        """Revoke all of an operator's sessions. Raises StoreError."""
        for lease in await self._store.leases(f"{_PREFIX}{operator_id}:", now=self._clock()):
            if (session := session_of(lease)) is not None:
                await self.end(session)

    def forget(self, operator_id: str) -> None:
        """What this process believes of an operator's sessions: the next request of each looks again."""
        for name in [name for name in self._cache if name.startswith(f"{_PREFIX}{operator_id}:")]:
            del self._cache[name]
