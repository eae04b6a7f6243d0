"""What a simulated account is made of, and how it behaves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


class SimulatorSettingsError(ValueError):
    """A setting that cannot work; the message names it, the value and the mend."""


class StatusPlan(BaseModel):
    """When the statuses of an accepted message are reported. Times are milliseconds after acceptance.

    ``auto`` reports queued, sent and delivered by itself, ``manual`` waits for the control API, ``none`` reports
    nothing. ``shuffle`` deals the times out at random; ``duplicates`` is the chance (0 to 1) that one is reported
    twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["auto", "manual", "none"] = "auto"
    queued_ms: int = Field(default=20, ge=0, le=600_000)
    sent_ms: int = Field(default=60, ge=0, le=600_000)
    delivered_ms: int = Field(default=180, ge=0, le=600_000)
    shuffle: bool = False
    duplicates: float = Field(default=0.0, ge=0.0, le=1.0)


class WebhookPlan(BaseModel):
    """How webhooks travel. ``duplicates`` is the chance that a message's POST is made twice; ``jitter_ms`` holds each
    POST back by a random time, which swaps their order; ``signature`` says what they are signed with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duplicates: float = Field(default=0.0, ge=0.0, le=1.0)
    jitter_ms: int = Field(default=0, ge=0, le=60_000)
    timeout_ms: int = Field(default=15_000, ge=1, le=600_000)
    signature: Literal["valid", "wrong", "missing"] = "valid"


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """One account with one number, and ``more_numbers`` that it can send from too. With a ``signing_key`` webhooks
    carry the newer HMAC-SHA256 signature. An empty ``webhook_url`` means that messages are recorded but posted nowhere;
    ``voice_url`` is asked about calls, and ``voice_status_url`` told when one is over.
    ``public_url`` is its own address in media links, when it is not the one it listens on. Secrets are left out of
    ``repr``."""

    webhook_url: str = ""
    voice_url: str = ""
    voice_status_url: str = ""
    account_sid: str = "AC" + "5" * 32
    auth_token: str = field(default="simulated-auth-token", repr=False)
    signing_key: str = field(default="", repr=False)
    number: str = "+12025550142"
    more_numbers: tuple[str, ...] = ()
    messaging_service_sid: str = "MG" + "7" * 32
    opt_out_type: bool = True
    statuses: StatusPlan = StatusPlan()
    webhooks: WebhookPlan = WebhookPlan()
    public_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8091
    seed: int = 1
    keep: int = 10_000

    def __post_init__(self) -> None:
        for name in ("webhook_url", "voice_url", "voice_status_url"):
            url = getattr(self, name)
            if url and urlsplit(url).scheme not in ("http", "https"):
                raise SimulatorSettingsError(
                    f"{name} '{url}' is not a web address; use http://host:port/path or leave it empty"
                )
        if _E164.fullmatch(self.number) is None:
            raise SimulatorSettingsError(f"number '{self.number}' is not E.164; write it as +12025550142")
        for name, value, start in (
            ("account_sid", self.account_sid, "AC"),
            ("messaging_service_sid", self.messaging_service_sid, "MG"),
        ):
            if re.fullmatch(f"{start}[0-9a-f]{{32}}", value) is None:
                raise SimulatorSettingsError(f"{name} '{value}' is not one; write {start} and 32 hex digits")
        if not self.auth_token:
            raise SimulatorSettingsError("auth_token is empty; give the same value to the server under test")
