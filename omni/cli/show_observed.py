"""How the entries that observers get look in a terminal: as those of the store do, with less in them."""

from __future__ import annotations

import click

from omni.cli.observing import Envelope
from omni.cli.show import CHAT, age, alert, as_json, line, said


def observed_line(entry: Envelope, names: dict[str, str]) -> str | None:
    """One entry as a line, or None for what only machines care about. `names` maps calls to how their person is called;
    it learns from the entries."""
    call = str(entry.get("call"))
    data = entry.get("data") or {}
    head = (float(entry.get("ts") or 0), call)

    def text(field: str, limit: int = 600) -> str:
        return said(str(data.get(field) or ""), limit)

    match entry.get("type"):
        case "call.started":
            is_chat = data.get("channel") == CHAT
            names[call] = text("name", 24) or ("visitor" if is_chat else text("from", 24))
            return line(*head, "·", f"call started by {names[call]} ({text('from', 40)})", dim=True)
        case "user.message":
            who = click.style(names.get(call, "user"), fg="cyan", bold=True)
            return line(*head, "›", f"{who}  {text('text')}")
        case "bot.speaking":
            return line(*head, "‹", f"{click.style('bot', fg='green', bold=True)}  {text('text')}")
        case "supervisor.said":
            return line(*head, "‹", f"{click.style(text('by', 24), fg='magenta', bold=True)}  {text('text')}")
        case "tool.call":
            return line(*head, "⚙", f"{text('name', 64)} {said(as_json(data.get('args')), 200)}", dim=True)
        case "tool.result":
            result = f"{said(as_json(data.get('result')), 300)} after {data.get('ms')} ms"
            failed = bool(data.get("error"))
            return line(*head, "⚙", click.style(result, fg="red") if failed else result, dim=not failed)
        case "handoff.requested":
            return alert(*head, f"a person is asked for by {text('by', 40)}")
        case "handoff.active":
            return alert(*head, f"{text('by', 40)} has the conversation; the bot is silent")
        case "handoff.released":
            return alert(*head, f"{text('by', 40)} gave the conversation back to the bot")
        case "delivery.failed":
            return line(*head, "✗", click.style(f"not delivered ({text('code', 60)})", fg="red"))
        case "turn.end" if data.get("outcome") == "failed":
            return line(*head, "✗", click.style("no answer", fg="red"))
        case "call.ended":
            return line(
                *head, "·", f"call ended: {text('reason', 80)}, after {age(_number(data, 'duration'))}", dim=True
            )
        case "turn.start" | "turn.continued" | "turn.end" | "bot.finished" | "call.summary":
            return None
        case other:
            return line(*head, "·", f"{said(str(other), 60)} {said(as_json(data), 200)}", dim=True)


def _number(data: Envelope, field: str) -> float:
    value = data.get(field)
    return float(value) if isinstance(value, int | float) else 0.0
