"""What became of the tests: for a person as they run, and as JSON at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from omni.cli.show import said
from omni.cli.testing.run import Exchange, Result

BRIEF: Final = 160
FULL: Final = 10_000
"""Characters of a message."""


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """The shape that other runners of these specs print, too. `arguments` is JSON text."""
    passed = sum(result.has_passed for result in results)
    return {"passed": passed, "failed": len(results) - passed, "results": [_as_json(result) for result in results]}


def _as_json(result: Result) -> dict[str, Any]:
    turns = [
        {
            "testerMessage": exchange.said,
            "agentResponse": exchange.reply.text,
            "agentToolCalls": [{"name": call.name, "arguments": call.arguments} for call in exchange.reply.tool_calls],
        }
        for exchange in result.turns
    ]
    error = {"error": result.error} if result.error is not None else {}
    return {
        "file": str(result.file),
        "agent": result.agent,
        "description": result.description,
        "passed": result.has_passed,
        "summary": result.summary,
        "turns": turns,
        "durationMs": round(result.seconds * 1000),
        **error,
    }


def show_exchange(exchange: Exchange, *, limit: int) -> None:
    click.echo(f"    {click.style('judge', fg='cyan')}  {said(exchange.said, limit)}")
    for call in exchange.reply.tool_calls:
        click.secho(f"           · {said(call.name, 64)}({said(call.arguments, limit)})", dim=True)
    click.echo(f"    {click.style('agent', fg='green')}  {said(exchange.reply.text, limit)}")


def show_result(result: Result, *, conversation: bool) -> None:
    """One test. `conversation`: what was said as well, when the test has failed."""
    mark = click.style("✓", fg="green") if result.has_passed else click.style("✗", fg="red")
    title = f"  {said(result.description, 100)}" if result.description else ""
    turns = f"{len(result.turns)} turn{'s' if len(result.turns) != 1 else ''}"
    click.echo(f"{mark} {result.file}{title}" + click.style(f"  ({turns}, {result.seconds:.1f} s)", dim=True))
    if conversation and not result.has_passed:
        for exchange in result.turns:
            show_exchange(exchange, limit=BRIEF)
    if result.summary:
        click.echo(click.style(f"    {said(result.summary)}", fg=None if result.has_passed else "red"))


def show_sum(results: Sequence[Result]) -> None:
    failed = sum(not result.has_passed for result in results)
    passed = len(results) - failed
    click.secho(f"{passed} passed, {failed} failed", fg="red" if failed else "green", bold=True)
