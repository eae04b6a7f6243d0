"""How a request to a developer's server is signed, in both dialects.

HMAC-SHA256 in lower-case hex over the timestamp, a full stop and the exact bytes of the body. The key is the whole
secret as its owner sees it. A retry is signed anew: receivers refuse old timestamps. Sources: the AgentPhone client's
verifier for its dialect; omni's own has the same arithmetic under its own names.
"""

from __future__ import annotations

import hashlib
import hmac
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from pydantic import SecretStr

from omni.model.webhook import Dialect


def _version() -> str:
    try:
        return version("omni-server")
    except PackageNotFoundError:
        return "0"


USER_AGENT: Final = f"omni-webhooks/{_version()}"


def signature(secret: SecretStr, body: bytes, at: int) -> str:
    """The hexadecimal signature of `body` at the epoch second `at`."""
    key = secret.get_secret_value().encode()
    return hmac.new(key, b"%d." % at + body, hashlib.sha256).hexdigest()


def signed_headers(
    dialect: Dialect, secret: SecretStr | None, body: bytes, *, event: str, delivery: str, at: int
) -> dict[str, str]:
    """All headers of one attempt to deliver `body`, which must be sent as it is.

    `delivery` is the same at every attempt for one event: receivers know a repeat by it. `at` is the epoch second of
    this attempt. Without a secret there is no signature.
    """
    signed = signature(secret, body, at) if secret is not None else None
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
    match dialect:
        case "agentphone":
            headers |= {"X-Webhook-Timestamp": str(at), "X-Webhook-ID": delivery, "X-Webhook-Event": event}
            return headers if signed is None else headers | {"X-Webhook-Signature": f"sha256={signed}"}
        case "omni":
            headers |= {"Omni-Timestamp": str(at), "Omni-Delivery": delivery, "Omni-Event": event}
            return headers if signed is None else headers | {"Omni-Signature": signed}
