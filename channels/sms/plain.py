"""Markdown, as language models write it, as the plain text that a phone shows.

Emphasis, headings and fences lose their marks, links are spelled out, lists keep their dashes.
"""

from __future__ import annotations

import re
from typing import Final

_FENCE: Final = re.compile(r"^[ \t]*```[^\n`]*\n?", re.MULTILINE)
_CODE: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"!?\[([^\[\]\n]{1,500})\]\(([^()\s]{1,2000})\)")
_ADDRESS: Final = re.compile(r"https?://[^\s<>]*[^\s<>*_~]")
_HELD: Final = re.compile("\ue000([0-9]+)\ue001")
_HEADING: Final = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+([^\n]*?)[ \t]*#*[ \t]*$", re.MULTILINE)
_RULE: Final = re.compile(r"^[ \t]{0,3}(?:-{3,}|\*{3,}|_{3,})[ \t]*$\n?", re.MULTILINE)
_BULLET: Final = re.compile(r"^([ \t]*)[*+][ \t]+(?=\S)", re.MULTILINE)
_STARS: Final = re.compile(r"(?<![\w*])(\*{1,3})(?=\S)([^*\n]{1,2000}?)(?<=\S)\1(?![\w*])")
_UNDERSCORES: Final = re.compile(r"(?<![\w_])(_{1,3})(?=\S)([^_\n]{1,2000}?)(?<=\S)\1(?![\w_])")
_STRIKE: Final = re.compile(r"~~(?=\S)([^~\n]{1,2000}?)(?<=\S)~~")


def to_plain(text: str) -> str:
    """The text without its Markdown. Addresses stay as they are, letter for letter."""
    if not any(mark in text for mark in "*_~#[`+"):
        return text
    held: list[str] = []

    def hold(found: re.Match[str]) -> str:
        held.append(found.group())
        return f"\ue000{len(held) - 1}\ue001"

    text = _FENCE.sub("", text.replace("\ue000", "").replace("\ue001", ""))
    text = _unmarked(_ADDRESS.sub(hold, _LINK.sub(_spelled_out, text)))
    return _HELD.sub(lambda found: held[int(found[1])], text)


def _spelled_out(link: re.Match[str]) -> str:
    words, target = link.groups()
    if not target.startswith(("http://", "https://", "mailto:", "tel:")):
        return link.group()
    shown = target.removeprefix("mailto:").removeprefix("tel:")
    return shown if words in (target, shown) else f"{words} ({shown})"


def _unmarked(text: str) -> str:
    text = _HEADING.sub(r"\1", _RULE.sub("", text))
    text = _BULLET.sub(r"\1- ", text)
    for mark in (_STARS, _UNDERSCORES):
        text = mark.sub(r"\2", text)
    return _CODE.sub(r"\1", _STRIKE.sub(r"\1", text))
