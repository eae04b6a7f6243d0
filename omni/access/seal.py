"""Sealing: a small JSON object that anybody may carry, and only we can have written.

A sealed text is `<prefix><payload>.<mac>`, both parts base64url without padding, so it may stand in a URL as it is.
The HMAC-SHA-256 is over prefix and payload: what was sealed as one thing never opens as another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from typing import Final

from pydantic import JsonValue

from omni.model.access import Lease
from omni.model.ids import new_id
from omni.store.base import Store

LONGEST: Final = 16_384
"""Characters of what may be a sealed text at all."""

SECRET_LEASE: Final = "secret:seal"
_FOR_GOOD: Final = 100 * 365 * 86_400.0


class Sealer:
    """Seals with `secret`; opens what was sealed with it or with `previous`, while a secret is being changed."""

    def __init__(self, secret: str, previous: str | None = None) -> None:
        self._secrets = [each.encode("utf-8", "surrogatepass") for each in (secret, previous) if each]

    def seal(self, prefix: str, payload: dict[str, JsonValue]) -> str:
        body = prefix + _text(json.dumps(payload, separators=(",", ":")).encode())
        return f"{body}.{_mac(self._secrets[0], body)}"

    def unseal(self, prefix: str, sealed: str) -> dict[str, JsonValue] | None:
        """The payload; None when it is not ours, not of this prefix, or not as it was."""
        if len(sealed) > LONGEST or not sealed.isascii() or not sealed.startswith(prefix):
            return None
        body, _, mac = sealed.rpartition(".")
        matches = [hmac.compare_digest(_mac(secret, body), mac) for secret in self._secrets]
        return _payload(body.removeprefix(prefix)) if any(matches) else None


def _mac(secret: bytes, body: str) -> str:
    return _text(hmac.digest(secret, body.encode(), hashlib.sha256))


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _payload(text: str) -> dict[str, JsonValue] | None:
    try:
        payload = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        return None
    return payload if isinstance(payload, dict) else None


async def kept_secret(store: Store, now: float) -> str:
    """The installation's own secret, made by whichever process needs it first. Raises StoreError.

    It is kept in the store because that is what all processes share already: a file would be another one on every
    machine. A lease that never runs out decides which of several newcomers made it. The store holds the channels'
    access tokens as well, so whoever can read it gains nothing more.
    """
    made = Lease(
        name=SECRET_LEASE, holder=new_id("secret"), until=now + _FOR_GOOD, data={"secret": secrets.token_urlsafe(32)}
    )
    kept = await store.take_lease(made, now=now)
    return str(kept.data["secret"])
