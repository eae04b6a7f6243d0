"""How a channel is configured: what a person writes in `omni.yaml`, REST or the SDK."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, Self, TypeGuard

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SecretStr,
    SerializationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from omni.model.base import Config
from omni.model.behaviour import Overrides
from omni.model.call import SOUND, WHATSAPP_CALL
from omni.model.numbers import e164

REVEAL = {"secrets": "reveal"}
"""Serialisation context that writes secrets in clear: only a store's own file may be written with it."""


class WhatsAppChannel(Config):
    """One WhatsApp business number on the Cloud API.

    Rates are ours, below the platform's ceilings: `rate` messages a second for the number, and for one person
    `pair_burst` at once and one more every `pair_interval` seconds (0 switches the pair's limit off).
    """

    kind: Literal["whatsapp"] = "whatsapp"
    phone_number_id: str = Field(pattern=r"^[0-9]{1,32}$")
    access_token: SecretStr
    app_secret: SecretStr
    verify_token: SecretStr
    previous_app_secret: SecretStr | None = None
    """Accepted beside `app_secret` while a secret is being rotated."""
    app_secret_proof: bool = True
    waba_id: str | None = Field(default=None, pattern=r"^[0-9]{1,32}$")
    """When given, webhooks that name this number under another account are not acted on."""
    phone: str | None = None
    graph_version: str = Field(default="v26.0", pattern=r"^v\d{2}\.0$")
    rate: float = Field(default=60, gt=0, le=1000)
    pair_burst: int = Field(default=10, ge=1, le=45)
    pair_interval: float = Field(default=6, ge=0)
    read_receipts: bool = True
    closed_window_template: str | None = None
    """Template that is sent instead when the 24-hour window is closed, as `name/language`."""
    answer_groups: bool = False
    """What is written in groups is recorded in any case; only with this is it put to the bot."""
    calls: bool = False
    """People can call the number in WhatsApp, and be called (those who have allowed it)."""

    overrides: Overrides | None = None

    @property
    def id(self) -> str:
        return f"whatsapp:{self.phone_number_id}"

    @property
    def calls_id(self) -> str:
        """Where its calls take place, beside what is written: they have a log of their own."""
        return f"{WHATSAPP_CALL}:{self.phone_number_id}"

    @field_serializer("access_token", "app_secret", "verify_token", "previous_app_secret", when_used="json")
    def _secret(self, secret: SecretStr | None, context: SerializationInfo[Any]) -> str | None:
        return _shown(secret, context)


_ACCOUNT: Final = re.compile(r"AC[0-9a-fA-F]{32}", re.ASCII)
_SERVICE: Final = re.compile(r"MG[0-9a-fA-F]{32}", re.ASCII)


def _is_account(sid: str) -> str:
    if _ACCOUNT.fullmatch(sid) is None:
        raise ValueError(f"{sid[:40]!r} is not an account; write AC and 32 hex digits, as Twilio's console shows it")
    return sid


def _is_token(token: SecretStr) -> SecretStr:
    if not token.get_secret_value():
        raise ValueError("is empty; copy the account's auth token from Twilio's console")
    return token


AccountSid = Annotated[str, AfterValidator(_is_account)]
AuthToken = Annotated[SecretStr, AfterValidator(_is_token)]


class SmsChannel(Config):
    """One number, or one messaging service, of a Twilio account: SMS and MMS.

    With both, messages go out from the number with the service's features. `rate` is ours, in messages a second;
    Twilio queues what is faster than the number's own.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # it has secrets in it

    kind: Literal["sms"] = "sms"
    number: str | None = None
    messaging_service_sid: str | None = None
    account_sid: AccountSid
    auth_token: AuthToken
    previous_auth_token: SecretStr | None = None
    """Accepted beside `auth_token` in webhooks while a token is being rotated."""
    signing_key: SecretStr | None = None
    """Secret of the key that Twilio signs webhooks with, where the account has one (HMAC-SHA256)."""
    rate: float = Field(default=10, gt=0, le=1000)
    opt_out_words: bool = True
    """A message that is only STOP, START or a word like them counts as such also when Twilio does not say so."""
    overrides: Overrides | None = None

    @property
    def id(self) -> str:
        return f"sms:{self.number or self.messaging_service_sid}"

    @field_validator("number")
    @classmethod
    def _is_number(cls, number: str | None) -> str | None:
        return None if number is None else e164(number)

    @field_validator("messaging_service_sid")
    @classmethod
    def _is_service(cls, sid: str | None) -> str | None:
        if sid is not None and _SERVICE.fullmatch(sid) is None:
            raise ValueError(f"{sid[:40]!r} is not a messaging service; write MG and 32 hex digits, as Twilio shows it")
        return sid

    @model_validator(mode="after")
    def _has_sender(self) -> Self:
        if self.number is None and self.messaging_service_sid is None:
            raise ValueError("an sms channel has no sender; give it number, as +12025550142, or messaging_service_sid")
        return self

    @field_serializer("auth_token", "previous_auth_token", "signing_key", when_used="json")
    def _secret(self, secret: SecretStr | None, context: SerializationInfo[Any]) -> str | None:
        return _shown(secret, context)


def _shown(secret: SecretStr | None, context: SerializationInfo[Any]) -> str | None:
    if secret is None:
        return None
    return secret.get_secret_value() if context.context == REVEAL else "**********"


class ChatChannel(Config):
    """Web chat on the agent's own page."""

    kind: Literal["chat"] = "chat"
    overrides: Overrides | None = None

    @property
    def id(self) -> str:
        return "chat"


class PhoneChannel(Config):
    """A phone number, E.164 with `+`, whose calls go through Twilio. `ringing`: the agent's program decides whether a
    call is answered.

    The account may be left out where the server knows it: from an SMS channel of the same number, or from its own
    settings (`channels.twilio.account`). A program names its numbers without secrets.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # it has secrets in it

    kind: Literal["phone"] = "phone"
    number: str = Field(pattern=r"^\+[1-9][0-9]{5,14}$")
    ringing: bool = False
    trunk: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    """The SIP trunk that its calls go through instead of Twilio."""
    account_sid: AccountSid | None = None
    auth_token: AuthToken | None = None
    previous_auth_token: SecretStr | None = None
    """Accepted beside `auth_token` in webhooks while a token is being rotated."""
    signing_key: SecretStr | None = None
    """Secret of the key that Twilio signs webhooks with, where the account has one (HMAC-SHA256)."""
    overrides: Overrides | None = None

    @property
    def id(self) -> str:
        return f"phone:{self.number}"

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        if (self.account_sid is None) != (self.auth_token is None):
            raise ValueError("a phone channel with an account needs both account_sid and auth_token")
        return self

    @field_serializer("auth_token", "previous_auth_token", "signing_key", when_used="json")
    def _secret(self, secret: SecretStr | None, context: SerializationInfo[Any]) -> str | None:
        return _shown(secret, context)


class SipChannel(Config):
    """A SIP address, `sip:user@host`."""

    kind: Literal["sip"] = "sip"
    uri: str = Field(pattern=r"^sips?:[^\s@]+@[^\s@]+$")
    ringing: bool = False
    trunk: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    """The trunk that its calls go through; without it the one with this domain, or the only one."""
    overrides: Overrides | None = None

    @property
    def id(self) -> str:
        return f"sip:{self.uri.partition(':')[2]}"


class WebRtcChannel(Config):
    """Calls from a browser."""

    kind: Literal["webrtc"] = "webrtc"
    overrides: Overrides | None = None

    @property
    def id(self) -> str:
        return "webrtc"


class MicChannel(Config):
    """The microphone of the machine the agent's program runs on."""

    kind: Literal["mic"] = "mic"
    overrides: Overrides | None = None

    @property
    def id(self) -> str:
        return "mic"


Channel = Annotated[
    WhatsAppChannel | SmsChannel | ChatChannel | PhoneChannel | SipChannel | WebRtcChannel | MicChannel,
    Field(discriminator="kind"),
]


_WITHOUT_ACCOUNT: dict[str, Channel] = {one.id: one for one in (ChatChannel(), WebRtcChannel(), MicChannel())}


def written_id(channel_id: str) -> str:
    """The channel that an id of calls belongs to: a WhatsApp number is configured once. Any other id is its own."""
    transport, _, account = channel_id.partition(":")
    return f"whatsapp:{account}" if transport == WHATSAPP_CALL else channel_id


def takes_calls(channel: Channel) -> bool:
    """Whether people can speak on it."""
    return channel.calls if isinstance(channel, WhatsAppChannel) else channel.kind in SOUND


CallingChannel = PhoneChannel | SipChannel | WhatsAppChannel
"""Channels that people can be called from."""


def can_dial(channel: Channel) -> TypeGuard[CallingChannel]:
    return takes_calls(channel) and isinstance(channel, PhoneChannel | SipChannel | WhatsAppChannel)


def calls_of(channel: CallingChannel) -> str:
    """The channel that its calls are on."""
    return channel.calls_id if isinstance(channel, WhatsAppChannel) else channel.id


def shown_as(channel: CallingChannel) -> str:
    """What those who are called see, as far as we know it."""
    match channel:
        case PhoneChannel():
            return channel.number
        case SipChannel():
            return channel.uri
        case WhatsAppChannel():
            return channel.phone or channel.phone_number_id


def has_account(channel_id: str) -> bool:
    """An account (a number, an address) belongs to one agent; a channel without one is each agent's own."""
    return channel_id not in _WITHOUT_ACCOUNT


def own_channel(channels: Iterable[Channel], channel_id: str) -> Channel | None:
    """An agent's channel by its id, or by its calls' id. One without an account every agent has, declared or not."""
    declared = next((channel for channel in channels if channel.id == written_id(channel_id)), None)
    return declared or _WITHOUT_ACCOUNT.get(channel_id)
