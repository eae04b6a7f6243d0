"""Markdown, as language models write it, in WhatsApp's own markup.

WhatsApp knows `*bold*`, `_italic_`, `~strike~`, code, quotes and lists; it has no headings, links or tables. Code and
links are left alone. A single `*word*` stays: it is emphasis on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_CODE_OR_LINK: Final = re.compile(
    r"(```.*?(?:```|\Z)|`[^`\n]+`)|(!?\[[^\[\]\n]{1,500}\]\([^()\s]{1,2000}\))|(https?://[^\s<>]+)", re.DOTALL
)
_NAMED_LINK: Final = re.compile(r"!?\[([^\[\]\n]+)\]\(([^()\s]+)\)")
_FENCE_LANGUAGE: Final = re.compile(r"\A```[A-Za-z0-9_+.#-]{1,30}[ \t]*\n")
_HEADING: Final = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+([^\n]*?)[ \t]*#*[ \t]*$", re.MULTILINE)
_RULE: Final = re.compile(r"^[ \t]{0,3}(?:-{3,}|\*{3,}|_{3,})[ \t]*$\n?", re.MULTILINE)
_BULLET: Final = re.compile(r"^([ \t]*)[*+][ \t]+(?=\S)", re.MULTILINE)
_BOLD_ITALIC: Final = re.compile(r"\*\*\*(?=\S)([^*\n]{1,2000}?)(?<=\S)\*\*\*")
_BOLD: Final = re.compile(r"\*\*(?=\S)([^*\n]{1,2000}?)(?<=\S)\*\*")
_BOLD_UNDERSCORES: Final = re.compile(r"(?<![\w_])__(?=\S)([^_\n]{1,2000}?)(?<=\S)__(?![\w_])")
_STRIKE: Final = re.compile(r"~~(?=\S)([^~\n]{1,2000}?)(?<=\S)~~")


def to_whatsapp(text: str) -> str:
    """The text with its Markdown rewritten."""
    if not any(mark in text for mark in "*_~#[`+-"):
        return text
    written: list[str] = []
    position = 0
    held: list[str] = []

    def hold(piece: str) -> str:
        held.append(piece)
        return f"\ue000{len(held) - 1}\ue001"

    text = text.replace("\ue000", "").replace("\ue001", "")
    for found in _CODE_OR_LINK.finditer(text):
        written.append(text[position : found.start()])
        position = found.end()
        code, named, bare = found.groups()
        if code is not None:
            written.append(hold(_FENCE_LANGUAGE.sub("```\n", code)))
        elif bare is not None:
            trail = re.search(r"[*_~]+\Z", bare)  # emphasis around a link is not part of it
            tail = trail.group() if trail else ""
            written.append(hold(bare.removesuffix(tail)) + tail)
        else:
            written.append(_spell_out(named, hold))
    written.append(text[position:])
    prose = _emphasis("".join(written))
    return re.sub("\ue000([0-9]+)\ue001", lambda found: held[int(found[1])], prose)


def _spell_out(link: str, hold: Callable[[str], str]) -> str:
    found = _NAMED_LINK.fullmatch(link)
    if found is None:
        return link
    words, target = found.groups()
    if not target.startswith(("http://", "https://", "mailto:", "tel:")):
        return link
    shown = target.removeprefix("mailto:").removeprefix("tel:")
    return hold(shown) if words in (target, shown) else f"{words} ({hold(shown)})"


def _emphasis(text: str) -> str:
    text = _RULE.sub("", text)
    text = _HEADING.sub(_heading, text)
    text = _BULLET.sub(r"\1- ", text)
    text = _BOLD_ITALIC.sub(r"*_\1_*", text)
    text = _BOLD.sub(r"*\1*", text)
    text = _BOLD_UNDERSCORES.sub(r"*\1*", text)
    return _STRIKE.sub(r"~\1~", text)


def _heading(found: re.Match[str]) -> str:
    words = found[1].replace("**", "").replace("__", "").strip("* ")
    return f"*{words}*" if words else ""
