"""Twilio's signatures of webhooks, written from its security page and not taken from its package."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence

Fields = Sequence[tuple[str, str]]


def sign(secret: str, url: str, fields: Fields, digest: str = "sha1") -> str:
    """Base64 of the HMAC over the address and every field's name and value, in the order of the names."""
    text = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), digest)).decode()


def headers(url: str, fields: Fields, *, auth_token: str, signing_key: str = "") -> dict[str, str]:
    """With a key of the account the newer signature, else the older one."""
    if not signing_key:
        return {"X-Twilio-Signature": sign(auth_token, url, fields)}
    return {
        "X-Twilio-Signature": sign(signing_key, url, fields, "sha256"),
        "X-Twilio-Webhooks-Signature-Settings": "key=webhooks_sharedkey_simulated,algorithm=HMAC_SHA256",
    }
