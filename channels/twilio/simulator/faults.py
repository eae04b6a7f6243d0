"""Faults on demand: what goes wrong with the next messages that a server sends.

=================== ==========================================================================================
kind                what the client of the REST API sees
=================== ==========================================================================================
error               any ``code`` and ``http`` status
rate_limited        429, code 20429, with ``Retry-After`` when ``retry_after`` is given
server_error        500, code 20500; nothing was taken
html_502            502 with an HTML body
garbage             201 with a body that is not JSON; nothing was taken
slow                an answer ``ms`` later
hang                no answer until the client gives up; nothing was taken
reset               the connection is reset before the message is taken
accept_then_hang    the message is taken and delivered, then nothing: the ambiguous case
accept_then_reset   the message is taken and delivered, then the connection is reset: ambiguous as well
async_failure       201, then an ``undelivered`` status with ``code`` (30003 unless given)
=================== ==========================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

FaultKind = Literal[
    "error",
    "rate_limited",
    "server_error",
    "html_502",
    "garbage",
    "slow",
    "hang",
    "reset",
    "accept_then_hang",
    "accept_then_reset",
    "async_failure",
]
FAULT_KINDS: Final[tuple[str, ...]] = get_args(FaultKind)


class FaultRule(BaseModel):
    """A fault to inject; without ``to`` it hits whatever is sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    to: str | None = None
    times: int | None = Field(default=1, ge=1, description="null: always")
    code: int | None = None
    http: int = Field(default=400, ge=400, le=599)
    ms: int = Field(default=1_000, ge=0, le=600_000)
    retry_after: int | None = Field(default=None, ge=0)


@dataclass(slots=True)
class Fault:
    id: int
    rule: FaultRule
    left: int | None

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "left": self.left, **self.rule.model_dump(exclude_none=True)}


class Faults:
    """The rules in force, in the order in which they were added."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._faults: list[Fault] = []

    def add(self, rule: FaultRule) -> Fault:
        fault = Fault(next(self._ids), rule, rule.times)
        self._faults.append(fault)
        return fault

    def all(self) -> list[Fault]:
        return list(self._faults)

    def clear(self) -> None:
        self._faults.clear()

    def take(self, to: str) -> FaultRule | None:
        """The rule that hits a message to this number; uses it up."""
        for fault in self._faults:
            if fault.rule.to not in (None, to):
                continue
            if fault.left is not None:
                fault.left -= 1
                if fault.left == 0:
                    self._faults.remove(fault)
            return fault.rule
        return None
