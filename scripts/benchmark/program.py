"""The section "a program answers": webhook, event, `call.reply`, Graph, beside the script brain on a server like it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmark import bot, graph
from benchmark.answers import Round, measure
from benchmark.bot import WORDS, Bot
from benchmark.figures import Figure, Section, at_most, paragraph, percentile, table
from benchmark.graph import Graph
from benchmark.plan import Plan
from benchmark.programs import API_KEY
from benchmark.server import BenchError, Process, omni

LEVELS: Final = (1, 64)
ADDED_MS: Final = 5.0


@dataclass(slots=True)
class Contender:
    """A server, its Graph stand-in and, where a program answers, the program."""

    name: str
    server: Process
    graph: Graph
    bot: Bot | None
    rounds: dict[int, list[Round]] = field(default_factory=dict)

    async def run(self, plan: Plan, conversations: int) -> None:
        done = await measure(
            self.server,
            self.graph,
            conversations,
            seconds=plan.round_seconds,
            warm_up=plan.warm_up,
            program_cpu=self.bot.cpu if self.bot is not None else lambda: 0.0,
        )
        if self.graph.words.startswith(WORDS) != (self.bot is not None):
            raise BenchError(f"it was not {self.name} that answered: {self.graph.words!r}")
        self.rounds.setdefault(conversations, []).append(done)

    def quantile(self, conversations: int, share: float) -> Figure:
        """Milliseconds."""
        return Figure.of([1000 * percentile(one.latencies, share) for one in self.rounds[conversations]])

    def row(self, conversations: int) -> list[str]:
        rounds = self.rounds[conversations]
        p50, p95 = self.quantile(conversations, 0.5), self.quantile(conversations, 0.95)
        return [
            f"{conversations}, {self.name}",
            Figure.of([one.rate for one in rounds]).show(0),
            p50.show(),
            p50.spread(),
            p95.show(),
            p95.spread(),
            Figure.of([one.cpu_ms for one in rounds]).show(2),
            Figure.of([one.program_cpu_ms for one in rounds]).show(2) if self.bot is not None else "",
            f"{max(one.generator for one in rounds):.0%}",
        ]

    def numbers(self, conversations: int) -> dict[str, Any]:
        rounds = self.rounds[conversations]
        return {
            "name": self.name,
            "conversations": conversations,
            "answers_per_second": Figure.of([one.rate for one in rounds]).median,
            "p50_ms": self.quantile(conversations, 0.5).median,
            "p95_ms": self.quantile(conversations, 0.95).median,
            "cpu_ms_per_message": Figure.of([one.cpu_ms for one in rounds]).median,
            "program_cpu_ms_per_message": Figure.of([one.program_cpu_ms for one in rounds]).median,
        }


async def section(plan: Plan, folder: Path) -> Section:
    async with AsyncExitStack() as stack:
        script = await _contender(stack, plan, folder / "script", "the script brain")
        program = await _contender(stack, plan, folder / "program", "an SDK program", with_bot=True)
        for number in range(plan.rounds):
            for conversations in LEVELS:
                for one in (script, program) if number % 2 == 0 else (program, script):
                    await one.run(plan, conversations)
    return _report(plan, script, program)


async def _contender(
    stack: AsyncExitStack, plan: Plan, folder: Path, name: str, *, with_bot: bool = False
) -> Contender:
    stand_in = await stack.enter_async_context(graph.running())
    server = await stack.enter_async_context(omni(folder, stand_in.url, cores=plan.server_cores, api_key=API_KEY))
    program = await stack.enter_async_context(bot.running(server.port, folder)) if with_bot else None
    return Contender(name, server, stand_in, program)


def _report(plan: Plan, script: Contender, program: Contender) -> Section:
    rows = [one.row(conversations) for conversations in LEVELS for one in (script, program)]
    added = {
        (conversations, share): program.quantile(conversations, share).median
        - script.quantile(conversations, share).median
        for conversations in LEVELS
        for share in (0.5, 0.95)
    }
    head = (
        "conversations, who answers",
        "answers/s",
        "p50 ms",
        "least–most",
        "p95 ms",
        "least–most",
        "CPU ms/message",
        "program's",
        "generator",
    )
    text = (
        paragraph(
            f"""Webhook written → send arrives at Graph; closed loop, {plan.rounds} rounds of {plan.round_seconds:g} s
            in turns, medians. Two servers alike but for who answers: the script brain in the server, or a process with
            the Python SDK that hears `turn.end` and says `call.reply`. The program has the load generator's core, the
            two servers share theirs (one waits while the other is measured)."""
        )
        + "\n\n"
        + table(head, rows)
        + "\n\n"
        + "\n".join(
            f"  a program adds at {conversations}: {added[conversations, 0.5]:+.1f} ms p50, "
            f"{added[conversations, 0.95]:+.1f} ms p95"
            for conversations in LEVELS
        )
    )
    targets = [at_most("an SDK program adds at one conversation, p50", added[1, 0.5], ADDED_MS, "ms")]
    levels = [one.numbers(conversations) for conversations in LEVELS for one in (script, program)]
    return Section("A program answers", text, targets, {"levels": levels})
