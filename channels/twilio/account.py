"""An account at Twilio, and where a phone number's account is known from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from pydantic import SecretStr

from omni.model.channel import Channel, PhoneChannel, SmsChannel


@dataclass(frozen=True, slots=True)
class Account:
    """What proves that a request is the account's, and ours to it. Secrets are left out of `repr`."""

    sid: str
    auth_token: SecretStr
    previous_auth_token: SecretStr | None = None
    signing_key: SecretStr | None = None

    @classmethod
    def of(cls, channel: Channel) -> Self | None:
        """The account that a channel was given itself."""
        if not isinstance(channel, SmsChannel | PhoneChannel) or channel.account_sid is None:
            return None
        if channel.auth_token is None:
            return None
        return cls(channel.account_sid, channel.auth_token, channel.previous_auth_token, channel.signing_key)


def account_of(number: str, channels: Iterable[Channel]) -> Account | None:
    """The account of the first channel that has this number and names one. Whose channels may be asked is the caller's
    decision: anybody may name a number as theirs."""
    for channel in channels:
        if getattr(channel, "number", None) == number and (found := Account.of(channel)) is not None:
            return found
    return None
