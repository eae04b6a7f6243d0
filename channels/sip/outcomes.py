"""What a refusal means, in the words that calls of every kind share."""

from __future__ import annotations

from typing import Final, Literal

from channels.audio import CarrierError

Status = Literal["busy", "no_answer", "failed", "canceled"]

_STATUS: Final[dict[int, Status]] = {486: "busy", 600: "busy", 480: "no_answer", 408: "no_answer", 487: "canceled"}
_WHY: Final = {
    404: "there is nobody at this number",
    484: "the number is not complete",
    604: "there is nobody at this number",
    403: "the trunk does not allow the call",
    401: "the trunk did not accept our user name and password",
    407: "the trunk did not accept our user name and password",
    488: "the trunk does not take sound as we send it",
    603: "they declined",
}


def outcome(status: int) -> Status:
    return _STATUS.get(status, "failed")


def why(status: int, reason: str) -> str:
    """A sentence without a full stop."""
    said = _WHY.get(status)
    return f"{said} ({status})" if said else f"the call was refused with {status} {ascii(reason)[1:-1][:60]}".strip()


def refused(what: str, status: int, reason: str) -> CarrierError:
    return CarrierError(f"{what}: {why(status, reason)}.", code=str(status))
