"""All of it together, as a gateway's surfaces share it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from omni.access.keys import Keys
from omni.access.limits import Limits
from omni.access.seal import Sealer, kept_secret
from omni.access.tokens import Tokens
from omni.store.base import Store


@dataclass(frozen=True, slots=True)
class Access:
    """`proxies` is how many proxies stand between the world and us, each of which tells who asked it."""

    keys: Keys
    tokens: Tokens
    sealer: Sealer
    limits: Limits
    proxies: int = 0


async def open_access(
    store: Store,
    *,
    api_key: str | None = None,
    secret: str | None = None,
    previous_secret: str | None = None,
    proxies: int = 0,
) -> Access:
    """Without a `secret` the installation's own is taken from the store. Raises StoreError."""
    sealer = Sealer(secret or await kept_secret(store, time.time()), previous_secret)
    return Access(Keys(store, api_key), Tokens(sealer, store), sealer, Limits(), proxies)
