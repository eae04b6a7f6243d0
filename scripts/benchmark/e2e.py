"""The section "end to end": answers a second, latency and CPU at 1 to 256 conversations, without and with statuses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import graph
from benchmark.answers import Round, measure
from benchmark.figures import Figure, Section, Target, at_least, at_most, paragraph, percentile, table
from benchmark.plan import Plan
from benchmark.server import omni

LEVELS = (1, 16, 64, 256)


@dataclass(frozen=True, slots=True)
class Level:
    """What several rounds at one number of conversations came to. Latencies are milliseconds."""

    conversations: int
    with_statuses: bool
    rate: Figure
    p50: Figure
    p99: Figure
    cpu_ms: Figure
    generator: float

    @classmethod
    def of(cls, conversations: int, with_statuses: bool, rounds: list[Round]) -> Level:
        return cls(
            conversations,
            with_statuses,
            Figure.of([one.rate for one in rounds]),
            Figure.of([1000 * percentile(one.latencies, 0.50) for one in rounds]),
            Figure.of([1000 * percentile(one.latencies, 0.99) for one in rounds]),
            Figure.of([one.cpu_ms for one in rounds]),
            max(one.generator for one in rounds),
        )

    def row(self) -> list[str]:
        return [
            f"{self.conversations}{', with statuses' if self.with_statuses else ''}",
            self.rate.show(0),
            self.rate.spread(0),
            self.p50.show(),
            self.p99.show(),
            self.p99.spread(),
            self.cpu_ms.show(2),
            f"{self.generator:.0%}",
        ]

    def numbers(self) -> dict[str, Any]:
        return {
            "conversations": self.conversations,
            "statuses": self.with_statuses,
            "answers_per_second": self.rate.median,
            "p50_ms": self.p50.median,
            "p99_ms": self.p99.median,
            "cpu_ms_per_message": self.cpu_ms.median,
            "generator_share": self.generator,
        }


async def section(plan: Plan, folder: Path, *, engines: str = "", **more: Any) -> Section:
    """`engines` is for the title, `more` are settings that choose them."""
    rounds: dict[tuple[bool, int], list[Round]] = {}
    async with graph.running() as stand_in, omni(folder, stand_in.url, cores=plan.server_cores, **more) as server:
        for _ in range(plan.rounds):
            for with_statuses in (False, True):
                for level in LEVELS:
                    done = await measure(
                        server,
                        stand_in,
                        level,
                        seconds=plan.round_seconds,
                        warm_up=plan.warm_up,
                        with_statuses=with_statuses,
                    )
                    rounds.setdefault((with_statuses, level), []).append(done)
    levels = {(plain, n): Level.of(n, plain, found) for (plain, n), found in rounds.items()}
    head = ("conversations", "answers/s", "least–most", "p50 ms", "p99 ms", "least–most", "CPU ms/message", "generator")
    text = (
        paragraph(
            f"""Webhook written → send arrives at Graph{engines}; closed loop, {plan.rounds} rounds of
            {plan.round_seconds:g} s, medians. Script brain, debounce 0, read receipts and typing as by default;
            twenty messages each, then somebody new. With statuses: sent, delivered and read of each answer come
            back as webhooks of their own, 4 webhooks a message."""
        )
        + "\n\n"
        + table(head, [one.row() for one in levels.values()])
    )
    targets = [] if engines else _targets(levels)
    return Section("End to end", text, targets, {"levels": [one.numbers() for one in levels.values()]})


def _targets(levels: dict[tuple[bool, int], Level]) -> list[Target]:
    one, some, many = levels[False, 1], levels[False, 64], levels[False, 256]
    flat = many.rate.median / some.rate.median
    return [
        at_most("one conversation, p50", one.p50.median, 6, "ms"),
        at_most("one conversation, p99", one.p99.median, 15, "ms"),
        at_least("answers at 64 conversations", some.rate.median, 700, "/s"),
        at_least("answers at 256 conversations", many.rate.median, 700, "/s"),
        Target("flat from 64 to 256 conversations", "256 ≥ 90 % of 64", f"{flat:.0%}", flat >= 0.9),
        at_most("CPU a message at 64 conversations", some.cpu_ms.median, 1.5, "ms", 2),
        at_least("answers at 256, with statuses", levels[True, 256].rate.median, 700, "/s"),
    ]
