"""How a chat looks in a terminal. Words of others never reach it with their control characters."""

from __future__ import annotations

from typing import Final

import click

from omni.cli.chat.events import ChatEvent, Done, Failed, Handoff, HumanWrote, Token, ToolCalls, ToolResult
from omni.cli.show import said

MOST_OF_A_TOOL: Final = 200
"""Characters of a tool's arguments, and of its result."""

HANDOFFS: Final = {
    "requested": "a person is asked for",
    "active": "{by} has the conversation; the agent is silent",
    "released": "{by} gave the conversation back to the agent",
}


def visible(text: str) -> str:
    """The same with line breaks as they are, and every other character that a terminal would obey written out."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line if line.isprintable() else _spelt(line) for line in lines)


def _spelt(line: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in line)


class Screen:
    """One turn after another: words as they come, and dimly what the agent does for them."""

    def __init__(self, agent: str, colour: bool | None = None) -> None:
        """`colour` None: where there is a terminal."""
        self._mark = click.style(f"{said(agent, 40)} ‹ ", fg="green", bold=True)
        self._colour = colour
        self._shown = ""
        self._is_midline = False

    def show(self, event: ChatEvent) -> None:
        match event:
            case Token(text=text):
                self._words(text)
            case ToolCalls(tool_calls=calls):
                for call in calls:
                    self._aside(f"{said(call.name, 64)}({said(call.arguments, MOST_OF_A_TOOL)})")
            case ToolResult(name=name, result=result):
                self._aside(f"{said(name, 64)} → {said(result, MOST_OF_A_TOOL)}")
            case Done(text=text):
                self._words(text)
                self._end("(nothing said)" if not text else "")
            case Failed(error=error, paused=True):
                self._aside(said(error))
                self._end("")
            case Failed(error=error):
                self._break()
                self._write(click.style(f"  ✗ {said(error)}", fg="red"))
                self._end("")
            case HumanWrote(text=text, by=by):
                self._break()
                self._write(click.style(f"{said(by, 40)} ‹ ", fg="magenta", bold=True) + visible(text))
            case Handoff(state=state, by=by):
                self._aside(HANDOFFS[state].format(by=said(by, 40)))
            case _:
                pass

    def given_up(self) -> None:
        """Nobody waits for the rest of the answer."""
        self._break()
        self._end("(given up)")

    def _words(self, text: str) -> None:
        """All of the answer so far: what is new is added, unless words before it were taken back."""
        if not text.startswith(self._shown):
            self._aside("(takes that back)")
            self._shown = ""
        new = text[len(self._shown) :]
        if not new:
            return
        if not self._is_midline:
            self._write(self._mark, nl=False)
            new = new.lstrip("\n")
        self._write(visible(new), nl=False)
        self._shown = text
        self._is_midline = True

    def _aside(self, text: str) -> None:
        self._break()
        self._write(click.style(f"  · {text}", dim=True))

    def _break(self) -> None:
        if self._is_midline:
            self._write("")
        self._is_midline = False

    def _write(self, text: str, *, nl: bool = True) -> None:
        click.echo(text, nl=nl, color=self._colour)

    def _end(self, note: str) -> None:
        self._break()
        if note:
            self._write(click.style(f"  {note}", dim=True))
        self._shown = ""
