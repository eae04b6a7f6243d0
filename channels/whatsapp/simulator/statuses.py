"""What becomes of an accepted message: sent, delivered, read, played, or failed.

Source: WhatsApp Cloud API, webhooks, statuses object. Reactions are reported as sent only; a failed status carries no
``contacts``; the user name is shown on delivered and read only.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from channels.whatsapp.simulator.errors import GraphError
from channels.whatsapp.simulator.ids import Json
from channels.whatsapp.simulator.journal import Journal
from channels.whatsapp.simulator.people import Person
from channels.whatsapp.simulator.settings import StatusPlan
from channels.whatsapp.simulator.webhooks import Update, Webhooks


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that was accepted from the business. ``seq`` counts from 1, ``at`` is epoch seconds."""

    seq: int
    at: float
    id: str
    phone_number_id: str
    wa_id: str
    user_id: str
    type: str
    tracker: str
    body: Json
    shown: Json | None = None
    category: str = "service"
    voice: bool = False

    def as_json(self) -> Json:
        value: Json = {
            "seq": self.seq,
            "at": self.at,
            "id": self.id,
            "phone_number_id": self.phone_number_id,
            "to": self.wa_id,
            "user_id": self.user_id,
            "type": self.type,
            "tracker": self.tracker,
            "message": self.body,
        }
        if self.shown is not None:
            value["shown"] = self.shown
        return value


class Statuses:
    """Reports statuses at their times. Owns its timers."""

    def __init__(
        self,
        plan: StatusPlan,
        webhooks: Webhooks,
        journal: Journal,
        random_source: random.Random,
        now: Callable[[], float],
    ) -> None:
        self.plan = plan
        self._webhooks = webhooks
        self._journal = journal
        self._random = random_source
        self._now = now
        self._timers: set[asyncio.TimerHandle] = set()

    def follow(self, sent: SentMessage, person: Person) -> None:
        """Schedule the statuses of an accepted message, as the plan says."""
        if self.plan.mode != "auto":
            return
        steps = [("sent", self.plan.sent_ms)]
        if sent.type != "reaction":
            steps.append(("delivered", self.plan.delivered_ms))
            if self.plan.read_ms is not None:
                steps.append(("read", self.plan.read_ms))
                if sent.voice:
                    steps.append(("played", self.plan.read_ms))
        times = [at for _, at in steps]
        if self.plan.shuffle:
            self._random.shuffle(times)
        for (status, _), at in zip(steps, times, strict=True):
            self._later(at, sent, person, status)
            if self.plan.duplicates and self._random.random() < self.plan.duplicates:
                self._later(at, sent, person, status)

    def fail(self, sent: SentMessage, person: Person, error: GraphError) -> None:
        """Report a failure, whatever the plan: an accepted message must not vanish."""
        self._later(self.plan.sent_ms, sent, person, "failed", error)

    def report(self, sent: SentMessage, person: Person, status: str, error: GraphError | None = None) -> None:
        """Report one status now."""
        item: Json = {"id": sent.id, "status": status, "timestamp": str(int(self._now()))}
        if not person.phone_hidden:
            item["recipient_id"] = sent.wa_id
        item["recipient_user_id"] = sent.user_id
        if sent.tracker:
            item["biz_opaque_callback_data"] = sent.tracker
        contact: Json | None = None
        if error is not None:
            item["errors"] = [error.report()]
        else:
            contact = person.contact(with_username=status in ("delivered", "read"))
            if status in ("sent", "delivered"):
                item["pricing"] = {
                    "billable": True,
                    "pricing_model": "PMP",
                    "type": "regular",
                    "category": sent.category,
                }
        self._webhooks.add(Update(sent.phone_number_id, "statuses", item, contact))
        event: Json = {"message_id": sent.id, "to": sent.wa_id, "status": status}
        if error is not None:
            event |= {"code": error.code, "title": error.title}
        self._journal.add("status", event)

    def forget(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _later(
        self, at_ms: int, sent: SentMessage, person: Person, status: str, error: GraphError | None = None
    ) -> None:
        handle: asyncio.TimerHandle

        def fire() -> None:
            self._timers.discard(handle)
            self.report(sent, person, status, error)

        handle = asyncio.get_running_loop().call_later(at_ms / 1000, fire)
        self._timers.add(handle)
