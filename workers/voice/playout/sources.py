"""Sound besides speech: what plays in a loop while nobody says anything, and tones between words."""

from __future__ import annotations


class Loop:
    """Hold music, or the sound of an office: again and again from where the caller's ear is."""

    def __init__(self, pcm: bytes) -> None:
        self._pcm = pcm
        self.sent = 0
        self.heard = 0

    def next_frame(self, size: int) -> bytes | None:
        if not self._pcm:
            return None
        at = self.sent % len(self._pcm)
        frame = self._pcm[at : at + size]
        while len(frame) < size:
            frame += self._pcm[: size - len(frame)]
        self.sent += size
        return frame

    def rewind(self) -> None:
        self.sent = self.heard


class Tones:
    """Keys that we press, as sound."""

    def __init__(self, name: str, pcm: bytes) -> None:
        self.name = name
        self._pcm = pcm
        self.sent = 0
        self.heard = 0

    @property
    def is_sent(self) -> bool:
        return self.sent >= len(self._pcm)

    @property
    def is_over(self) -> bool:
        return self.heard >= len(self._pcm)

    def next_frame(self, size: int) -> bytes | None:
        frame = self._pcm[self.sent : self.sent + size]
        self.sent += size
        return frame.ljust(size, b"\0")

    def rewind(self) -> None:
        self.sent = self.heard
