"""The overview's figures, out of calls without their words. Pure.

A call counts on the day it began, in the reader's time zone. *Contained* is a call that ended without our side: the
customer wrote, nobody asked for a person, and no person wrote.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from pydantic import JsonValue

from omni.store.inbox import Count, Tally

Figures = dict[str, JsonValue]
Key = TypeVar("Key", bound=Hashable)

RESOLVED: Final = "resolved"


@dataclass(frozen=True, slots=True)
class Period:
    """Epoch seconds, `until` not included."""

    since: float
    until: float
    zone: ZoneInfo

    def day_of(self, at: float) -> date:
        return datetime.fromtimestamp(at, self.zone).date()

    def days(self) -> list[date]:
        """Every day that some of it falls on. Days are counted in dates: one may have 23 hours, or 25."""
        first, last = self.day_of(self.since), self.day_of(max(self.since, self.until - 0.001))
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def overview(
    tallies: Sequence[Tally], counts: Sequence[Count], period: Period, agent: str | None, transport: str | None
) -> Figures:
    """`agent` and `transport` None mean all."""
    own = [each for each in tallies if agent in (None, each.agent) and transport in (None, each.transport)]
    per_day = _by(own, lambda each: period.day_of(each.started_at))
    hours = [0] * 24
    for each in own:
        hours[datetime.fromtimestamp(each.started_at, period.zone).hour] += 1
    days: list[JsonValue] = [_day(day, per_day.get(day, [])) for day in period.days()]
    transports: list[JsonValue] = [
        {"transport": name, **totals(some)} for name, some in sorted(_by(own, lambda each: each.transport).items())
    ]
    agents: list[JsonValue] = [
        {"agent": name, **totals(some)} for name, some in sorted(_by(own, lambda each: each.agent).items())
    ]
    return {
        "period": {"since": period.since, "until": period.until, "zone": period.zone.key},
        "now": under_way(
            [each for each in counts if agent in (None, each.agent) and transport in (None, each.transport)]
        ),
        "totals": totals(own),
        "days": days,
        "by_transport": transports,
        "by_agent": agents,
        "hours": [*hours],
    }


def under_way(counts: Sequence[Count]) -> Figures:
    awake = [each for each in counts if not each.is_snoozed]
    by = {
        name: sum(each.number for each in awake if each.handler == handler)
        for name, handler in (("with_bot", "bot"), ("with_people", "human"), ("waiting", "nobody"))
    }
    snoozed = sum(each.number for each in counts if each.is_snoozed)
    return {"open": sum(each.number for each in awake), **by, "snoozed": snoozed}


def totals(tallies: Sequence[Tally]) -> Figures:
    contained = sum(is_contained(each) for each in tallies)
    judged = sum(is_judged(each) for each in tallies)
    return {
        "conversations": len(tallies),
        "messages": {
            "user": sum(each.user_messages for each in tallies),
            "bot": sum(each.bot_messages for each in tallies),
            "human": sum(each.human_messages for each in tallies),
        },
        "handoffs": sum(each.handoffs for each in tallies),
        "contained": contained,
        "containment": contained / judged if judged else None,
        "resolved": sum(each.reason == RESOLVED for each in tallies),
        "failed_deliveries": sum(each.failed for each in tallies),
        "first_response": spread([_between(each.first_user_at, each.first_answer_at) for each in tallies]),
        "first_human_response": spread([_between(each.first_user_at, each.first_human_at) for each in tallies]),
        "resolution": spread([_between(each.started_at, each.ended_at) for each in tallies if each.reason == RESOLVED]),
    }


def is_judged(tally: Tally) -> bool:
    """Whether a call can say anything of containment: it is over, and the customer wrote."""
    return not tally.is_open and tally.user_messages > 0


def is_contained(tally: Tally) -> bool:
    return is_judged(tally) and tally.handoffs == 0 and tally.human_messages == 0


def spread(seconds: Sequence[float | None]) -> Figures:
    """Median and 90th percentile, in seconds, of those that there are."""
    found = sorted(each for each in seconds if each is not None)
    return {"median": quantile(found, 0.5), "p90": quantile(found, 0.9), "n": len(found)}


def quantile(ordered: Sequence[float], part: float) -> float | None:
    """Between the two nearest, in proportion; None of nothing."""
    if not ordered:
        return None
    place = part * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return round(ordered[low] + (ordered[high] - ordered[low]) * (place - low), 3)


def table(tallies: Sequence[Tally], period: Period, agent: str | None, transport: str | None) -> str:
    """The same as CSV, a line a day; durations in seconds."""
    own = [each for each in tallies if agent in (None, each.agent) and transport in (None, each.transport)]
    per_day = _by(own, lambda each: period.day_of(each.started_at))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        [
            "day",
            "conversations",
            "messages_user",
            "messages_bot",
            "messages_human",
            "handoffs",
            "contained",
            "containment",
            "resolved",
            "failed_deliveries",
            "first_response_median",
            "first_response_p90",
            "first_human_response_median",
            "first_human_response_p90",
            "resolution_median",
            "resolution_p90",
        ]
    )
    for day in period.days():
        writer.writerow([day.isoformat(), *_cells(totals(per_day.get(day, [])))])
    return out.getvalue()


def _cells(figures: Figures) -> list[JsonValue]:
    cells: list[JsonValue] = []
    for name, value in figures.items():
        if name in ("first_response", "first_human_response", "resolution"):
            assert isinstance(value, dict)
            cells += [value["median"], value["p90"]]
        elif isinstance(value, dict):
            cells += value.values()
        else:
            cells.append(round(value, 4) if isinstance(value, float) else value)
    return ["" if cell is None else cell for cell in cells]


def _day(day: date, tallies: Sequence[Tally]) -> JsonValue:
    figures = totals(tallies)
    response = figures["first_response"]
    assert isinstance(response, dict)
    return {
        "day": day.isoformat(),
        "conversations": len(tallies),
        "contained": figures["contained"],
        "handoffs": figures["handoffs"],
        "first_response_median": response["median"],
    }


def _between(start: float | None, end: float | None) -> float | None:
    return max(0.0, end - start) if start is not None and end is not None else None


def _by(tallies: Sequence[Tally], key: Callable[[Tally], Key]) -> dict[Key, list[Tally]]:
    groups: dict[Key, list[Tally]] = {}
    for each in tallies:
        groups.setdefault(key(each), []).append(each)
    return groups
