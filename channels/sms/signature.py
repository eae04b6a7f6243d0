"""Twilio's signature of a webhook, checked with Twilio's own validator.

It is over the address that Twilio was told, which is made of the configured public one: what a request says about its
host is not trusted. Older signatures are HMAC-SHA1 under the account's auth token; a header names newer ones, which are
HMAC-SHA256 under a key of the account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from channels.sms.directory import Line
from channels.sms.form import Form
from omni.model.channel import SmsChannel

HEADER: Final = "X-Twilio-Signature"
SETTINGS_HEADER: Final = "X-Twilio-Webhooks-Signature-Settings"
_SHA1: Final = "HMAC_SHA1"
_SHA256: Final = "HMAC_SHA256"
_LONGEST: Final = 128


def signer(lines: Iterable[Line], url: str, form: Form, headers: Mapping[str, str]) -> Line | None:
    """The line whose secret signed this form for this address; None when none of them did."""
    from twilio.request_validator import get_signature_algorithm

    signature = headers.get(HEADER, "")
    algorithm = str(get_signature_algorithm(headers.get(SETTINGS_HEADER, "")[:1000])).upper()
    if not signature or len(signature) > _LONGEST or algorithm not in (_SHA1, _SHA256):
        return None
    for line in lines:
        for secret in _secrets(line.channel, algorithm):
            if _validator(secret).validate(url, form, signature, algorithm):
                return line
    return None


def _secrets(channel: SmsChannel, algorithm: str) -> list[str]:
    kept = (channel.signing_key,) if algorithm == _SHA256 else (channel.auth_token, channel.previous_auth_token)
    return [secret.get_secret_value() for secret in kept if secret is not None and secret.get_secret_value()]


@lru_cache(maxsize=256)
def _validator(secret: str) -> Any:
    from twilio.request_validator import RequestValidator

    return RequestValidator(secret)
