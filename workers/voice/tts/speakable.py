"""What of a written text can be spoken: markdown, markup, emoji and code have no sound."""

from __future__ import annotations

import re
from typing import Final

FENCE: Final = "```"

_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)")
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9-]{0,20}(?:\s+[^<>=]{1,40}=[^<>]{0,200})?\s?/?>")
_RULE = re.compile(r"^[ \t]*[-*_=|:][-*_=|: \t]*$", re.MULTILINE)  # also the line under a table's head
_HEAD = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[> \t]*|[-*+•‣◦][ \t]+(?:\[[ xX]\][ \t]+)?)", re.MULTILINE)
_STARS = re.compile(r"(?<!\d)\*\*+|\*\*+(?!\d)|(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)|~~|`+")
_UNDERSCORES = re.compile(r"(?<!\w)_+(?=\S)|(?<=[^\s_])_+(?!\w)")
_PIPES = re.compile(r"(?:^|(?<=\s))\|(?=\s|$)", re.MULTILINE)
_EMOJI = re.compile(
    "(?:[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2190-\u21ff\u2300-\u23ff\u25a0-\u25ff]"
    "[\ufe0e\ufe0f\u20e3\u200d\U000e0020-\U000e007f]*)+|[\ufe0e\ufe0f\u20e3]+"
)


def speakable(text: str) -> str:
    """The words of it, with single spaces. A link is its text, code in a line stays, a block of code is left out."""
    if FENCE in text:
        text = _FENCED.sub(" ", text)
    if "<" in text:
        text = _TAG.sub(" ", _COMMENT.sub(" ", text))
    if "[" in text:
        text = _LINK.sub(r"\1", text)
    text = _HEAD.sub("", _RULE.sub("", text))
    text = _EMOJI.sub(" ", _PIPES.sub(" ", text))
    text = _UNDERSCORES.sub("", _STARS.sub("", text))
    return " ".join(text.split())


def has_sound(text: str) -> bool:
    """Whether anything in it is more than punctuation."""
    return any(char.isalnum() for char in text)
