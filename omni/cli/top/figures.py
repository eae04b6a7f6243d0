"""What two looks at a process say between them: rates, waiting times, what waits. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from omni.cli.top.look import Look

ENGINES: Final = ("bus", "store", "blobs")


@dataclass(frozen=True, slots=True)
class Queue:
    """All partitions of a kind of queue together; `age` is the oldest message's, where the engine can tell."""

    name: str
    ready: int
    taken: int
    age: float | None

    def json(self) -> dict[str, JsonValue]:
        return {"name": self.name, "ready": self.ready, "taken": self.taken, "oldest_seconds": self.age}


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds; None where nothing was measured."""

    p50: float | None = None
    p95: float | None = None

    def json(self) -> dict[str, JsonValue]:
        return {"p50": self.p50, "p95": self.p95}


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a process, or of several as if they were one. `seconds` is how long a time the rates and times are about."""

    seconds: float
    deliveries: float
    failed: float
    answers: Times
    voice: Times
    voice_calls: int
    dead_letters: int
    lag: float
    engines: Mapping[str, bool] = field(default_factory=dict)

    def json(self) -> dict[str, JsonValue]:
        return {
            "seconds": round(self.seconds, 3),
            "deliveries_per_second": round(self.deliveries, 3),
            "failed_deliveries_per_second": round(self.failed, 3),
            "answer_seconds": self.answers.json(),
            "voice_response_seconds": self.voice.json(),
            "voice_calls": self.voice_calls,
            "dead_letters": self.dead_letters,
            "loop_lag_seconds": self.lag,
            "engines": dict(self.engines),
        }


Span = tuple[Look | None, Look]
"""An earlier look at a process (None: its beginning) and the newest."""


def figures(spans: Sequence[Span]) -> Figures:
    """Of these processes together."""
    sums = {"sent": 0.0, "failed": 0.0}
    for was, now in spans:
        for outcome in sums:
            sums[outcome] += _rise(was, now, "omni_deliveries_total", outcome=outcome) / _seconds(was, now)
    looks = [now for _, now in spans]
    return Figures(
        seconds=max((_seconds(*span) for span in spans), default=0.0),
        deliveries=sums["sent"],
        failed=sums["failed"],
        answers=_times(spans, "omni_turn_seconds"),
        voice=_times(spans, "omni_voice_response_seconds"),
        voice_calls=int(sum(look.total("omni_voice_calls") for look in looks)),
        dead_letters=int(sum(look.total("omni_dead_letters_total") for look in looks)),
        lag=max((look.total("omni_loop_lag_seconds") for look in looks), default=0.0),
        engines={name: all(look.total("omni_engine_up", engine=name) > 0 for look in looks) for name in ENGINES},
    )


def queues(looks: Sequence[Look]) -> list[Queue]:
    """Every process tells of the same queues: what waits is counted once, what is in hands where it is."""
    ready: dict[str, float] = {}
    taken: dict[str, float] = {}
    ages: dict[str, float] = {}
    for look in looks:
        for name, number in look.by("omni_queue_ready", "queue").items():
            ready[name] = max(ready.get(name, 0), number)
        for name, number in look.by("omni_queue_taken", "queue").items():
            taken[name] = taken.get(name, 0) + number
        for name, age in look.by("omni_queue_age_seconds", "queue").items():
            ages[name] = max(ages.get(name, 0), age)
    kinds = dict.fromkeys(name.partition(".")[0] for name in ready)
    return [
        Queue(
            kind,
            int(_of(ready, kind)),
            int(_of(taken, kind)),
            max((age for name, age in ages.items() if name.partition(".")[0] == kind), default=None),
        )
        for kind in kinds
    ]


def _of(numbers: Mapping[str, float], kind: str) -> float:
    return sum(number for name, number in numbers.items() if name.partition(".")[0] == kind)


def _seconds(was: Look | None, now: Look) -> float:
    began = now.one("process_start_time_seconds")
    if was is None:
        return max(1.0, now.wall - began) if began is not None else 1.0
    return max(0.001, now.at - was.at)


def _rise(was: Look | None, now: Look, name: str, **labels: str) -> float:
    """How much a counter rose; from 0 where the process began anew meanwhile."""
    before = was.total(name, **labels) if was is not None else 0.0
    after = now.total(name, **labels)
    return after - before if after >= before else after


def _times(spans: Sequence[Span], name: str) -> Times:
    counts: dict[float, float] = {}
    for was, now in spans:
        before = was.buckets(name) if was is not None else {}
        after = now.buckets(name)
        if after.get(math.inf, 0) < before.get(math.inf, 0):
            before = {}
        for bound, count in after.items():
            counts[bound] = counts.get(bound, 0) + count - before.get(bound, 0)
    return Times(quantile(counts, 0.5), quantile(counts, 0.95))


def quantile(counts: Mapping[float, float], share: float) -> float | None:
    """As Prometheus' histogram_quantile: straight lines between bounds; what is over the last one counts as that."""
    total = counts.get(math.inf, 0)
    if not total:
        return None
    rank, low, below = share * total, 0.0, 0.0
    for bound in sorted(counts):
        count = counts[bound]
        if count >= rank:
            if math.isinf(bound) or count == below:
                return round(low, 4)
            return round(low + (bound - low) * (rank - below) / (count - below), 4)
        low, below = bound, count
    return round(low, 4)
