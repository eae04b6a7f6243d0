"""A reply's bytes as replies, however the network cuts them.

`Lines` for newline-delimited JSON, `Whole` for one JSON object; both are fed pieces and told of the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from sessions.brains.webhook.reply import NotAReplyError, Reply, parse

MEBIBYTE: Final = 1024 * 1024
MAX_LINE: Final = MEBIBYTE
MAX_BODY: Final = MEBIBYTE
MAX_STREAM: Final = 16 * MEBIBYTE
MAX_LINES: Final = 100_000
"""Of one stream, empty ones too: reading a line takes microseconds, however little it says."""
MAX_WHOLE_LINES: Final = 10_000
"""Of a body that is read in one go."""
AT_ONCE: Final = 8 * 1024
"""Bytes to feed before others have their turn: so many can be thousands of lines."""
MAX_NOTES: Final = 20

NDJSON: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "text/x-ndjson"})


class Reader(Protocol):
    """`notes` are sentences about what was passed over; `problem` is why there was no reply at all."""

    notes: list[str]
    problem: str | None

    def feed(self, piece: bytes) -> Iterator[Reply]: ...

    def end(self) -> Iterator[Reply]:
        """No more bytes will come."""


def slices(piece: bytes) -> Iterator[bytes]:
    """A piece in parts of `AT_ONCE` bytes; one part, also of nothing, when it is small."""
    for start in range(0, len(piece) or 1, AT_ONCE):
        yield piece[start : start + AT_ONCE]


def reader_for(media_type: str) -> Reader:
    """`media_type` in lower case and without parameters."""
    return Lines() if media_type in NDJSON else Whole()


class Lines:
    """A reply as soon as its line is complete. What is not an object is skipped and noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.problem: str | None = None
        self._parts: list[bytes] = []
        self._length = 0
        self._size = 0
        self._number = 1
        self._is_skipping = False
        self.found = 0
        self.skipped = 0

    def feed(self, piece: bytes) -> Iterator[Reply]:
        self._size += len(piece)
        if self._size > MAX_STREAM:
            self.problem = f"sent more than {MAX_STREAM // MEBIBYTE} MiB"
            return
        *complete, rest = piece.split(b"\n")
        for part in complete:
            self._keep(part)
            yield from self._line()
            if self._number > MAX_LINES:
                self.problem = f"sent more than {MAX_LINES:,} lines"
                return
        self._keep(rest)

    def end(self) -> Iterator[Reply]:
        yield from self._line()
        if not self.found and self.problem is None:
            self.problem = "answered with no object in any line" if self._size else "answered with an empty body"

    def _keep(self, part: bytes) -> None:
        if self._is_skipping or not part:
            return
        self._length += len(part)
        if self._length > MAX_LINE:
            self._note(f"is longer than {MAX_LINE // MEBIBYTE} MiB")
            self.skipped += 1
            self._parts, self._is_skipping = [], True
            return
        self._parts.append(part)

    def _line(self) -> Iterator[Reply]:
        line = b"".join(self._parts)
        self._parts, self._length, self._is_skipping = [], 0, False
        if line.strip():
            try:
                reply = parse(line)
            except NotAReplyError as error:
                self._note(f"is {error}")
                self.skipped += 1
            else:
                self.found += 1
                for note in reply.notes:
                    self._note(f"has a mistake: {note}")
                yield reply
        self._number += 1

    def _note(self, what: str) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(f"line {self._number} {what}")


class Whole:
    """One object, when the body is complete. Where every line of it is an object, it is read as lines."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.problem: str | None = None
        self._body = bytearray()

    def feed(self, piece: bytes) -> Iterator[Reply]:
        if len(self._body) + len(piece) > MAX_BODY:
            self.problem = f"answered more than {MAX_BODY // MEBIBYTE} MiB"
            return
        self._body += piece
        yield from ()

    def end(self) -> Iterator[Reply]:
        body = bytes(self._body)
        if self.problem is not None:
            return
        if not body.strip():
            self.problem = "answered with an empty body"
            return
        try:
            reply = parse(body)
        except NotAReplyError as error:
            lines = Lines()  # some servers stream under the wrong name
            is_readable = body.count(b"\n") <= MAX_WHOLE_LINES
            replies = [*lines.feed(body), *lines.end()] if is_readable else []
            if lines.skipped or not is_readable:
                self.problem = f"answered with something that is {error}"
                return
            self.notes += lines.notes
            yield from replies
        else:
            self.notes += [f"the answer has a mistake: {note}" for note in reply.notes]
            yield reply
