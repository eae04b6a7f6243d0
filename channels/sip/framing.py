"""Where one message of a stream ends and the next begins (RFC 3261 section 18.3, RFC 5626 section 3.5.1)."""

from __future__ import annotations

import re
from typing import Final

MOST_HEADER: Final = 16 * 1024
MOST_BODY: Final = 64 * 1024
PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"

_LENGTH: Final = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class StreamError(Exception):
    """The stream makes no sense any more; it must be closed."""


class Stream:
    """Bytes in, whole messages out. A keepalive comes out as `PING`."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Raises StreamError for what no peer of good will sends."""
        self._rest += data
        found = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> bytes | None:
        rest = self._rest
        if rest.startswith(PING):
            del rest[:4]
            return PING
        if rest.startswith(PONG) and len(rest) > 2 and not rest.startswith(b"\r\n\r"):
            del rest[:2]  # the answer to our keepalive, or the end of theirs
        if len(rest) < 4:
            if bytes(rest) == PONG:
                rest.clear()
            return None
        end = rest.find(PING)
        if end < 0:
            if len(rest) > MOST_HEADER:
                raise StreamError("headers without an end")
            return None
        if end > MOST_HEADER:
            raise StreamError("headers too long")
        lengths = _LENGTH.findall(bytes(rest[: end + 2]))
        if len(set(lengths)) != 1:  # over a stream it is not optional: without it nobody knows where the body ends
            raise StreamError("no Content-Length" if not lengths else "several Content-Lengths")
        size = int(lengths[0])
        if size > MOST_BODY:
            raise StreamError("a body too long")
        whole = end + 4 + size
        if len(rest) < whole:
            return None
        message = bytes(rest[:whole])
        del rest[:whole]
        return message
