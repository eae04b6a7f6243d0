"""Faults on demand: what goes wrong, for whom, how often.

A rule names a kind and, if wanted, whom it hits. Rules are tried in the order in which they were added; ``slow`` delays
and lets the next rule act, every other kind decides alone.

=================== ==========================================================================================
kind                what the client of the Graph API sees
=================== ==========================================================================================
window_closed       131047, at once or as a failed status (``Rules.window_failure``)
pair_rate_limited   400, code 131056
rate_limited        429, code 130429, with ``Retry-After`` when ``retry_after`` is given
server_error        500, code 131000
transient           503, code 2 (or ``code``), ``is_transient``
auth                401, code 190
permanent           400, code 131026
error               any ``code`` and ``http``
html_502            502 with an HTML body
garbage             200 with a body that is not JSON; the message is not accepted
slow                an answer ``ms`` later
hang                no answer until the client gives up
reset               the connection is reset before the message is accepted
accept_then_reset   the message is accepted and delivered, then the connection is reset: the ambiguous case
accept_then_hang    the message is accepted and delivered, then nothing: ambiguous as well
async_failure       200, then a ``failed`` status with ``code`` (131026 unless given)
wrong_digest        media: other bytes than the look-up promised
truncated           media: half of the promised bytes, then the connection ends
oversize            media: ``bytes`` bytes without Content-Length
expired_url         media: 404, as after five minutes
redirect_private    media: 302 to ``location``, an address of a private network
=================== ==========================================================================================
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import count
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from channels.whatsapp.simulator.errors import GraphError
from channels.whatsapp.simulator.ids import Json

FaultKind = Literal[
    "window_closed",
    "pair_rate_limited",
    "rate_limited",
    "server_error",
    "transient",
    "auth",
    "permanent",
    "error",
    "html_502",
    "garbage",
    "slow",
    "hang",
    "reset",
    "accept_then_reset",
    "accept_then_hang",
    "async_failure",
    "wrong_digest",
    "truncated",
    "oversize",
    "expired_url",
    "redirect_private",
]
FaultPlace = Literal["messages", "read", "upload", "lookup", "download", "number", "calls"]

FAULT_KINDS: tuple[str, ...] = get_args(FaultKind)
MEDIA_KINDS = frozenset({"wrong_digest", "truncated", "oversize", "expired_url", "redirect_private"})
SEND_KINDS = frozenset({"window_closed", "async_failure"})
UNCLEAR_KINDS = frozenset({"accept_then_reset", "accept_then_hang"})
REFUSALS = frozenset({"pair_rate_limited", "rate_limited", "server_error", "transient", "auth", "permanent", "error"})
ERROR_CODES: dict[str, int] = {
    "window_closed": 131047,
    "pair_rate_limited": 131056,
    "rate_limited": 130429,
    "server_error": 131000,
    "transient": 2,
    "auth": 190,
    "permanent": 131026,
    "error": 131000,
    "async_failure": 131026,
}


class FaultRule(BaseModel):
    """A fault to inject. Without ``to``, ``type`` and ``phone_number_id`` it hits everything at its place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    on: FaultPlace | None = Field(default=None, description="default: download for media kinds, else messages")
    to: str | None = Field(default=None, description="wa_id or BSUID of the recipient")
    type: str | None = Field(default=None, description="message type, such as text; of calls, the action")
    phone_number_id: str | None = None
    times: int | None = Field(default=1, ge=1, description="null: always")
    probability: float = Field(default=1.0, ge=0.0, le=1.0)
    code: int | None = None
    http: int | None = Field(default=None, ge=400, le=599)
    details: str = ""
    ms: int = Field(default=1_000, ge=0, le=600_000)
    retry_after: int | None = Field(default=None, ge=0)
    bytes: int = Field(default=200 * 1024 * 1024, ge=1)
    location: str = "http://169.254.169.254/latest/meta-data/"

    @model_validator(mode="after")
    def _fits_its_place(self) -> FaultRule:
        if self.kind in MEDIA_KINDS and self.on not in (None, "download"):
            raise ValueError(f"fault '{self.kind}' happens to media downloads; leave 'on' out or set it to 'download'")
        if self.kind in SEND_KINDS and self.on not in (None, "messages"):
            raise ValueError(f"fault '{self.kind}' happens to sends; leave 'on' out or set it to 'messages'")
        if self.kind in UNCLEAR_KINDS and self.on not in (None, "messages", "calls"):
            raise ValueError(f"fault '{self.kind}' happens to sends and calls; set 'on' to 'messages' or 'calls'")
        return self

    @property
    def place(self) -> FaultPlace:
        return self.on or ("download" if self.kind in MEDIA_KINDS else "messages")

    def error(self) -> GraphError:
        """The refusal this rule stands for. Only for kinds that have a code."""
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after is not None else None
        return GraphError(
            self.code if self.code is not None else ERROR_CODES[self.kind],
            self.details,
            http=self.http or (500 if self.kind == "server_error" else None),
            headers=headers,
        )


@dataclass(slots=True)
class Fault:
    """A rule in force."""

    id: int
    rule: FaultRule
    left: int | None
    applied: int = 0

    def as_json(self) -> Json:
        return {"id": self.id, "left": self.left, "applied": self.applied, **self.rule.model_dump(exclude_none=True)}


class Faults:
    """The rules in force. Chances are drawn from a seeded source, so a run can be repeated."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._ids = count(1)
        self._faults: list[Fault] = []
        self.applied: dict[str, int] = {}

    def add(self, rule: FaultRule) -> Fault:
        fault = Fault(next(self._ids), rule, rule.times)
        self._faults.append(fault)
        return fault

    def all(self) -> list[Fault]:
        return list(self._faults)

    def remove(self, fault_id: int) -> bool:
        kept = [fault for fault in self._faults if fault.id != fault_id]
        found = len(kept) < len(self._faults)
        self._faults = kept
        return found

    def clear(self) -> None:
        self._faults.clear()

    def take(
        self,
        place: FaultPlace,
        *,
        phone_number_id: str = "",
        recipients: tuple[str, ...] = (),
        kind_of_message: str = "",
    ) -> list[Fault]:
        """The faults that hit this request: any number of ``slow`` and then at most one other. Uses them up."""
        if not self._faults:
            return []
        hit: list[Fault] = []
        for fault in self._faults:
            rule = fault.rule
            if rule.place != place or not _concerns(rule, phone_number_id, recipients, kind_of_message):
                continue
            if rule.probability < 1.0 and self._random.random() >= rule.probability:
                continue
            hit.append(fault)
            fault.applied += 1
            self.applied[rule.kind] = self.applied.get(rule.kind, 0) + 1
            if fault.left is not None:
                fault.left -= 1
            if rule.kind != "slow":
                break
        if hit:
            self._faults = [fault for fault in self._faults if fault.left is None or fault.left > 0]
        return hit


def _concerns(rule: FaultRule, phone_number_id: str, recipients: tuple[str, ...], kind_of_message: str) -> bool:
    return (
        (rule.phone_number_id is None or rule.phone_number_id == phone_number_id)
        and (rule.to is None or rule.to.lstrip("+") in recipients)
        and (rule.type is None or rule.type == kind_of_message)
    )
