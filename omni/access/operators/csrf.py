"""That a request was meant: a token only our own page can read, and the origin of whoever sends it."""

from __future__ import annotations

from typing import Final

from omni.access.origins import is_allowed
from omni.access.seal import Sealer

CSRF_PREFIX: Final = "csr_"


def csrf_token(sealer: Sealer, session: str) -> str:
    """What a page shows with everything that changes something. It belongs to one session, and lives as long."""
    return sealer.seal(CSRF_PREFIX, {"ses": session})


def is_csrf_token(sealer: Sealer, token: str, session: str) -> bool:
    payload = sealer.unseal(CSRF_PREFIX, token)
    return payload is not None and payload.get("ses") == session


def is_own(origin: str, *ours: str) -> bool:
    """Whether an `Origin` header is one of these addresses of ours; `*` in an address stands for nothing."""
    return is_allowed(origin, [each for each in ours if "*" not in each])
