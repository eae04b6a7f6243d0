"""Twilio's error codes by what a sender must do about them.

Source: Twilio's error and warning dictionary. A decision rests on the code alone; texts and HTTP status change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from channels.base import Action, RefusedError
from channels.twilio.failures import ApiFailure, ApiRefusal, NoAnswer
from omni.model.delivery import DeliveryError


@dataclass(frozen=True, slots=True)
class Remedy:
    """`code` is omni's word, `reason` a sentence for an operator. `retry_after` is in seconds."""

    action: Action
    code: str
    reason: str
    retry_after: float | None = None


_TRANSIENT = Remedy(Action.RETRY, "transient", "Twilio could not take the message for now.")
_TOKEN = Remedy(Action.STOP_TOKEN, "token_broken", "Twilio does not accept the account and its auth token; check both.")
_ACCOUNT = Remedy(Action.STOP_NUMBER, "account_locked", "The Twilio account is suspended or closed.")
_SLOW = Remedy(Action.SLOW_NUMBER, "rate_limited", "Too many messages in a short time.")
_SENDER = Remedy(
    Action.GIVE_UP, "setup", "The sender cannot send this: check that the number is the account's and can do SMS."
)
_SERVICE = Remedy(Action.GIVE_UP, "setup", "The messaging service does not exist or has no number to send from.")
_REGISTRATION = Remedy(Action.GIVE_UP, "registration_missing", "The number is not registered with the carriers yet.")
_INVALID = Remedy(Action.GIVE_UP, "invalid_message", "Twilio refused a field of the message.")
_NO_MOBILE = Remedy(Action.GIVE_UP, "undeliverable", "The number cannot receive text messages.")
_UNREACHABLE = Remedy(Action.GIVE_UP, "undeliverable", "The phone is off, out of reach or cannot receive messages.")
_NOBODY = Remedy(Action.GIVE_UP, "undeliverable", "The number is unknown or out of service.")
_FILTERED = Remedy(Action.GIVE_UP, "filtered", "The carrier took the message for unwanted and did not deliver it.")
_MEDIA = Remedy(Action.GIVE_UP, "media_rejected", "Twilio refused the file: check its type and size.")
_NO_MEDIA = Remedy(
    Action.GIVE_UP, "media_unavailable", "Twilio could not fetch the file from us: check OMNI_PUBLIC_URL."
)
_CALLBACK = Remedy(
    Action.GIVE_UP, "setup", "Twilio refuses the address for statuses; set OMNI_PUBLIC_URL to a public https address."
)
OPTED_OUT: Final = Remedy(
    Action.GIVE_UP, "opted_out", "The person wrote STOP: nothing may be sent to them until they write START."
)
UNKNOWN: Final = Remedy(Action.GIVE_UP, "unknown", "Twilio refused with a code that this release does not know.")

REMEDIES: Final[dict[int, Remedy]] = {
    # try again, or slow down
    20500: _TRANSIENT,
    20503: _TRANSIENT,
    20429: Remedy(Action.SLOW_NUMBER, "rate_limited", "The account calls Twilio too often."),
    14107: _SLOW,
    21611: Remedy(Action.SLOW_NUMBER, "rate_limited", "Twilio's queue of this number is full.", retry_after=30),
    30001: _SLOW,
    30022: Remedy(Action.SLOW_NUMBER, "rate_limited", "The carrier takes no more from this number for now."),
    30027: Remedy(Action.GIVE_UP, "daily_limit", "The carrier's daily limit for this brand is used up."),
    30410: Remedy(Action.RETRY, "transient", "The carrier did not answer in time."),
    # the account
    20002: _TOKEN,
    20003: _TOKEN,
    20004: _TOKEN,
    20006: _TOKEN,
    20008: _TOKEN,
    20403: _TOKEN,
    20005: _ACCOUNT,
    30002: _ACCOUNT,
    # our side of the message
    21212: _SENDER,
    21603: _SENDER,
    21606: _SENDER,
    21659: _SENDER,
    21660: _SENDER,
    21661: _SENDER,
    21701: _SERVICE,
    21703: _SERVICE,
    21704: _SERVICE,
    21705: _SERVICE,
    30032: _REGISTRATION,
    30034: _REGISTRATION,
    21609: _CALLBACK,
    21602: _INVALID,
    21604: _INVALID,
    21605: _INVALID,
    21617: Remedy(Action.GIVE_UP, "invalid_message", "The text is longer than the 1,600 characters that are taken."),
    21658: Remedy(Action.GIVE_UP, "invalid_message", "The text is longer than the 1,600 characters that are taken."),
    21619: _INVALID,
    21620: _NO_MEDIA,
    21623: _MEDIA,
    11200: _NO_MEDIA,
    11751: _MEDIA,
    12300: _MEDIA,
    30011: Remedy(Action.GIVE_UP, "media_rejected", "The person's carrier takes no pictures or files."),
    30019: _MEDIA,
    # the person
    21610: OPTED_OUT,
    21211: Remedy(Action.GIVE_UP, "no_address", "The recipient's number is not a phone number."),
    21217: Remedy(Action.GIVE_UP, "no_address", "The recipient's number is not a phone number."),
    21214: _NO_MOBILE,
    21408: Remedy(
        Action.GIVE_UP, "country_blocked", "The account may not write to this country; allow it in Twilio's console."
    ),
    21608: Remedy(Action.GIVE_UP, "not_allow_listed", "A trial account may only write to numbers that are verified."),
    21612: _NO_MOBILE,
    21614: _NO_MOBILE,
    21266: Remedy(Action.GIVE_UP, "recipient_is_sender", "The recipient is the business number itself."),
    30003: _UNREACHABLE,
    30004: Remedy(Action.GIVE_UP, "blocked", "The person or their carrier blocks messages from this number."),
    30005: _NOBODY,
    30006: _NO_MOBILE,
    30007: _FILTERED,
    30008: Remedy(Action.GIVE_UP, "undeliverable", "The carrier did not deliver the message and gave no reason."),
    30009: Remedy(Action.GIVE_UP, "undeliverable", "A part of the message got lost on its way."),
    30010: Remedy(Action.GIVE_UP, "price_limit", "The message would cost more than the account allows."),
}


def remedy(code: int | None, *, http: int = 400) -> Remedy:
    """What to do about a code; without a known one the answer's HTTP status decides."""
    found = REMEDIES.get(code) if code is not None else None
    if found is not None:
        return found
    if http == 401:
        return _TOKEN
    if http == 429:
        return REMEDIES[20429]
    return _TRANSIENT if http >= 500 or http == 408 else UNKNOWN


def refusal_of(failure: ApiFailure) -> RefusedError:
    """The exception for a request that came to nothing."""
    if isinstance(failure, NoAnswer):
        return RefusedError(
            str(failure),
            action=Action.RETRY,
            code="no_answer" if failure.written else "unreachable",
            is_unclear=failure.written and failure.may_act,
        )
    if not isinstance(failure, ApiRefusal):
        raise TypeError(f"{type(failure).__name__} is no failure of Twilio's API")
    return refusal(failure.code, failure.words, failure.http, retry_after=failure.retry_after, may_act=failure.may_act)


def refusal(
    code: int | None, said: str | None, http: int, *, retry_after: float | None = None, may_act: bool = True
) -> RefusedError:
    """The exception for an answer that is an error.

    Twilio's own errors below 500 say that nothing was taken, and so does 503; after another server error the message
    may have been taken all the same.
    """
    found = remedy(code, http=http)
    return RefusedError(
        _sentence(found, code, said),
        action=found.action,
        code=found.code,
        provider_code=code,
        retry_after=retry_after if retry_after is not None else found.retry_after,
        is_unclear=may_act and http >= 500 and http != 503,
    )


def delivery_error(code: int | None, status: str) -> DeliveryError:
    """The reason of a `failed`, `undelivered` or `canceled` status."""
    if status == "canceled":
        return DeliveryError(code="cancelled", reason="The message was cancelled at Twilio.", provider_code=code)
    if not code:
        return DeliveryError(code="undeliverable", reason="Twilio gave no reason.")
    found = REMEDIES.get(code, UNKNOWN)
    reason = found.reason if found is not UNKNOWN else "Not delivered, for a reason that this release does not know."
    return DeliveryError(code=found.code, reason=f"{reason.removesuffix('.')} ({code}).", provider_code=code)


def _sentence(found: Remedy, code: int | None, said: str | None) -> str:
    number = f" ({code})" if code is not None else ""
    return f"{found.reason.removesuffix('.')}{number}.{f' Twilio says: {said}' if said else ''}"
