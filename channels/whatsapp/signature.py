"""Signatures: of webhooks (`X-Hub-Signature-256`), and of our own Graph calls (`appsecret_proof`).

Source: the Graph API's webhook and "secure requests" pages. The digest is HMAC-SHA256 over the body
exactly as received.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from typing import Final

HEADER: Final = "X-Hub-Signature-256"
_HEADER: Final = re.compile(r"sha256=([0-9a-f]{64})", re.ASCII)


class SignatureMissingError(Exception):
    """The request has no signature header."""


class SignatureWrongError(Exception):
    """The header is malformed, repeated, or signed with no secret that we know."""


def sign(secret: str, body: bytes) -> str:
    """The header's value for a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def appsecret_proof(secret: str, token: str) -> str:
    """What shows Graph that the caller of a token also knows the app secret."""
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()


def claimed_digest(values: Sequence[str]) -> bytes:
    """The digest that the header claims, as hex digits; to be checked before the body is read."""
    if not values:
        raise SignatureMissingError
    found = _HEADER.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        raise SignatureWrongError
    return found[1].encode()


class AppSecrets:
    """Every app secret we accept, with the key schedule of its HMAC done once."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._keyed = tuple(hmac.new(secret.encode(), digestmod=hashlib.sha256) for secret in secrets)

    def __len__(self) -> int:
        return len(self._keyed)

    def match(self, body: bytes, claimed: bytes) -> int:
        """The place of the secret that signed the body. Raises SignatureWrongError when none did."""
        for place, keyed in enumerate(self._keyed):
            attempt = keyed.copy()
            attempt.update(body)
            if hmac.compare_digest(attempt.hexdigest().encode(), claimed):
                return place
        raise SignatureWrongError
