"""What a file is, by its first bytes. Pure. What it is called, and what somebody says it is, proves nothing."""

from __future__ import annotations

import re
from typing import Final

from omni.model.message import MediaKind

HEAD: Final = 4096
"""Bytes that are enough to tell."""

OCTETS: Final = "application/octet-stream"
_MARKUP: Final = re.compile(rb"<\s*(?:!doctype|html|head|body|script|svg|\?xml|iframe|style)", re.IGNORECASE)
_CONTROLS: Final = bytes(code for code in range(32) if code not in b"\t\n\v\f\r\x1b")
_OOXML: Final = "application/vnd.openxmlformats-officedocument."
_ODF: Final = "application/vnd.oasis.opendocument."
_OLE: Final = frozenset({"application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"})

_MAGIC: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"#!AMR", "audio/amr"),
)
_BRANDS: Final = {b"M4A ": "audio/mp4", b"M4B ": "audio/mp4", b"qt  ": "video/quicktime"}

SHOWN: Final = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "audio/mpeg",
        "audio/mp4",
        "audio/aac",
        "audio/amr",
        "audio/ogg",
        "audio/wav",
        "audio/webm",
        "video/mp4",
        "video/webm",
        "video/3gpp",
        "video/quicktime",
    }
)
"""What a browser may show in place: nothing that can hold a script."""


def sniffed(head: bytes) -> str | None:
    """The type that the first bytes tell; None when they tell nothing."""
    for place, sign, mime in _MAGIC:
        if head[place : place + len(sign)] == sign:
            return mime
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return _BRANDS.get(brand) or ("video/3gpp" if brand.startswith(b"3g") else "video/mp4")
    if head[:4] == b"\x1aE\xdf\xa3":
        return "video/webm"
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "audio/aac"
    return "audio/mpeg" if _is_mp3_frame(head) else None


def _is_mp3_frame(head: bytes) -> bool:
    """MPEG audio without a tag before it: its first frame, layer III, of a bit rate and a sampling rate that exist."""
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return False
    return head[1] & 0x18 != 0x08 and head[2] & 0xF0 not in (0x00, 0xF0) and head[2] & 0x0C != 0x0C


def type_of(head: bytes, claimed: str) -> str:
    """The type to keep a file under. Where the bytes tell it, a claim that differs is put right; a text, an archive or
    an office document is what it is said to be, if it can be. Raises ValueError with a sentence for a lie."""
    claimed = claimed.partition(";")[0].strip().lower()
    found = sniffed(head)
    if found is not None:
        if found == "video/webm" and claimed == "audio/webm":
            return claimed
        if found == "video/mp4" and claimed in ("audio/mp4", "audio/m4a", "audio/x-m4a"):
            return "audio/mp4"
        return found
    if kind_of(claimed) is not MediaKind.DOCUMENT:
        raise ValueError(f"the file is said to be {claimed[:60]}, and its content is not; choose another file")
    if _MARKUP.search(head):
        return OCTETS
    if head[:4] == b"PK\x03\x04" and (claimed.startswith((_OOXML, _ODF)) or claimed == "application/zip"):
        return claimed
    if head[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" and claimed in _OLE:
        return claimed
    return (claimed if claimed == "text/csv" else "text/plain") if _is_text(head) else OCTETS


def kind_of(mime: str) -> MediaKind:
    family = mime.partition("/")[0]
    if mime == "image/svg+xml":
        return MediaKind.DOCUMENT
    return {"image": MediaKind.IMAGE, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}.get(
        family, MediaKind.DOCUMENT
    )


def _is_text(head: bytes) -> bool:
    if head.translate(None, _CONTROLS) != head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and error.reason == "unexpected end of data"
    return True
