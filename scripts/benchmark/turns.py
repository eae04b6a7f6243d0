"""The webhook brain in a process of its own, as a worker has it: `python -m benchmark.turns` reads on stdin what to do.

`{"url", "turns", "seconds", "spread"}` is a line; the answer is one too: how long each line took from leaving the
developer's server to leaving the brain, and how many turns there were. A text of a line is when it left.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import sys
import time
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from benchmark import machine
from benchmark.figures import percentile
from omni.model.agent import Agent
from omni.model.message import Message
from omni.model.webhook_brain import WebhookSettings
from omni.outgoing.http import OutgoingHttp
from sessions.brains.base import Say, Setting, ToolOutcome, Turn
from sessions.brains.webhook.brain import WebhookBrain
from sessions.brains.webhook.record import TurnRecord


class Failures:
    """How many turns went wrong, and why the first did."""

    def __init__(self) -> None:
        self.number = 0
        self.first: str | None = None

    def note(self, record: TurnRecord) -> None:
        if record.error is not None or record.notes:
            self.number += 1
            self.first = self.first or record.error or record.notes[0]


async def _no_tool(id_: str, name: str, arguments: Any) -> ToolOutcome:
    return ToolOutcome(None)


async def run(url: str, turns: int, seconds: float, spread: float) -> dict[str, Any]:
    """So many turns at a time, which begin within `spread` seconds, for `seconds` after that."""
    failures = Failures()
    http = OutgoingHttp(allow_private=True)
    brain = WebhookBrain(http, turns=failures)
    agent = Agent(slug="bench", brain="webhook", webhook=WebhookSettings(url=url, secret=SecretStr("whsec_bench")))
    turn = Turn(
        call="wa-bench", agent=agent, number=1, prompt="", text="Where is my order?",
        messages=(Message.of("Where is my order?"),), history=(), use_tool=_no_tool,
        setting=Setting(org="default", transport="whatsapp", channel="whatsapp:1", conversation="a/b/whatsapp:1/d"),
    )  # fmt: skip
    delays: list[float] = []
    finished = 0
    began = time.monotonic()
    measured_from, ends = began + spread, began + spread + seconds

    async def seat(number: int) -> None:
        nonlocal finished
        await asyncio.sleep(random.random() * spread)
        while time.monotonic() < ends:
            chunks = 0
            async for chunk in brain.answer(replace(turn, number=number)):
                now = time.monotonic_ns()
                if isinstance(chunk, Say) and now / 1e9 > measured_from:
                    delays.append((now - int(chunk.text)) / 1e6)
                chunks += 1
            finished += 1
            if not chunks:
                failures.number += 1

    cpu = machine.own_cpu()
    await asyncio.gather(*(seat(number) for number in range(turns)))
    await http.close()
    delays.sort()
    return {
        "turns": turns,
        "answers": finished,
        "lines": len(delays),
        "failures": failures.number,
        "first_failure": failures.first,
        "p50_ms": percentile(delays, 0.5),
        "p95_ms": percentile(delays, 0.95),
        "p99_ms": percentile(delays, 0.99),
        "worst_ms": delays[-1],
        "cpu": (machine.own_cpu() - cpu) / (time.monotonic() - began),
    }


def main() -> None:
    gc.freeze()  # as `omni serve` does
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    for line in sys.stdin:
        print(json.dumps(asyncio.run(run(**json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
