"""API keys: `pk_` and 192 random bits, of which only the SHA-256 is kept.

A guess costs an attacker as much as a guess of the key itself, so the hash needs no salt and no slow function; finding
a key by its hash takes as long for a good guess as for a bad one.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from omni.model.access import ApiKey
from omni.model.base import DEFAULT_ORG
from omni.model.ids import new_id
from omni.store.base import Store, StoreError

log = logging.getLogger("omni.access")

KEY_PREFIX: Final = "pk_"
LONGEST: Final = 256
"""Characters of what may be a key at all."""

CACHE_SECONDS: Final = 5.0
"""How long a key that was revoked elsewhere may still be taken for good."""

CACHED_KEYS: Final = 4096
TOUCH_SECONDS: Final = 300.0
"""`last_used_at` is that exact."""

SETTINGS_KEY: Final = "settings"
"""The id of the key of OMNI_API_KEY, which is stored nowhere."""


def new_secret() -> str:
    """A fresh key, shown to its owner once."""
    return f"{KEY_PREFIX}{secrets.token_urlsafe(24)}"


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def preview_of(secret: str) -> str:
    """Enough of a key to recognise it, and too little to use it."""
    return f"{KEY_PREFIX}…{secret[-4:]}" if len(secret) >= 16 else "…"


class Keys:
    """The keys of all organisations. `own` is OMNI_API_KEY: it is valid for the organisation `default`, unstored."""

    def __init__(
        self,
        store: Store,
        own: str | None = None,
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._own = _settings_key(own) if own else None
        self._clock = clock
        self._ticks = ticks
        self._cache: OrderedDict[str, tuple[ApiKey, float]] = OrderedDict()

    async def find(self, secret: str | None) -> ApiKey | None:
        """The key, or None when there is no such key (any more). Raises StoreError."""
        if not secret or len(secret) > LONGEST:
            return None
        return await self._by_hash(hash_of(secret))

    async def is_valid(self, key: ApiKey) -> bool:
        """Whether a key that was found earlier still is one: what stays open for long asks now and then."""
        return await self._by_hash(key.hash) is not None

    async def _by_hash(self, hash_: str) -> ApiKey | None:
        if self._own is not None and hmac.compare_digest(hash_, self._own.hash):
            return self._own
        known, until = self._cache.get(hash_, (None, 0.0))
        if known is not None and self._ticks() < until:
            return known
        key = await self._store.key_by_hash(hash_)
        if key is None or key.revoked_at is not None:
            self._cache.pop(hash_, None)
            return None
        self._cache[hash_] = (key, self._ticks() + CACHE_SECONDS)
        self._cache.move_to_end(hash_)
        if len(self._cache) > CACHED_KEYS:
            self._cache.popitem(last=False)
        await self._touch(key)
        return key

    async def _touch(self, key: ApiKey) -> None:
        now = self._clock()
        if now < (key.last_used_at or 0.0) + TOUCH_SECONDS:
            return
        try:
            await self._store.touch_key(key.id, now)
        except StoreError as error:
            log.warning("it could not be noted that the key %s was used: %s", key.id, error)

    async def create(self, org: str, name: str) -> tuple[ApiKey, str]:
        """A new key, and its text, which can never be shown again."""
        secret = new_secret()
        key = ApiKey(
            id=new_id("key"),
            org=org,
            name=name,
            hash=hash_of(secret),
            preview=preview_of(secret),
            created_at=self._clock(),
        )
        await self._store.save_key(key)
        return key, secret

    async def revoke(self, org: str, key_id: str) -> ApiKey | None:
        """The key as it is now; None when the organisation has no such key."""
        key = next((one for one in await self._store.keys(org) if one.id == key_id), None)
        if key is None or key.revoked_at is not None:
            return key
        revoked = key.model_copy(update={"revoked_at": self._clock()})
        await self._store.save_key(revoked)
        self._cache.pop(key.hash, None)
        return revoked

    async def of(self, org: str) -> list[ApiKey]:
        """Those of an organisation that are in force, the oldest first; OMNI_API_KEY is not among them."""
        return [key for key in await self._store.keys(org) if key.revoked_at is None]


def _settings_key(secret: str) -> ApiKey:
    return ApiKey(
        id=SETTINGS_KEY,
        org=DEFAULT_ORG,
        name="OMNI_API_KEY",
        hash=hash_of(secret),
        preview=preview_of(secret),
        created_at=0.0,
    )
