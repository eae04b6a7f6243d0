"""A developer's HTTP server: where it is, how it is signed for, what it is told, and each event on its way there.

`attempted` and its siblings are pure: they say what a delivery becomes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, get_args

from pydantic import Field, SecretStr, SerializationInfo, field_serializer

from omni.model.base import DEFAULT_ORG, Value
from omni.model.channel import REVEAL

Dialect = Literal["omni", "agentphone"]
"""Whose envelope, headers and signature: `/v1`'s or that of AgentPhone's clients."""

OmniEvent = Literal[
    "call.ringing",
    "call.started",
    "call.forwarded",
    "call.digits",
    "call.recorded",
    "call.ended",
    "message.received",
    "message.sent",
    "message.failed",
    "message.edited",
    "message.deleted",
    "message.reaction",
    "handoff.requested",
    "handoff.active",
    "handoff.released",
    "contact.changed",
]
OMNI_EVENTS: Final[tuple[str, ...]] = get_args(OmniEvent)
"""What omni's own endpoints may ask for."""

DIGITS: Final = "digits"
"""What an endpoint of AgentPhone's dialect asks for, too, to be told of the keys that callers press: each is an
`agent.message` without words."""
AGENTPHONE_EVENTS: Final = ("agent.message", "agent.reaction", "agent.call_ended", DIGITS)

ONCE: Final = "once:"
"""How the lane of a delivery begins that is never tried again: a test, or a turn that was asked for its answer."""

TEST_EVENT: Final = "endpoint.test"
"""What a test delivery of omni's own dialect is called; AgentPhone's is an `agent.message`."""


class WebhookEndpoint(Value):
    """One address that is told of events, and asked for answers when the brain of an agent is `webhook`.

    `agent` None is the whole organisation's. In the AgentPhone dialect there is at most one of the organisation and one
    of each agent, and an agent's own takes the organisation's place; omni's own endpoints are told beside each other.
    `events` empty means all. `context_limit` is how many earlier messages an envelope carries, `timeout_s` how long an
    answer may take in seconds.
    """

    id: str
    org: str = DEFAULT_ORG
    agent: str | None = None
    dialect: Dialect = "omni"
    url: str = Field(max_length=2083)
    secret: SecretStr
    events: tuple[str, ...] = ()
    context_limit: int = Field(default=10, ge=0, le=50)
    timeout_s: float = Field(default=30, ge=1, le=120)
    description: str | None = Field(default=None, max_length=500)
    answers: bool = True
    """Whether it may be asked to answer turns; else it is only told."""
    created_at: float = 0
    disabled_at: float | None = None
    version: int = 0

    @property
    def scope(self) -> str | None:
        """What only one endpoint may have; None where there may be any number."""
        return f"{self.org}/{self.agent or ''}" if self.dialect == "agentphone" else None

    def wants(self, event: str) -> bool:
        return self.disabled_at is None and (not self.events or event in self.events)

    @field_serializer("secret", when_used="json")
    def _secret(self, secret: SecretStr, context: SerializationInfo[Any]) -> str:
        return secret.get_secret_value() if context.context == REVEAL else "**********"


def listeners(endpoints: tuple[WebhookEndpoint, ...], org: str, agent: str) -> tuple[WebhookEndpoint, ...]:
    """The endpoints that hear of an agent's calls: every one of omni's dialect, and one of AgentPhone's."""
    near = [e for e in endpoints if e.org == org and e.agent in (None, agent)]
    own = next((e for e in near if e.dialect == "agentphone" and e.agent == agent), None)
    return tuple(e for e in near if e.dialect == "omni" or own is None or e is own)


class Untold(Value):
    """Queue of webhooks: this call's log has events that nobody was told of yet."""

    type: Literal["untold"] = "untold"
    call: str


WebhookState = Literal["pending", "success", "failed"]

DAY: Final = 86_400.0
AGENTPHONE_GAPS: Final = (60.0, 300.0, 1_800.0, 14_400.0, 57_600.0)
FIRST_GAP, LONGEST_GAP = 10.0, 14_400.0
LONGEST_RETRY_AFTER: Final = 3_600.0
KEPT_ATTEMPTS: Final = 10
KEPT_REPLY: Final = 2_048
"""Bytes of a reply that are kept."""

_TRIED_AGAIN: Final = frozenset({408, 409, 425, 429})


class WebhookAttempt(Value):
    """One request: when it was sent (epoch seconds), and how long it took. `status` None: there was no answer, and
    `error` says why. `is_final`: asking again would change nothing."""

    at: float
    ms: int
    status: int | None = None
    error: str | None = None
    reply: str = ""
    retry_after: float | None = None
    is_final: bool = False

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def may_be_repeated(self) -> bool:
        if self.status is None:
            return not self.is_final
        return self.status >= 500 or self.status in _TRIED_AGAIN

    @property
    def blames_endpoint(self) -> bool:
        """Whether the next delivery would very likely fare the same."""
        return self.status is None or self.status >= 500 or self.status == 429


class WebhookDelivery(Value):
    """One event on its way to one endpoint. `id` is the same at every attempt, `body` the exact JSON text that is sent.

    Deliveries of one endpoint and `lane` (the call, except for replays) go out one after the other, by `seq`; `next_at`
    is when the first of them is due, and None for those behind it and for the finished. `tries` counts attempts since
    `since`, the begin of its 24 hours; `attempt_count` all there were, `attempts` the newest of them.
    """

    id: str
    org: str = DEFAULT_ORG
    endpoint: str
    agent: str | None = None
    dialect: Dialect = "omni"
    call: str = ""
    lane: str
    seq: int
    event: str
    channel: str = ""
    message: str | None = None
    body: str
    state: WebhookState = "pending"
    next_at: float | None = None
    tries: int = 0
    attempt_count: int = 0
    attempts: tuple[WebhookAttempt, ...] = ()
    created_at: float
    since: float
    finished_at: float | None = None
    version: int = 0

    @property
    def last(self) -> WebhookAttempt | None:
        return self.attempts[-1] if self.attempts else None


def gap(dialect: Dialect, tries: int, draw: Callable[[], float]) -> float | None:
    """Seconds from the failed attempt number `tries` to the next; None when there is none. `draw` gives 0 to 1."""
    if dialect == "agentphone":
        return AGENTPHONE_GAPS[tries - 1] if tries <= len(AGENTPHONE_GAPS) else None
    ceiling = min(FIRST_GAP * 3.0 ** min(tries - 1, 20), LONGEST_GAP)
    return max(1.0, ceiling * draw())


def attempted(
    delivery: WebhookDelivery, attempt: WebhookAttempt, now: float, draw: Callable[[], float]
) -> WebhookDelivery:
    """The delivery after an attempt: done, to be tried again at `next_at`, or given up.

    It is given up at the first failure after its 24 hours (so what had to wait for another is tried at least once), or
    after AgentPhone's six attempts.
    """
    tries = delivery.tries + 1
    changes: dict[str, object] = {
        "tries": tries,
        "attempt_count": delivery.attempt_count + 1,
        "attempts": (*delivery.attempts, attempt)[-KEPT_ATTEMPTS:],
    }
    if attempt.is_success:
        return delivery.model_copy(update={**changes, "state": "success", "next_at": None, "finished_at": now})
    wait = gap(delivery.dialect, tries, draw) if attempt.may_be_repeated else None
    ends = delivery.since + DAY
    if wait is None or now >= ends:
        return delivery.model_copy(update={**changes, "state": "failed", "next_at": None, "finished_at": now})
    if attempt.retry_after is not None:
        wait = max(wait, min(attempt.retry_after, LONGEST_RETRY_AFTER))
    return delivery.model_copy(update={**changes, "next_at": min(now + wait, max(ends, now + 1.0))})


def given_up(delivery: WebhookDelivery, why: str, now: float) -> WebhookDelivery:
    """Failed without a request: the endpoint is gone, or was away for all of its 24 hours."""
    note = WebhookAttempt(at=now, ms=0, error=why, is_final=True)
    return delivery.model_copy(
        update={
            "state": "failed",
            "next_at": None,
            "finished_at": now,
            "attempts": (*delivery.attempts, note)[-KEPT_ATTEMPTS:],
        }
    )


def replayed(delivery: WebhookDelivery, now: float) -> WebhookDelivery:
    """Sent again at once under the same id, beside its call's other deliveries and with 24 hours of its own. One that
    is pending is only tried now."""
    if delivery.state == "pending":
        return delivery if delivery.next_at is None else delivery.model_copy(update={"next_at": now})
    return delivery.model_copy(
        update={
            "state": "pending",
            "lane": f"replay:{delivery.id}",
            "next_at": now,
            "tries": 0,
            "since": now,
            "finished_at": None,
        }
    )
