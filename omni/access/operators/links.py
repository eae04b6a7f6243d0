"""One-time sign-in links: for somebody new, for a forgotten password, and for the machine's own user.

The token stands in the fragment of the inbox's address (`/inbox#link=…`), which browsers send to nobody: it is in no
server's or proxy's log.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from omni.access.operators.sessions import password_mark
from omni.access.seal import Sealer
from omni.access.tokens import CLOCKS_DIFFER
from omni.model.access import Lease
from omni.model.ids import new_id
from omni.model.operator import Operator
from omni.store.base import Store

LINK_PREFIX: Final = "lnk_"
LINK_SECONDS: Final = 15 * 60.0
ANOTHER: Final = "ask an admin for another, or run `omni operators reset EMAIL` on the server"


class LinkError(Exception):
    """The link does not sign in; the text says why and what to do."""


class Links:
    def __init__(self, sealer: Sealer, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._sealer = sealer
        self._store = store
        self._clock = clock

    def make(self, operator: Operator) -> str:
        """A token that signs the operator in once, within 15 minutes, and not after their password was changed."""
        return self._sealer.seal(
            LINK_PREFIX,
            {
                "v": 1,
                "sub": operator.id,
                "pwd": password_mark(operator),
                "exp": self._clock() + LINK_SECONDS,
                "jti": secrets.token_urlsafe(16),
            },
        )

    async def open(self, token: str) -> Operator:
        """Who it signs in; it is used up with that: of all who try, wherever, one succeeds. Raises LinkError and
        StoreError."""
        now = self._clock()
        match self._sealer.unseal(LINK_PREFIX, token):
            case {"v": 1, "sub": str(of), "pwd": str(mark), "exp": int() | float() as until, "jti": str(id_)}:
                pass
            case _:
                raise LinkError(f"this sign-in link is not valid; {ANOTHER}")
        if now >= until:
            raise LinkError(f"this sign-in link has expired; {ANOTHER}")
        operator = await self._store.operator(of)
        if operator is None or operator.disabled_at is not None or password_mark(operator) != mark:
            raise LinkError(f"this sign-in link is not valid any more; {ANOTHER}")
        mine = Lease(name=f"used:{id_}", holder=new_id("use"), until=float(until) + CLOCKS_DIFFER)
        if (await self._store.take_lease(mine, now=now)).holder != mine.holder:
            raise LinkError(f"this sign-in link was used before; {ANOTHER}")
        return operator


def link_url(server: str, token: str) -> str:
    """The address to open. `server` has no slash at its end."""
    return f"{server}/inbox#link={token}"
