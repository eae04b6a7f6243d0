"""Channels as programs describe them: a type, and a number or account as somebody typed it."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from omni.gateway.client.configs.agent import overrides_of
from omni.gateway.client.configs.reading import ConfigError
from omni.gateway.client.frames import ChannelAdd
from omni.model.behaviour import Overrides
from omni.model.channel import (
    Channel,
    ChatChannel,
    MicChannel,
    PhoneChannel,
    SipChannel,
    SmsChannel,
    WebRtcChannel,
    WhatsAppChannel,
)

log = logging.getLogger("omni.client")

VERIFY_TOKEN: Final = "pinecall-wa-verify"
"""What programs expect a WhatsApp number's verify token to be when they name none."""

_TYPED: Final = re.compile(r"[\s().-]+")
_SIP: Final = ("sip:", "sips:")

ChannelT = TypeVar("ChannelT", bound=BaseModel)


def number_of(ref: str) -> str:
    """A phone number as typed, as E.164: `(34) 911-222 333` is `+34911222333`."""
    return f"+{_TYPED.sub('', ref).removeprefix('+').removeprefix('00')}"


def ids_of(ref: str) -> frozenset[str]:
    """The ids of all channels that `ref` may mean: a number, an account, an address, or the name of a kind."""
    bare = ref.strip()
    address = bare.partition(":")[2] if bare.startswith(_SIP) else bare
    number = number_of(bare)
    return frozenset({bare, f"phone:{number}", f"sms:{number}", f"sip:{address}", f"whatsapp:{bare}"})


def channel_of(frame: ChannelAdd, known: Sequence[Channel]) -> Channel | None:
    """The channel that a command describes, beside those the agent has. None for a WhatsApp number without credentials
    of which none are known. Raises ConfigError."""
    overrides = overrides_of(frame.config)
    given: dict[str, Any] = {"overrides": None if overrides == Overrides() else overrides}
    match frame.type:
        case "chat":
            return ChatChannel(**given)
        case "webrtc":
            return WebRtcChannel(**given)
        case "mic":
            return MicChannel(**given)
        case "whatsapp":
            return _whatsapp(frame, known, given)
        case "sms":
            return _sms(frame, known, given)
    ref = (frame.ref or "").strip()
    if ref.startswith(_SIP):
        return _made(SipChannel, {**given, "uri": ref, "ringing": frame.ringing}, "write sip:user@host")
    return _phone(number_of(ref), frame, known, given)


def _phone(number: str, frame: ChannelAdd, known: Sequence[Channel], given: Mapping[str, Any]) -> PhoneChannel:
    """Whose account a number is on is not a program's to say: what is known of that stays."""
    was = next((channel for channel in known if isinstance(channel, PhoneChannel) and channel.number == number), None)
    said = {**given, "ringing": frame.ringing}
    if was is not None:
        return was.model_copy(update=said)
    return _made(PhoneChannel, {**said, "number": number}, "write a number with its country, like +34911222333")


def _whatsapp(frame: ChannelAdd, known: Sequence[Channel], given: Mapping[str, Any]) -> WhatsAppChannel | None:
    """What is not said stays as it was."""
    ref = (frame.ref or "").strip()
    ours = [channel for channel in known if isinstance(channel, WhatsAppChannel)]
    was = next((channel for channel in ours if not ref or channel.phone_number_id == ref), None)
    named = {"access_token": frame.access_token, "verify_token": frame.verify_token, "app_secret": frame.app_secret}
    said: dict[str, Any] = {name: SecretStr(value) for name, value in named.items() if value is not None}
    if frame.phone:
        said["phone"] = frame.phone
    if was is not None:
        return was.model_copy(update={**given, **said})
    if not ref or frame.access_token is None:
        return None
    blank = {"verify_token": SecretStr(VERIFY_TOKEN), "app_secret": SecretStr("")}
    if frame.app_secret is None:
        log.warning("WhatsApp number %s has no app secret: its webhooks are refused until it is given", ref[:32])
        said["app_secret_proof"] = False
    number = {**given, **blank, **said, "phone_number_id": ref}
    return _made(WhatsAppChannel, number, "write the phone number's id, which is digits only")


def _sms(frame: ChannelAdd, known: Sequence[Channel], given: Mapping[str, Any]) -> SmsChannel:
    """A number that the agent has already: its account is not a program's to name."""
    number = number_of((frame.ref or "").strip())
    was = next((channel for channel in known if isinstance(channel, SmsChannel) and channel.number == number), None)
    if was is None:
        raise ConfigError(
            f"an sms number needs its Twilio account: give {number[:32]} to this agent in omni.yaml first"
        )
    return was.model_copy(update=dict(given))


def _made(kind: type[ChannelT], given: Mapping[str, Any], mend: str) -> ChannelT:
    try:
        return kind(**given)
    except ValidationError:
        raise ConfigError(f"`ref` is not right; {mend}") from None
