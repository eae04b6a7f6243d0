"""Searching a person's text with an expression somebody wrote, in bounded time.

Python's `re` backtracks and cannot be stopped, not even in a thread (it holds the interpreter's lock). So the steps a
search may take at worst are estimated from the expression: a search that is cheap whatever the text is done at once;
one that could be slow (repeats inside repeats, or several repeats over a long text) is done by a short-lived
interpreter of its own, which is killed when it takes too long.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, Final

log = logging.getLogger(__name__)

MAX_TEXT: Final = 4096
"""Characters of a message that are searched: the longest message of most channels."""
MAX_STEPS: Final = 50_000_000
"""Worst-case steps, by a generous estimate, of a search that is done at once: at most some 25 ms."""
MAX_SECONDS: Final = 1.0
MAX_WAYS: Final = 1000
"""Ways through optional parts and choices: each costs more than a step of a repeat."""
_FEW: Final = 8
_REPEATS: Final = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
_BEGINNINGS: Final = ((sre.AT, sre.AT_BEGINNING), (sre.AT, sre.AT_BEGINNING_STRING))
_CHILD: Final = """
import json, re, sys
pattern, text = json.load(sys.stdin)
found = re.search(pattern, text)
json.dump(found and found.groupdict(), sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Expression:
    """`longest` is how many characters of text can be searched at once; longer texts are searched apart."""

    pattern: re.Pattern[str]
    longest: int

    def search(self, text: str) -> dict[str, str] | None:
        """The named groups that matched, or None. Only for texts of at most `longest` characters."""
        found = self.pattern.search(text)
        return None if found is None else _given(found.groupdict())

    async def search_apart(self, text: str) -> dict[str, str] | None:
        """The same in an interpreter of its own, some 30 ms; None also when it takes longer than MAX_SECONDS."""
        return await _search_apart(self.pattern.pattern, text)


@lru_cache(maxsize=4096)
def expression(pattern: str) -> Expression:
    """A compiled expression; raises re.error for one that is none."""
    return Expression(re.compile(pattern), _longest(pattern))


@dataclass(frozen=True, slots=True)
class _Cost:
    """A search takes at most about `ways` times the text's length to the power of `repeats` + 1 steps."""

    repeats: int = 0
    ways: float = 1


_EXPLODES: Final = _Cost(0, math.inf)


def _longest(pattern: str) -> int:
    """The longest text whose search takes at most MAX_STEPS."""
    parsed = _parser.parse(pattern)
    parts = list(parsed)
    places = 1  # a search begins at every character, unless the expression holds on to the first
    if parts and parts[0] in _BEGINNINGS and not parsed.state.flags & re.MULTILINE:
        places = 0
    if parts and parts[-1][0] in _REPEATS and _cost_of_part(*parts[-1]) == _Cost(1):
        parts.pop()  # nothing after it can fail, so it never tries again
    cost = _cost_of(parts)
    return min(MAX_TEXT, int((MAX_STEPS / cost.ways) ** (1 / max(cost.repeats + places, 1))))


def _cost_of(parsed: Sequence[Any]) -> _Cost:
    """Of a sequence: each part can begin wherever the one before it can end, so the ways multiply."""
    repeats, ways = 0, 1.0
    for code, argument in parsed:
        part = _cost_of_part(code, argument)
        repeats += part.repeats
        ways *= part.ways
    return _Cost(repeats, ways if ways <= MAX_WAYS else math.inf)


def _cost_of_part(code: Any, argument: Any) -> _Cost:
    if code in _REPEATS:
        least, most, parsed = argument
        body = _cost_of(parsed)
        is_simple = body == _Cost()
        if least == most and is_simple:
            return body
        if most <= _FEW:  # the same as writing it so many times
            return _Cost(body.repeats * most, min(body.ways**most, math.inf) * (most - least + 1))
        return _Cost(1) if is_simple else _EXPLODES  # each round has ways of its own: they double again and again
    if code is sre.BRANCH:
        choices = [_cost_of(choice) for choice in argument[1]]
        return _Cost(max(cost.repeats for cost in choices), sum(cost.ways for cost in choices))
    if code is sre.SUBPATTERN:
        return _cost_of(argument[-1])
    if code is sre.ATOMIC_GROUP:
        return _cost_of(argument)
    if code in (sre.ASSERT, sre.ASSERT_NOT):
        return _cost_of(argument[1])
    if code is sre.GROUPREF:
        return _Cost(1)
    return _EXPLODES if code is sre.GROUPREF_EXISTS else _Cost()


async def _search_apart(pattern: str, text: str) -> dict[str, str] | None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", _CHILD,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(MAX_SECONDS):
            answer, _ = await child.communicate(json.dumps([pattern, text]).encode())
    except TimeoutError:
        log.warning("the expression %r took more than %g s on a message and is passed over", pattern, MAX_SECONDS)
        return None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    found = json.loads(answer) if child.returncode == 0 else None
    return None if found is None else _given(found)


def _given(groups: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in groups.items() if value is not None}
