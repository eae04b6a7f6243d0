"""The platform's error codes by what a sender must do about them.

Source: the Cloud API's error code reference. A decision rests on the code alone; titles, texts and HTTP status change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from channels.base import Action, RefusedError
from channels.whatsapp.reading import Json, items, label, mapping, whole
from omni.model.delivery import DeliveryError


@dataclass(frozen=True, slots=True)
class Remedy:
    """`code` is omni's word, `reason` a sentence for an operator. `retry_after` is in seconds."""

    action: Action
    code: str
    reason: str
    retry_after: float | None = None
    max_retries: int | None = None


_TRANSIENT = Remedy(Action.RETRY, "transient", "WhatsApp could not take the message for now.")
_THROTTLED = Remedy(Action.SLOW_NUMBER, "app_rate_limited", "The app or the account calls the Graph API too often.")
_INVALID = Remedy(Action.GIVE_UP, "invalid_message", "WhatsApp refused a field of the message.")
_TEMPLATE_PARAMETERS = Remedy(
    Action.GIVE_UP, "template_parameters", "The template's parameters differ from those that were approved."
)
_TEMPLATE_UNUSABLE = Remedy(
    Action.STOP_TEMPLATE, "template_unusable", "The template is paused, disabled or not eligible."
)
_FLOW = Remedy(Action.GIVE_UP, "flow_unusable", "The flow is blocked or throttled.")
_TOKEN = Remedy(
    Action.STOP_TOKEN, "token_broken", "The access token is expired, revoked or lacks a permission; make a new one."
)
_PAYMENT = Remedy(Action.STOP_NUMBER, "payment_missing", "The account's payment method is missing or refused.")
_SETUP = Remedy(Action.GIVE_UP, "setup", "A set-up step of the number or account is missing or refused.")
_CALLING = Remedy(Action.GIVE_UP, "calling", "The call could not be set up.")
_NO_CALL: Final[dict[int, str]] = {
    138000: "Calls are off for the number: switch them on in its settings at WhatsApp.",
    138001: "The person cannot be called: they have no WhatsApp, or an old one.",
    138003: "A call with this person goes on already.",
    138006: "The person has not allowed calls: send them a call_permission_request and wait for their answer, or let "
    "them call first.",
    138009: "The person was asked for permission to call too often: at most once in 24 hours and twice in 7 days.",
    138012: "The person was called too often in 24 hours.",
    138013: "The number cannot call anybody: WhatsApp does not offer it in its country. People can call it.",
    138014: "WhatsApp has stopped the number's calls, because too few are taken or people complain.",
    138015: "The account may not call yet: its messaging limit is too low.",
    138017: "The person has allowed calls for good: there is nothing to ask.",
    138018: "Calls need the app to be subscribed to the field calls.",
    138021: "The person's WhatsApp heard nothing of us: let UDP out to WhatsApp.",
    138023: "The call was taken, and nothing was heard of us: let UDP out to WhatsApp.",
}
"""Of calls, what is wrong and what to do. The other codes say no more than that it did not work."""
UNKNOWN = Remedy(Action.GIVE_UP, "unknown", "WhatsApp refused with a code that this release does not know.")

REMEDIES: Final[dict[int, Remedy]] = {
    # A: try again
    1: _TRANSIENT,
    2: _TRANSIENT,
    131000: _TRANSIENT,
    131016: _TRANSIENT,
    133004: _TRANSIENT,
    131057: Remedy(Action.RETRY, "maintenance", "The number is in maintenance for up to a minute.", retry_after=15),
    135000: Remedy(Action.RETRY, "generic", "WhatsApp refused the message without a reason.", max_retries=1),
    134101: Remedy(Action.RETRY, "template_syncing", "The template is still being synchronised.", retry_after=600),
    # B: slow down
    131056: Remedy(Action.SLOW_PAIR, "pair_rate_limited", "Too many messages to this person in a short time."),
    130429: Remedy(Action.SLOW_NUMBER, "rate_limited", "The number sends more than its throughput allows."),
    4: _THROTTLED,
    17: _THROTTLED,
    32: _THROTTLED,
    341: _THROTTLED,
    613: _THROTTLED,
    80007: _THROTTLED,
    131048: Remedy(
        Action.STOP_TEMPLATE, "spam_limited", "The number is limited because people blocked or reported its messages."
    ),
    131064: Remedy(Action.STOP_TEMPLATE, "template_misuse", "The account may not send templates for now."),
    133016: Remedy(Action.GIVE_UP, "registration_limited", "The number was registered too often in 72 hours."),
    # C: the window is closed
    131047: Remedy(
        Action.WINDOW_CLOSED, "window_closed", "More than 24 hours have passed since the person last wrote."
    ),
    # D: permanent for this message or person
    131026: Remedy(Action.GIVE_UP, "undeliverable", "The person cannot be reached on WhatsApp."),
    131021: Remedy(Action.GIVE_UP, "recipient_is_sender", "The recipient is the business number itself."),
    131030: Remedy(Action.GIVE_UP, "not_allow_listed", "A test number may only write to the numbers on its list."),
    130403: Remedy(Action.GIVE_UP, "blocked", "We blocked this person."),
    131051: Remedy(Action.GIVE_UP, "unsupported_message", "WhatsApp does not support this kind of message."),
    131052: Remedy(Action.GIVE_UP, "media_unavailable", "The file cannot be had from WhatsApp; ask for it again."),
    131053: Remedy(Action.GIVE_UP, "media_rejected", "WhatsApp refused the file: check its type, size and link."),
    100: _INVALID,
    131008: _INVALID,
    131009: _INVALID,
    33: Remedy(Action.GIVE_UP, "number_unknown", "The phone number id is gone, or the token may not see it."),
    131062: Remedy(Action.GIVE_UP, "phone_needed", "This message cannot go to a person whose number is hidden."),
    137000: Remedy(Action.GIVE_UP, "identity_changed", "The person's security key changed: confirm who they are."),
    132000: _TEMPLATE_PARAMETERS,
    132005: _TEMPLATE_PARAMETERS,
    132008: _TEMPLATE_PARAMETERS,
    132012: _TEMPLATE_PARAMETERS,
    132018: _TEMPLATE_PARAMETERS,
    132001: Remedy(Action.GIVE_UP, "template_missing", "There is no approved template of this name in this language."),
    132068: _FLOW,
    132069: _FLOW,
    # E: the template cannot be used
    132007: _TEMPLATE_UNUSABLE,
    132015: _TEMPLATE_UNUSABLE,
    132016: _TEMPLATE_UNUSABLE,
    131063: _TEMPLATE_UNUSABLE,
    131055: _TEMPLATE_UNUSABLE,
    134100: _TEMPLATE_UNUSABLE,
    134102: _TEMPLATE_UNUSABLE,
    # F: marketing is refused
    131049: Remedy(
        Action.STOP_MARKETING, "marketing_capped", "WhatsApp holds marketing to this person back.", retry_after=86_400
    ),
    131050: Remedy(Action.STOP_MARKETING, "marketing_opt_out", "The person stopped marketing messages."),
    130472: Remedy(Action.STOP_MARKETING, "marketing_experiment", "The person is in an experiment without marketing."),
    # G: the token is broken
    0: _TOKEN,
    3: _TOKEN,
    10: _TOKEN,
    104: Remedy(Action.STOP_TOKEN, "token_broken", "The app secret proof is missing or wrong: check app_secret."),
    190: _TOKEN,
    131005: _TOKEN,
    **dict.fromkeys(range(200, 300), _TOKEN),
    # H: the account or number is stopped
    368: Remedy(Action.STOP_NUMBER, "policy_blocked", "The account is blocked for a breach of policy."),
    131031: Remedy(Action.STOP_NUMBER, "account_locked", "The account is locked."),
    131042: _PAYMENT,
    131044: _PAYMENT,
    131045: Remedy(Action.STOP_NUMBER, "registration_broken", "The registration is broken; register the number again."),
    131037: Remedy(Action.STOP_NUMBER, "name_not_approved", "The number's display name is not approved yet."),
    133010: Remedy(Action.STOP_NUMBER, "not_registered", "The number is not registered for the Cloud API yet."),
    134011: Remedy(Action.STOP_NUMBER, "payment_terms", "The payment terms are not accepted."),
    130497: Remedy(Action.GIVE_UP, "country_blocked", "The account may not write to people in this country."),
    # I: set-up calls
    **dict.fromkeys((133000, 133005, 133006, 133008, 133009, 133015, 131020, 131041, 131059), _SETUP),
    **dict.fromkeys((*range(131201, 131216), *range(139000, 139005), *range(139100, 139104)), _SETUP),
    **dict.fromkeys((*range(147001, 147006), *range(2593107, 2593110)), _SETUP),
    # J: calling
    **dict.fromkeys(range(138000, 138024), _CALLING),
    **{code: Remedy(Action.GIVE_UP, "calling", why) for code, why in _NO_CALL.items()},
}

_VAGUE: Final = frozenset({1, 2, 100, 131000, 135000})
"""Codes that say less than any other: of several errors, one of these decides last."""


def remedy(code: int | None, *, subcode: int | None = None, http: int = 400, is_transient: bool = False) -> Remedy:
    """What to do about a code. An unknown one is tried again after a server error, and final otherwise."""
    if code == 100 and subcode == 33:
        return REMEDIES[33]
    found = REMEDIES.get(code) if code is not None else None
    if found is not None and not (is_transient and found is _INVALID):
        return found
    return _TRANSIENT if http >= 500 or is_transient else UNKNOWN


@dataclass(frozen=True, slots=True)
class Complaint:
    """One error as the platform tells it. `details` is its text, bounded and on one line."""

    code: int | None
    subcode: int | None = None
    details: str | None = None
    is_transient: bool = False
    trace: str | None = None

    @classmethod
    def read(cls, error: Json) -> Complaint:
        """From an `error` of an answer, or one of the `errors` of a webhook."""
        specifics = error.get("error_data")
        details = label(mapping(specifics).get("details") or specifics or error.get("details"), 300)
        return cls(
            code=whole(error.get("code")),
            subcode=whole(error.get("error_subcode")),
            details=details or label(error.get("message"), 300) or label(error.get("title"), 300),
            is_transient=error.get("is_transient") is True,
            trace=label(error.get("fbtrace_id"), 64),
        )


def weightiest(complaints: Iterable[Complaint]) -> Complaint | None:
    """The complaint that decides: a known, specific code before a vague one before an unknown one."""

    def rank(complaint: Complaint) -> int:
        if complaint.code is None:
            return 3
        return 2 if complaint.code not in REMEDIES else 1 if complaint.code in _VAGUE else 0

    return min(complaints, key=rank, default=None)


def delivery_error(errors: object) -> DeliveryError:
    """The reason of a `failed` status."""
    worst = weightiest(Complaint.read(error) for error in items(errors) if type(error) is dict)
    if worst is None:
        return DeliveryError(code="failed", reason="WhatsApp gave no reason.")
    found = remedy(worst.code)
    return DeliveryError(code=found.code, reason=_sentence(found, worst), provider_code=worst.code)


def refusal(complaint: Complaint, http: int, *, retry_after: float | None = None) -> RefusedError:
    """The exception for an error answer that Graph itself wrote.

    Such an answer says that the message was not taken, whatever its status. Only code 1 ("unknown error") and a server
    error without a code leave that open.
    """
    found = remedy(complaint.code, subcode=complaint.subcode, http=http, is_transient=complaint.is_transient)
    return RefusedError(
        _sentence(found, complaint),
        action=found.action,
        code=found.code,
        provider_code=complaint.code,
        retry_after=retry_after if retry_after is not None else found.retry_after,
        is_unclear=http >= 500 and complaint.code in (None, 1) and not complaint.is_transient,
        max_retries=found.max_retries,
    )


def _sentence(found: Remedy, complaint: Complaint) -> str:
    number = f" ({complaint.code})" if complaint.code is not None else ""
    said = f" WhatsApp says: {complaint.details}" if complaint.details else ""
    trace = f" [fbtrace_id {complaint.trace}]" if complaint.trace else ""
    return f"{found.reason.removesuffix('.')}{number}.{said}{trace}"
