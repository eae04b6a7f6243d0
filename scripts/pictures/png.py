"""A page's picture with 256 colours, which is as many as an interface has and a third of the bytes."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST = 256


def shrunk(picture: bytes) -> bytes:
    """An 8-bit RGB or RGBA picture, as browsers take them, with the colours that it has most of."""
    chunks = dict(_chunks(picture))
    width, height, _, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    size = 4 if kind == 6 else 3
    rows = list(_rows(zlib.decompress(chunks[b"IDAT"]), width * size, size))
    pixels = [[bytes(row[at : at + 3]) for at in range(0, len(row), size)] for row in rows]
    counted = Counter(pixel for row in pixels for pixel in row)
    palette = _palette(counted)
    place = {colour: min(range(len(palette)), key=lambda n: _distance(colour, palette[n])) for colour in counted}
    body = b"".join(b"\0" + bytes(place[pixel] for pixel in row) for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", b"".join(palette)), (b"IDAT", zlib.compress(body, 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(name, part) for name, part in parts)


def _palette(counted: Counter[bytes]) -> list[bytes]:
    """One colour of each neighbourhood, of those that most is drawn in; a small red dot counts for more than grey."""
    neighbours: dict[tuple[int, ...], Counter[bytes]] = {}
    for colour, number in counted.items():
        neighbours.setdefault(tuple(part >> 3 for part in colour), Counter())[colour] = number

    def weight(around: Counter[bytes]) -> int:
        colour = around.most_common(1)[0][0]
        return around.total() * (1 + max(colour) - min(colour))

    chosen = sorted(neighbours.values(), key=weight, reverse=True)[:_MOST]
    return [around.most_common(1)[0][0] for around in chosen]


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    """By name; the data, which may be in several pieces, as one."""
    at = len(_SIGNATURE)
    data = b""
    while at < len(picture):
        (length,) = struct.unpack(">I", picture[at : at + 4])
        name, body = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]
        if name == b"IDAT":
            data += body
        else:
            yield name, body
        at += length + 12
    yield b"IDAT", data


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _rows(raw: bytes, length: int, size: int) -> Iterator[bytearray]:
    """The lines of the picture, their filters undone (PNG, section 9)."""
    above = bytearray(length)
    for start in range(0, len(raw), length + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + length])
        for n in range(length) if kind else ():
            left = row[n - size] if n >= size else 0
            corner = above[n - size] if n >= size else 0
            row[n] = (row[n] + _foreseen(kind, left, above[n], corner)) & 0xFF
        yield row
        above = row


def _foreseen(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 1:
        return left
    if kind == 2:
        return up
    if kind == 3:
        return (left + up) // 2
    guess = left + up - corner
    return min((left, up, corner), key=lambda one: abs(guess - one))
