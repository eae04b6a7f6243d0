"""What Twilio says about calls, typed: the fields of its forms, and the messages of a media stream.

Source: Twilio's references of the voice webhook, of call status callbacks, of answering machine detection and of Media
Streams' WebSocket messages. Field names of Twilio's appear here and in `twiml.py`, and nowhere else.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import pydantic_core

from channels.phone.directory import Line
from channels.phone.reception import CallProgress, IncomingCall, Progress, ReturnedCall
from channels.phone.twiml import TOKEN
from channels.twilio import form as read
from channels.twilio.form import Form

MOST_EXTRAS: Final = 64
_KNOWN: Final = frozenset(
    {
        *("CallSid", "AccountSid", "From", "To", "Caller", "Called", "CallStatus", "ApiVersion", "Direction"),
        *("CallerName", "ForwardedFrom", "StirVerstat", "CallToken"),
    }
)
_STATUSES: Final[Mapping[str, Progress]] = {
    "ringing": "ringing",
    "in-progress": "answered",
    "answered": "answered",
    "completed": "ended",
    "busy": "busy",
    "no-answer": "no-answer",
    "failed": "failed",
    "canceled": "canceled",
}
_UNREACHED: Final[Mapping[str, Literal["busy", "no-answer", "failed", "canceled"]]] = {
    "busy": "busy",
    "no-answer": "no-answer",
    "failed": "failed",
    "canceled": "canceled",
}
_CALL: Final = re.compile(r"CA[A-Za-z0-9]{2,62}", re.ASCII)
_KEYS: Final = frozenset("0123456789*#ABCD")


class OddFormError(Exception):
    """A form that cannot be acted on; the text is a short constant that says what is wrong with it."""


# forms


def account(form: Form) -> str:
    return form.get("AccountSid", "")


def called(form: Form) -> tuple[str, ...]:
    """Which number of ours an inbound call is for."""
    return (form.get("To", ""),)


def ours(form: Form) -> tuple[str, ...]:
    """Which of the two numbers may be ours, the likelier first: we call from it, or were called at it."""
    ends = (form.get("To", ""), form.get("From", ""))
    return ends[::-1] if form.get("Direction", "").startswith("outbound") else ends


def call_id(form: Form) -> str:
    """Raises OddFormError."""
    found = form.get("CallSid", "")
    if _CALL.fullmatch(found) is None:
        raise OddFormError("no call id")
    return found


def incoming(line: Line, form: Form) -> IncomingCall:
    """Raises OddFormError."""
    extras = {name[:128]: text for name in form if name not in _KNOWN and (text := read.label(form, name, 512))}
    return IncomingCall(
        org=line.org,
        agent=line.agent,
        channel=line.channel,
        call=call_id(form),
        from_=read.label(form, "From", 256) or "anonymous",
        to=line.channel.number,
        caller_name=read.label(form, "CallerName", 128),
        forwarded_from=read.label(form, "ForwardedFrom", 256),
        stir=read.label(form, "StirVerstat", 64),
        extras=dict(list(extras.items())[:MOST_EXTRAS]),
    )


def progress(line: Line, form: Form) -> CallProgress | None:
    """A status callback; None for a word without a meaning here: it must never end a call. Raises OddFormError."""
    call = call_id(form)
    word = form.get("CallStatus", "")[:32].strip().lower()
    status = _STATUSES.get(word)
    if status is None:
        return None
    code = read.whole(form, "ErrorCode") or read.whole(form, "SipResponseCode")
    return CallProgress(
        org=line.org,
        agent=line.agent,
        channel=line.channel,
        call=call,
        status=status,
        sequence=read.whole(form, "SequenceNumber"),
        code=str(code) if code else None,
        detail=word,
    )


def answered_by(line: Line, form: Form) -> CallProgress | None:
    """What answering machine detection found; None when it could not tell. Raises OddFormError."""
    call = call_id(form)
    word = read.word(form, "AnsweredBy")
    status: Progress | None = "human" if word == "human" else "machine" if word.startswith(("machine", "fax")) else None
    if status is None:
        return None
    return CallProgress(line.org, line.agent, line.channel, call, status, detail=word)


def joined(line: Line, form: Form) -> CallProgress | None:
    """Somebody answered to whom a caller is transferred; None for another word about them. Raises OddFormError."""
    call = form.get("ParentCallSid", "")
    if _CALL.fullmatch(call) is None:
        raise OddFormError("no id of the call that is transferred")
    word = form.get("CallStatus", "")[:32].strip().lower()
    if _STATUSES.get(word) != "answered":
        return None
    return CallProgress(line.org, line.agent, line.channel, call, "forwarded", detail=word)


def after(line: Line, form: Form) -> tuple[CallProgress, ReturnedCall | None]:
    """What became of a transfer, and the caller who is back when it reached nobody. Raises OddFormError."""
    call = call_id(form)
    word = form.get("DialCallStatus", "")[:32].strip().lower()
    why = _UNREACHED.get(word)
    code = read.whole(form, "DialSipResponseCode") or read.whole(form, "ErrorCode")
    told = CallProgress(
        org=line.org,
        agent=line.agent,
        channel=line.channel,
        call=call,
        status="forwarded" if why is None else "not_forwarded",
        code=str(code) if code else None,
        detail=word or None,
    )
    if why is None or form.get("CallStatus", "in-progress") not in ("in-progress", "ringing"):
        return told, None  # the two have spoken, or the caller has left meanwhile
    return told, ReturnedCall(line.org, line.agent, line.channel, call, why)


# the messages of a stream


@dataclass(frozen=True, slots=True)
class Start:
    """`encoding`, `rate` and `channels` are what the sound will be in; `token` is the parameter of our TwiML."""

    stream: str
    account: str
    call: str
    token: str
    encoding: str
    rate: int | None
    channels: int | None


class Media(NamedTuple):
    """µ-law sound of the caller. `stamp` is milliseconds since the stream began. A tuple, because it is made fifty
    times a second for each call."""

    stamp: int | None
    payload: bytes


@dataclass(frozen=True, slots=True)
class Digit:
    digit: str


@dataclass(frozen=True, slots=True)
class Mark:
    name: str


@dataclass(frozen=True, slots=True)
class Stop:
    pass


StreamMessage = Start | Media | Digit | Mark | Stop


def stream_message(raw: bytes) -> StreamMessage | None:
    """A text frame of Media Streams; None for what is none, or has no meaning here (`connected`, the other track)."""
    try:
        said = pydantic_core.from_json(raw, allow_inf_nan=False, cache_strings="keys")
        match said["event"]:
            case "media":
                media = said["media"]
                if media.get("track", "inbound") != "inbound":
                    return None
                return Media(whole(media.get("timestamp")), binascii.a2b_base64(media["payload"], strict_mode=True))
            case "mark":
                return Mark(str(said["mark"]["name"]))
            case "dtmf":
                digit = str(said["dtmf"]["digit"]).upper()
                return Digit(digit) if digit in _KEYS else None
            case "start":
                return _start(said)
            case "stop":
                return Stop()
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def _start(said: Mapping[str, Any]) -> Start | None:
    start = said["start"]
    form = start.get("mediaFormat") or {}
    stream = str(start.get("streamSid") or said.get("streamSid") or "")
    if re.fullmatch(r"[A-Za-z0-9]{2,64}", stream, re.ASCII) is None:
        return None
    return Start(
        stream=stream,
        account=str(start.get("accountSid", "")),
        call=str(start.get("callSid", "")),
        token=str((start.get("customParameters") or {}).get(TOKEN, "")),
        encoding=str(form.get("encoding", "")),
        rate=whole(form.get("sampleRate")),
        channels=whole(form.get("channels")),
    )


def whole(said: object) -> int | None:
    """A number, which Twilio writes as a text; None for what cannot be one."""
    try:
        number = int(said)  # type: ignore[call-overload]  # anything may come
    except (ValueError, TypeError, OverflowError):
        return None
    return number if 0 <= number < 10**12 else None
