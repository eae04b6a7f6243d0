"""What a terminal plays, whatever plays it: sound comes in faster than it is heard, and may be taken back."""

from __future__ import annotations

from collections import deque
from typing import Final

FRAME: Final = 640
"""20 ms at 16 kHz."""


class Speaker:
    """`next_frame` is called every 20 ms; `played` holds the marks that were reached since it was asked last."""

    def __init__(self) -> None:
        self._waiting: deque[bytes | str] = deque()
        self._rest = b""
        self.is_playing = False

    def sound(self, pcm: bytes) -> None:
        self._waiting.append(pcm)

    def mark(self, name: str) -> None:
        self._waiting.append(name)

    def clear(self) -> None:
        """Drop what was not played yet, marks too."""
        self._waiting.clear()
        self._rest = b""

    def next_frame(self) -> tuple[bytes, list[str]]:
        """20 ms to play, silence where there is nothing, and the marks that lie before its end."""
        marks: list[str] = []
        while self._waiting:
            item = self._waiting[0]
            if len(self._rest) > FRAME or (len(self._rest) == FRAME and isinstance(item, bytes)):
                break
            del self._waiting[0]
            if isinstance(item, str):
                marks.append(item)
            else:
                self._rest += item
        frame, self._rest = self._rest[:FRAME], self._rest[FRAME:]
        self.is_playing = bool(frame)
        return frame.ljust(FRAME, b"\0"), marks
