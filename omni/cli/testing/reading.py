"""A spec's text to names and values, all of them strings.

Specs are shared with other runners, whose reader knows a small part of YAML: `key: value` lines, `key: |` with an
indented text below, and one indented `judge:` mapping. In that part a value is text whatever it looks like (`yes`,
`Books: a table`, `[draft] x`), so it is read here as those runners read it; everything else is YAML.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

OURS: Final = "turns"
"""The one key that the small part does not know."""

_LINE: Final = re.compile(r"(\w+):[ \t]*(.*)")
_LONG: Final = re.compile(r"[|>][+-]?\d?[+-]?$")
_PROSE: Final = frozenset({"description", "greeting", "workflow"})
"""Keys whose text may hold a `#`: elsewhere it begins a remark."""


def read(text: str) -> dict[str, Any]:
    """Lines that begin with `#` are dropped everywhere, also in the midst of a workflow. Raises ValueError."""
    lines = [_without_remark(line.removesuffix("\r")) for line in text.split("\n")]
    values = _read_small(lines)
    return values if values is not None else _read_yaml("\n".join(lines))


def _without_remark(line: str) -> str:
    bare = line.strip()
    return "" if not bare or bare.startswith("#") else line


def _read_small(lines: list[str]) -> dict[str, Any] | None:
    """None when a line is outside the small part."""
    values: dict[str, Any] = {}
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line:
            continue
        found = _LINE.match(line)
        if found is None or found[1] == OURS:
            return None
        key, value = found[1], found[2].strip()
        if value == "|":
            values[key], at = _block(lines, at)
        elif key == "judge" and not value:
            mapping, at = _mapping(lines, at)
            if mapping is None:
                return None
            values[key] = mapping
        elif key == "judge" or _LONG.match(value):
            return None
        else:
            values[key] = _plain(key, value)
    return values


def _block(lines: list[str], at: int) -> tuple[str, int]:
    """The indented lines from there on as one text, and where they end."""
    first = next((line for line in lines[at:] if line), "")
    indent = len(first) - len(first.lstrip())
    end = at
    while end < len(lines) and (not lines[end] or (indent and not lines[end][:indent].strip())):
        end += 1
    return "\n".join(line[indent:] for line in lines[at:end]).strip(), end


def _mapping(lines: list[str], at: int) -> tuple[dict[str, str] | None, int]:
    values: dict[str, str] = {}
    while at < len(lines) and (not lines[at] or lines[at].startswith("  ")):
        found = _LINE.match(lines[at].strip())
        if lines[at] and found is None:
            return None, at
        if found is not None:
            values[found[1]] = _plain(found[1], found[2].strip())
        at += 1
    return values, at


def _plain(key: str, value: str) -> str:
    if value[:1] in ("'", '"'):
        try:
            quoted = yaml.load(value, Loader=yaml.BaseLoader)  # noqa: S506 - it makes strings only
        except yaml.YAMLError:
            return value[1:-1] if value[-1] == value[0] and len(value) > 1 else value
        return quoted if isinstance(quoted, str) else value
    return value if key in _PROSE else re.split(r"\s#", value, maxsplit=1)[0].rstrip()


def _read_yaml(text: str) -> dict[str, Any]:
    try:
        values = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes strings, lists and mappings only
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ValueError("it holds no `agent:` and no `workflow:`")  # noqa: TRY004 - every complaint is one
    return values
