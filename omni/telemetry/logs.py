"""Log lines: aligned for a person, or one JSON object each for a machine. Never a secret in either.

Parts of omni name what a line is about with `extra={"call": …, "agent": …, "delivery": …, "conversation": …}`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

from omni.telemetry import tracing
from omni.telemetry.repeats import Repeats

ABOUT: Final = ("call", "agent", "delivery", "conversation")
"""Fields of a record that say what it is about, in the order they are shown."""

MAX_TEXT: Final = 4_000
MAX_TRACE: Final = 12_000
MAX_FIELD: Final = 200
"""Characters. Longer texts are cut in the middle of nowhere rather than flooding a log."""

_NOISY: Final = (
    "aiormq",
    "aio_pika",
    "httpx",
    "httpcore",
    "openai",
    "pymongo",
    "asyncio",
    "aiohttp",
    "urllib3",
    "faster_whisper",
    "opentelemetry",
)

HIDDEN: Final = "…"
_NAMES: Final = (
    r"access_token|appsecret_proof|app_secret|hub\.verify_token|verify_token|client_secret|api[-_]?key|password|token"
)
_SECRETS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # Headers, form fields, query parameters and JSON members, however they are written next to their value.
        r"(?P<keep>\bauthorization[\"']?\s*[:=,]\s*[\"']?(?:bearer|basic|oauth)?\s*)[^\s\"',;&}\])]+",
        r"(?P<keep>\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}",
        rf"(?P<keep>\b(?:{_NAMES})[\"']?\s*(?:[:=]|%3d)\s*[\"']?)[^\s\"',;&}}\])]+",
        r"(?P<keep>[?&]k=)[^\s\"'&]+",
        r"(?P<keep>\bsk-)[A-Za-z0-9_-]{8,}",
        r"(?P<keep>\bpk_)[A-Za-z0-9_-]{8,}",
        r"(?P<keep>\b[a-z]{2,4}_)eyJ[A-Za-z0-9_.-]{8,}",  # what we seal: tokens, visitors
        r"(?P<keep>\bEAA)[A-Za-z0-9]{20,}",
        r"(?P<keep>\b[a-z][a-z0-9+.-]{1,20}://[^\s/@:\"']{0,256}:)[^\s/@\"']{1,256}(?=@)",
    )
)
_MAY_HOLD_SECRET: Final = re.compile(
    r"authoriz|bearer|token|secret|api[-_]?key|password|sk-|pk_|_eyJ|[?&]k=|EAA|://[^\s/]*@", re.IGNORECASE
)


def without_secrets(text: str) -> str:
    """The text with everything that looks like a credential replaced by `…`.

    The last line of defence: the parts of omni keep secrets out of their messages themselves.
    """
    if not _MAY_HOLD_SECRET.search(text):
        return text
    for pattern in _SECRETS:
        text = pattern.sub(lambda found: found["keep"] + HIDDEN, text)
    return text


def one_line(text: str, limit: int) -> str:
    """Text from anywhere as part of a line: control characters written out, invisible ones too, and bounded."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else _written(c) for c in cut)


def _written(character: str) -> str:
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character) or character.encode(
        "unicode_escape", "backslashreplace"
    ).decode()


def short(name: str) -> str:
    """An id as people can hold it: the transport and the last letters."""
    return name if len(name) <= 16 else f"{name[:3]}…{name[-8:]}"


def _about(record: logging.LogRecord) -> dict[str, str]:
    found: dict[str, str] = {}
    for field in ABOUT:
        value = getattr(record, field, None)
        if value is not None:
            found[field] = one_line(without_secrets(str(value)), MAX_FIELD)
    if (left_out := getattr(record, "left_out", None)) is not None:
        found["left_out"] = str(left_out)  # so many lines like it (`Repeats`)
    if (trace := tracing.trace_id()) is not None:
        found["trace_id"] = trace
    return found


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except (TypeError, ValueError):  # a log line must not break what it tells about
        text = f"{record.msg} {record.args!r}"
    return without_secrets(text[: 2 * MAX_TEXT])


class JsonLines(logging.Formatter):
    """`{"time", "level", "logger", "message", …, "trace_id"?, "error"?}`, and of ABOUT what the line is about."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": one_line(_message(record), MAX_TEXT),
            **_about(record),
        }
        if record.exc_info:
            trace = without_secrets(self.formatException(record.exc_info))
            line["error"] = trace[-MAX_TRACE:]
        return json.dumps(line, ensure_ascii=True)


_COLOURS: Final[Mapping[int, str]] = {
    logging.DEBUG: "\x1b[2m",
    logging.INFO: "\x1b[32m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[41;97m",
}
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


class Pretty(logging.Formatter):
    """`12:03:04.123 info  whatsapp.webhook   text  call=wa-0c1d2e agent=echo`."""

    def __init__(self, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created)) + f".{int(record.msecs):03d}"
        level = "warn" if record.levelno == logging.WARNING else record.levelname.lower()
        name = record.name.removeprefix("omni.")
        about = " ".join(f"{field}={short(value)}" for field, value in _about(record).items())
        text = one_line(_message(record), MAX_TEXT)
        if self._colour:
            level = f"{_COLOURS.get(record.levelno, '')}{level:<5}{_PLAIN}"
            line = f"{_DIM}{clock}{_PLAIN} {level} {_DIM}{name:<18}{_PLAIN} {text}"
            line += f"  {_DIM}{about}{_PLAIN}" if about else ""
        else:
            line = f"{clock} {level:<5} {name:<18} {text}" + (f"  {about}" if about else "")
        if record.exc_info:
            trace = without_secrets(self.formatException(record.exc_info))[-MAX_TRACE:]
            line += "\n" + "\n".join(f"    {one_line(row, MAX_TEXT)}" for row in trace.splitlines())
        return line


def configure(
    format: Literal["pretty", "json"] = "pretty",  # noqa: A002 - the setting's own name
    level: str = "info",
    stream: TextIO | None = None,
) -> None:
    """Send the process's log to `stream` (stderr), replacing what was configured before.

    Libraries are heard from `warning` on, whatever the level. Warnings that repeat are told some times a minute.
    """
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.addFilter(Repeats())
    handler.setFormatter(JsonLines() if format == "json" else Pretty(colour=out.isatty()))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
