"""Whether a request really comes from omni: for whoever writes the server that omni asks and tells of events."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Final

from omni.sdk.errors import OmniError

TOLERANCE: Final = 300.0


class WebhookVerificationError(OmniError):
    """A request that must not be believed; the text says why. Answer it with 401 and do nothing."""


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secret: str,
    *,
    tolerance: float | None = TOLERANCE,
    now: float | None = None,
) -> None:
    """Returns when `body` (the exact bytes that came) was signed with `secret` at most `tolerance` seconds ago.

    `tolerance` None believes a signature of any age; `now` is epoch seconds, for tests. Raises
    WebhookVerificationError.
    """
    if not secret:
        raise ValueError("the secret is empty; take it from where the webhook was registered")
    given = {name.lower(): value for name, value in headers.items()}
    stamp, signature = given.get("omni-timestamp"), given.get("omni-signature")
    if stamp is None or signature is None:
        raise WebhookVerificationError(
            "the request is not signed: it has no Omni-Signature and Omni-Timestamp; give the webhook a secret"
        )
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise WebhookVerificationError("Omni-Timestamp is not a whole number of seconds")
    if tolerance is not None and abs((time.time() if now is None else now) - int(stamp)) > tolerance:
        raise WebhookVerificationError(
            f"the request was signed more than {tolerance:g} s ago (or a clock is wrong); it may be a repeat"
        )
    expected = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise WebhookVerificationError(
            "the signature is not this secret's over this body; verify the bytes as they came, before they are parsed"
        )
