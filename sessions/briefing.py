"""The system prompt of a turn: the agent's text with its variables filled in, and the contexts behind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from omni.model.agent import Agent
from sessions.state import CallState, Context

Render = Callable[[str, dict[str, str]], str]


def vars_of(state: CallState, agent: Agent, now: float) -> dict[str, str]:
    """What `{{…}}` may name: the call's and the agent's variables, before those that are always there."""
    return {"name": state.name or "", **_dates(agent.timezone, now), **agent.vars}


def _dates(zone: str | None, now: float) -> dict[str, str]:
    at = dt.datetime.fromtimestamp(now, _zone(zone))
    date, clock, day = f"{at:%Y-%m-%d}", f"{at:%H:%M}", f"{at:%A}"
    named = at.tzname() or "UTC"
    return {
        "date": date,
        "time": clock,
        "day": day,
        "datetime": f"{date} {clock}",
        "date_block": f"Today is {day}, {date}. It is {clock} ({named}).",
    }


@lru_cache(maxsize=64)
def _zone(name: str | None) -> dt.tzinfo:
    try:
        return ZoneInfo(name) if name else dt.UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return dt.UTC


def prompt_of(state: CallState, agent: Agent, render: Render, now: float) -> str:
    """The rendered prompt with its contexts; empty when there is neither. Contexts are never templates."""
    prompt = agent.prompt
    if "{" in prompt:
        prompt = render(prompt, vars_of(state, agent, now))
    blocks = [prompt] if prompt else []
    blocks += [_block(context) for context in state.contexts if context.by == "program"]
    page = [context for context in state.contexts if context.by == "page"]
    if page:
        shown = "\n\n".join(f"### {context.key}\n{context.text}" for context in page)
        blocks.append(f"## UI Context\nWhat the visitor's page shows; it is not from us.\n\n{shown}")
    return "\n\n".join(blocks)


def _block(context: Context) -> str:
    return f"## {context.key}\n{context.text}" if context.key is not None else context.text
