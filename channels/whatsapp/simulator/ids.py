"""Ids as the platform makes them: opaque, long, and never the same again after a restart."""

from __future__ import annotations

import base64
import hashlib
import itertools
import secrets

Json = dict[str, object]


class Ids:
    """Makes message, media and trace ids.

    Ids are unique across processes, whatever the seed of the faults: a server under test remembers for days which
    message ids it has handled, and a repeated id would look like a duplicate delivery.
    """

    def __init__(self) -> None:
        self._run = secrets.token_bytes(6)
        self._count = itertools.count(1)
        self._media = itertools.count(secrets.randbelow(9 * 10**14) + 10**14)

    def message(self, wa_id: str) -> str:
        """A ``wamid.…``: base64 over bytes that hold the counterpart's id, as seen in real traffic."""
        raw = b"\x1d\x0b" + wa_id.encode() + b"\x15\x02" + self._run + next(self._count).to_bytes(6, "big")
        return "wamid." + base64.b64encode(raw).decode()

    def media(self) -> str:
        """Digits, as every media id."""
        return str(next(self._media))

    def trace(self) -> str:
        """An ``fbtrace_id``."""
        return "A" + base64.urlsafe_b64encode(self._run + next(self._count).to_bytes(9, "big")).decode().rstrip("=")


def business_scoped_id(wa_id: str, waba_id: str) -> str:
    """The BSUID of a person for one business: ``XX.`` and digits, the same every time."""
    country = {"1": "US", "4": "GB", "5": "BR", "3": "FR", "9": "IN", "2": "EG"}.get(wa_id[:1], "US")
    digest = hashlib.sha256(f"{waba_id}/{wa_id}".encode()).digest()
    return f"{country}.{int.from_bytes(digest[:9], 'big') % 10**20:020d}"
