"""The view as lines of text: what `omni top` shows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from omni.cli.top.figures import Figures, Queue, Times
from omni.cli.top.people import People


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its address: its figures, or why there are none."""

    url: str
    figures: Figures | None
    problem: str | None = None

    def json(self) -> dict[str, JsonValue]:
        own = self.figures.json() if self.figures is not None else {}
        return {"url": self.url, "up": self.figures is not None, "problem": self.problem, **own}


@dataclass(frozen=True, slots=True)
class View:
    """Everything at a moment (epoch seconds)."""

    at: float
    total: Figures
    queues: Sequence[Queue]
    processes: Sequence[Process]
    people: People | None
    problem: str | None = None
    """Why nothing is known of the conversations."""

    def json(self) -> dict[str, JsonValue]:
        return {
            "at": round(self.at, 3),
            "conversations": self.people.json() if self.people is not None else None,
            "problem": self.problem,
            "total": self.total.json(),
            "queues": [queue.json() for queue in self.queues],
            "processes": [process.json() for process in self.processes],
        }


def lines(view: View) -> list[str]:
    """What a terminal shows."""
    total = view.total
    clock = time.strftime("%H:%M:%S", time.localtime(view.at))
    shown = [f"omni top  {clock}  of the last {_span(total.seconds)}", ""]
    people = view.people
    if people is None:
        shown.append(f"conversations  unknown: {view.problem}")
    else:
        shown.append(
            f"conversations  {people.open} open: {people.with_bot} with a bot, {people.with_people} with people, "
            f"{people.waiting} waiting; {people.snoozed} snoozed"
        )
        by = ", ".join(f"{name} {number}" for name, number in people.by_transport.items()) or "none"
        shown.append(f"by transport   {by}; {total.voice_calls} with sound here")
    shown += [
        f"deliveries     {total.deliveries:.2f}/s sent, {total.failed:.2f}/s failed; {total.dead_letters} dead letters",
        f"answers        {_times(total.answers)}",
        f"voice          {_times(total.voice)}",
        f"engines        {_engines(total)}",
        "",
        f"{'QUEUE':<12}{'WAITING':>9}{'IN HAND':>9}{'OLDEST':>9}",
    ]
    shown += [f"{one.name:<12}{one.ready:>9}{one.taken:>9}{_age(one.age):>9}" for one in view.queues]
    if len(view.processes) > 1 or any(process.problem for process in view.processes):
        width = max(8, *(len(process.url) for process in view.processes)) + 2
        shown += ["", f"{'PROCESS':<{width}}{'SENT/S':>8}{'ANSWER P95':>12}{'VOICE P95':>11}{'SOUND':>7}{'LAG':>9}"]
        shown += [_row(process, width) for process in view.processes]
    return shown


def _row(process: Process, width: int) -> str:
    own = process.figures
    if own is None:
        return f"{process.url:<{width}}{process.problem}"
    return (
        f"{process.url:<{width}}{own.deliveries:>8.2f}{_seconds(own.answers.p95):>12}{_seconds(own.voice.p95):>11}"
        f"{own.voice_calls:>7}{_seconds(own.lag):>9}" + ("" if all(own.engines.values()) else f"  {_engines(own)}")
    )


def _engines(figures: Figures) -> str:
    if not figures.engines:
        return "unknown"
    return ", ".join(f"{name} {'up' if is_up else 'DOWN'}" for name, is_up in figures.engines.items())


def _times(times: Times) -> str:
    if times.p50 is None:
        return "none in this time"
    return f"p50 {_seconds(times.p50)}, p95 {_seconds(times.p95)}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def _age(value: float | None) -> str:
    return "-" if value is None else _span(value)


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
