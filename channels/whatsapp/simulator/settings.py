"""What a simulated WhatsApp Business Account is made of, and how it behaves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field


class SimulatorSettingsError(ValueError):
    """A setting that cannot work; the message names it, the value and the mend."""


class StatusPlan(BaseModel):
    """When the statuses of an accepted message are reported. Times are milliseconds after acceptance.

    ``auto`` reports sent, delivered and read by itself, ``manual`` waits for the control API, ``none`` reports nothing
    but failures. ``shuffle`` deals the times out at random, so that ``read`` may come before ``sent``; ``duplicates``
    is the chance (0 to 1) that a status is reported twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["auto", "manual", "none"] = "auto"
    sent_ms: int = Field(default=60, ge=0, le=600_000)
    delivered_ms: int = Field(default=180, ge=0, le=600_000)
    read_ms: int | None = Field(default=900, ge=0, le=600_000, description="null: the user hides read receipts")
    shuffle: bool = False
    duplicates: float = Field(default=0.0, ge=0.0, le=1.0)


class WebhookPlan(BaseModel):
    """How webhooks travel, faults of the network included. Times are milliseconds.

    ``duplicates`` is the chance that a POST is made twice. With ``batch_max`` above 1, updates that arrive within
    ``batch_ms`` share one POST; ``jitter_ms`` holds each POST back by a random time, which swaps their order;
    ``retry_ms`` are the waits before each repetition of a POST that was not answered with 200.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    duplicates: float = Field(default=0.0, ge=0.0, le=1.0)
    batch_max: int = Field(default=1, ge=1, le=1000)
    batch_ms: int = Field(default=50, ge=0, le=60_000)
    jitter_ms: int = Field(default=0, ge=0, le=60_000)
    timeout_ms: int = Field(default=20_000, ge=1, le=600_000)
    retry_ms: tuple[int, ...] = (0, 250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 60_000)


class Rules(BaseModel):
    """Which of the platform's rules are in force, and how a closed window is reported."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enforce_window: bool = True
    window_failure: Literal["sync", "async"] = "async"
    rate_limits: bool = False
    numbers_per_second: float = Field(default=80.0, gt=0, description="messages/s of one business number")
    require_appsecret_proof: bool = False


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """One business account with one number (more through ``other_phone_number_ids``) and the app that serves it.

    ``graph_version`` is the pattern that the first path segment of a Graph call must match. An empty ``webhook_url``
    means that webhooks are recorded but posted nowhere. ``keep_*`` bound the memory; 0 keeps nothing. Secrets are
    left out of ``repr``.
    """

    webhook_url: str = ""
    app_secret: str = field(default="simulated-app-secret", repr=False)
    verify_token: str = field(default="simulated-verify-token", repr=False)
    access_token: str = field(default="simulated-access-token", repr=False)
    phone_number_id: str = "100200300"
    display_phone_number: str = "12025550142"
    verified_name: str = "Sunrise Café"
    waba_id: str = "318450992714406"
    other_phone_number_ids: tuple[str, ...] = ()
    graph_version: str = r"v\d{2}\.0"
    statuses: StatusPlan = StatusPlan()
    webhooks: WebhookPlan = WebhookPlan()
    rules: Rules = Rules()
    webhook_concurrency: int = 16
    public_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8090
    seed: int = 1
    keep_sent: int = 10_000
    keep_events: int = 20_000
    keep_inbound: int = 20_000
    keep_trackers: int = 1_000_000
    keep_media_bytes: int = 256 * 1024 * 1024

    def __post_init__(self) -> None:
        for name, value in (("phone_number_id", self.phone_number_id), ("waba_id", self.waba_id)):
            if not value.isascii() or not value.isdigit():
                raise SimulatorSettingsError(f"{name} '{value}' is not a Graph id; use digits only, such as 100200300")
        for value in self.other_phone_number_ids:
            if not value.isascii() or not value.isdigit():
                raise SimulatorSettingsError(f"other_phone_number_ids '{value}' is not a Graph id; use digits only")
        if self.webhook_url and urlsplit(self.webhook_url).scheme not in ("http", "https"):
            raise SimulatorSettingsError(
                f"webhook_url '{self.webhook_url}' is not a web address; use http://host:port/path or leave it empty"
            )
        for name, value in (("access_token", self.access_token), ("app_secret", self.app_secret)):
            if not value:
                raise SimulatorSettingsError(f"{name} is empty; give the same value to the server under test")
        try:
            re.compile(self.graph_version)
        except re.error as broken:
            raise SimulatorSettingsError(f"graph_version '{self.graph_version}' is not a pattern: {broken}") from None

    @property
    def phone_number_ids(self) -> tuple[str, ...]:
        """Every business number of the account, the main one first."""
        return (self.phone_number_id, *self.other_phone_number_ids)

    def display_number(self, phone_number_id: str) -> str:
        """The number people see: digits. Other numbers count up from the main one's."""
        position = self.phone_number_ids.index(phone_number_id)
        if position == 0:
            return self.display_phone_number
        return str(int("".join(c for c in self.display_phone_number if c.isdigit())) + position)
