"""Twilio's error codes of calls, as sentences for whoever wanted the call.

Source: Twilio's error and warning dictionary. A decision rests on the code alone; texts and HTTP status change.
"""

from __future__ import annotations

from typing import Final

from channels.audio import CarrierError, Outcome
from channels.twilio.failures import ApiFailure, ApiRefusal

_TOKEN: Final = "Twilio does not accept the account and its auth token; check both"
_SUSPENDED: Final = "the Twilio account is suspended or closed"
_TO: Final = "the number is not one that can be called"
_COUNTRY: Final = "the account may not call this country; allow it in Twilio's console under Voice, Geo permissions"
_FROM: Final = "the account may not call from this number; buy it there, or verify it as a caller id"
_ADDRESS: Final = "Twilio refuses our addresses; set OMNI_PUBLIC_URL to a public https address"
_OFTEN: Final = "the account calls Twilio too often; try again in a moment"

REASONS: Final[dict[int, tuple[str, Outcome]]] = {
    10001: (_SUSPENDED, "failed"),
    10004: ("the account has as many calls at once as it may have", "failed"),
    13223: (_TO, "failed"),
    13224: (_TO, "failed"),
    13225: ("the number is blocked by Twilio", "rejected"),
    13226: (_TO, "failed"),
    13227: (_COUNTRY, "failed"),
    13214: (_FROM, "failed"),
    14107: (_OFTEN, "failed"),
    20002: (_TOKEN, "failed"),
    20003: (_TOKEN, "failed"),
    20005: (_SUSPENDED, "failed"),
    20429: (_OFTEN, "failed"),
    21201: ("no number to call was given", "failed"),
    21205: (_ADDRESS, "failed"),
    21208: (_ADDRESS, "failed"),
    21210: (_FROM, "failed"),
    21211: (_TO, "failed"),
    21212: (_FROM, "failed"),
    21213: (_FROM, "failed"),
    21214: ("the number cannot be reached", "failed"),
    21215: (_COUNTRY, "failed"),
    21216: ("the account may not call this number", "rejected"),
    21217: (_TO, "failed"),
    21219: ("a trial account may only call numbers that are verified", "failed"),
    21220: ("the call is over", "failed"),
    21234: ("Twilio refuses a value of answering machine detection", "failed"),
    21609: (_ADDRESS, "failed"),
}
OVER: Final = frozenset({20404, 21220})
"""The call is not there any more."""


def is_over(failure: ApiFailure) -> bool:
    """Whether a request failed only because its call has ended."""
    return isinstance(failure, ApiRefusal) and (failure.code in OVER or (failure.code is None and failure.http == 404))


def carrier_error(what: str, failure: ApiFailure) -> CarrierError:
    """`what` begins the sentence: `the call could not be placed`."""
    if not isinstance(failure, ApiRefusal):
        return CarrierError(f"{what}: {failure}")
    found = REASONS.get(failure.code) if failure.code is not None else None
    code = str(failure.code) if failure.code is not None else None
    if found is not None:
        return CarrierError(f"{what}: {found[0]} ({code}).", outcome=found[1], code=code)
    if failure.http == 401:
        return CarrierError(f"{what}: {_TOKEN}.", code=code)
    if failure.http == 429:
        return CarrierError(f"{what}: {_OFTEN}.", code=code)
    said = f" Twilio says: {failure.words}" if failure.words else ""
    return CarrierError(f"{what}: {failure}.{said}", code=code)
