"""The texts of a reply's objects as one text, said as early as it can be.

Texts are put together as they are, with one space where a sentence or clause ends and the next text begins without one:
so whole sentences read well, and so do a model's tokens. What models write to call tools is no speech and is left out.
"""

from __future__ import annotations

import re
from typing import Final

_ENDS: Final = frozenset(".!?…:;,")
_TAGS: Final = ("tool_call", "tool_calls", "function_call", "function_calls")
_OPENING: Final = re.compile(r"<(tool_calls?|function_calls?)(?:\s[^<>]*)?>")
_ATTRIBUTES: Final = re.compile(r"<(?:tool_calls?|function_calls?)\s[^<>]*")
MAX_HELD: Final = 256
"""Characters. What looks like the beginning of a tag for longer than this is none."""


class Joining:
    """`add` returns what can be said by now; `end` what was held back."""

    def __init__(self) -> None:
        self._last = ""
        self._held = ""
        self._closing: str | None = None

    def add(self, text: str) -> str:
        if not text:
            return ""
        space = " " if self._last in _ENDS and self._last and not text[0].isspace() else ""
        self._last = text[-1]
        return self._speech(self._held + space + text)

    def end(self) -> str:
        """A tag that never closed stays unsaid; the beginning of one that never came is said."""
        held, self._held = self._held, ""
        return "" if self._closing is not None else held

    def _speech(self, text: str) -> str:
        said: list[str] = []
        place = 0  # a text may hold thousands of tags: the rest of it is not copied for each
        while True:
            if self._closing is not None:
                end = text.find(self._closing, place)
                if end < 0:
                    self._held = text[max(place, len(text) - len(self._closing) + 1) :]
                    return "".join(said)
                place, self._closing = end + len(self._closing), None
            opening = _OPENING.search(text, place)
            if opening is None:
                rest = text[place:]
                kept = _where_a_tag_may_begin(rest)
                said.append(rest[:kept])
                self._held = rest[kept:]
                return "".join(said)
            said.append(text[place : opening.start()])
            place, self._closing = opening.end(), f"</{opening[1]}>"


def _where_a_tag_may_begin(text: str) -> int:
    """The place from which on the end of a text could become an opening tag; its length when it could not."""
    place = text.rfind("<")
    if place < 0 or len(text) - place > MAX_HELD:
        return len(text)
    tail = text[place:]
    is_name = any(f"<{tag}".startswith(tail) for tag in _TAGS)
    return place if is_name or _ATTRIBUTES.fullmatch(tail) else len(text)
