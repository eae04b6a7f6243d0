"""Twilio's signature of a request to us, checked with Twilio's own validator.

It is over the address that Twilio was told, which is made of the configured public one: what a request says about its
host is not trusted. Older signatures are HMAC-SHA1 under the account's auth token; a header names newer ones, which are
HMAC-SHA256 under a key of the account. The upgrade of a WebSocket is signed like a form without fields, over the
address with `wss`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

from channels.twilio.account import Account
from channels.twilio.form import Form

HEADER: Final = "X-Twilio-Signature"
SETTINGS_HEADER: Final = "X-Twilio-Webhooks-Signature-Settings"
_SHA1: Final = "HMAC_SHA1"
_SHA256: Final = "HMAC_SHA256"
_LONGEST: Final = 128


class Signed(Protocol):
    """A number or service whose account signs."""

    @property
    def account(self) -> Account: ...


S = TypeVar("S", bound=Signed)


def signer(lines: Iterable[S], url: str, form: Form, headers: Mapping[str, str]) -> S | None:
    """The line whose secret signed this form for this address; None when none of them did. An upgrade has no form."""
    from twilio.request_validator import get_signature_algorithm

    signature = headers.get(HEADER, "")
    algorithm = str(get_signature_algorithm(headers.get(SETTINGS_HEADER, "")[:1000])).upper()
    if not signature or len(signature) > _LONGEST or algorithm not in (_SHA1, _SHA256):
        return None
    for line in lines:
        for secret in _secrets(line.account, algorithm):
            if _validator(secret).validate(url, form, signature, algorithm):
                return line
    return None


def _secrets(account: Account, algorithm: str) -> list[str]:
    kept = (account.signing_key,) if algorithm == _SHA256 else (account.auth_token, account.previous_auth_token)
    return [secret.get_secret_value() for secret in kept if secret is not None and secret.get_secret_value()]


@lru_cache(maxsize=256)
def _validator(secret: str) -> Any:
    from twilio.request_validator import RequestValidator

    return RequestValidator(secret)
