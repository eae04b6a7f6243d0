"""What of a conversation a model gets to read: the newest of it, within a number of messages and of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sessions.brains.base import Line

PER_LINE: Final = 4
"""Tokens that a message costs beside its words: its role and its marks."""


def tokens_in(text: str) -> int:
    """How many tokens a text is at most, as a rule of thumb that needs no tokenizer.

    Byte-pair vocabularies spend about one token on four ASCII characters of prose (fewer in code and digits), and on
    other scripts about one on two bytes of UTF-8: two to four Latin, Cyrillic or Arabic letters make two, an ideograph
    one to two, an emoji two. Counted here: one for three ASCII characters, one for two other bytes. Real counts of
    prose are 20 to 50 % below it; a text of rare symbols can be above.
    """
    if text.isascii():
        return (len(text) + 2) // 3
    size = len(text.encode("utf-8", "surrogatepass"))
    ascii_size = len(text.encode("ascii", "ignore"))
    return (ascii_size + 2) // 3 + (size - ascii_size + 1) // 2


def tokens_of(line: Line) -> int:
    calls = sum(tokens_in(call.name) + tokens_in(call.arguments) + PER_LINE for call in line.tool_calls)
    return PER_LINE + tokens_in(line.content) + calls


def trim(lines: Sequence[Line], *, max_messages: int, max_tokens: int) -> tuple[Line, ...]:
    """The newest lines within both limits, in their order.

    System lines at the beginning are kept and count only as tokens. The newest user message and everything after it
    is kept whatever it costs. A tool call and its results are one message, kept or left out together. What a model
    would refuse is mended: results without their call go, and so do calls that have no result for each.
    """
    start = next((n for n, line in enumerate(lines) if line.role != "system"), len(lines))
    units = _units(lines[start:])
    newest_user = next((n for n in range(len(units) - 1, -1, -1) if units[n][0].role == "user"), len(units))
    room = max_tokens - sum(map(tokens_of, lines[:start]))
    kept: list[tuple[Line, ...]] = []
    for n in range(len(units) - 1, -1, -1):
        room -= sum(map(tokens_of, units[n]))
        if n < newest_user and kept and (room < 0 or len(kept) >= max_messages):
            break
        kept.append(units[n])
    return (*lines[:start], *(line for unit in reversed(kept) for line in unit))


def cut_to(text: str, max_tokens: int) -> str:
    """A text (a tool's result, say) that fits, and says so where it was cut."""
    if tokens_in(text) <= max_tokens:
        return text
    share = max_tokens / tokens_in(text)
    return f"{text[: max(int(len(text) * share) - 48, 0)]} [cut here: it was {len(text):,} characters long]"


def _units(lines: Sequence[Line]) -> list[tuple[Line, ...]]:
    """Lines that belong together: a message, or a tool call with all of its results."""
    units: list[tuple[Line, ...]] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.role == "tool":
            continue
        if not line.tool_calls:
            units.append((line,))
            continue
        wanted = {call.id for call in line.tool_calls}
        results: dict[str, Line] = {}
        while at < len(lines) and lines[at].role == "tool":
            id_ = lines[at].tool_call_id
            if id_ in wanted:
                results.setdefault(id_, lines[at])
            at += 1
        if len(results) == len(wanted):
            units.append((line, *results.values()))
        elif line.content:
            units.append((line.model_copy(update={"tool_calls": ()}),))
    return units
