"""What two sides say of their sound: offers and answers (RFC 3264), and the keys of an encrypted one (RFC 4568).

Codecs are chosen by name and not by number, and what the other side calls keys (telephone-event) keeps its number.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal

from aiosipua.sdp import (
    Codec,
    ConnectionData,
    MediaDescription,
    Origin,
    SdpMessage,
    parse_sdp,
    serialize_sdp,
)

CODECS: Final = {"PCMU": 0, "PCMA": 8}
EVENTS: Final = "telephone-event"
EVENTS_NUMBER: Final = 101
SUITE: Final = "AES_CM_128_HMAC_SHA1_80"
PLAIN: Final = "RTP/AVP"
SECURE: Final = "RTP/SAVP"
LONGEST: Final = 16_384

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
_MIRROR: Final[dict[str, Direction]] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


class SdpError(Exception):
    """A description that makes no sense (400), or nothing that we could agree to (488)."""

    def __init__(self, why: str, status: int = 488) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Crypto:
    """One `a=crypto`: the master key and salt, 30 bytes."""

    tag: str
    key: bytes

    @classmethod
    def new(cls, tag: str = "1") -> Crypto:
        return cls(tag, secrets.token_bytes(30))

    def __str__(self) -> str:
        return f"{self.tag} {SUITE} inline:{base64.b64encode(self.key).decode()}"

    def __repr__(self) -> str:
        return f"Crypto({self.tag!r}, …)"


@dataclass(frozen=True, slots=True)
class Far:
    """The other side's sound: where it wants ours, in which codec (`PCMU`, `PCMA`) under which number, the number of
    its keys, who sends to whom as it sees it, and its key."""

    ip: str
    port: int
    codec: str
    number: int
    events: int | None
    direction: Direction
    crypto: Crypto | None
    line: int = 0
    """Which of its media it is."""

    @property
    def sends(self) -> bool:
        return self.direction in ("sendrecv", "sendonly")

    @property
    def listens(self) -> bool:
        return self.direction in ("sendrecv", "recvonly") and self.ip not in ("0.0.0.0", "::") and self.port != 0


@dataclass(frozen=True, slots=True)
class Near:
    """Our side. `version` grows with every new description of one call."""

    ip: str
    port: int
    session: int
    version: int
    crypto: Crypto | None = None


def read(text: str) -> SdpMessage:
    """Raises SdpError."""
    if len(text) > LONGEST:
        raise SdpError("a description too long", 400)
    try:
        found = parse_sdp(text)
    except (ValueError, IndexError):
        raise SdpError("a description that makes no sense", 400) from None
    if not text.lstrip().startswith("v="):
        raise SdpError("not a description of sound", 400)
    return found


def offered(theirs: SdpMessage, srtp: str) -> Far:
    """The sound that they offer and we take. `srtp` is the trunk's: off, optional or required. Raises SdpError."""
    why = SdpError("no sound that we know: we take PCMU and PCMA")
    for line, media in enumerate(theirs.media):
        if media.media != "audio" or media.port == 0:
            continue
        if media.proto not in (PLAIN, SECURE):
            why = SdpError(f"sound over {media.proto[:20]} is not taken; use {PLAIN} or {SECURE}")
            continue
        crypto = _crypto(media)
        if media.proto == SECURE and (srtp == "off" or crypto is None):
            why = SdpError(f"encrypted sound is not taken here, or not with this suite; use {SUITE}")
        elif media.proto == PLAIN and srtp == "required":
            why = SdpError("only encrypted sound is taken")
        elif (codec := _codec(media)) is not None:
            return _far(theirs, media, line, codec, crypto if media.proto == SECURE else None)
    raise why


def accepted(theirs: SdpMessage, ours: Near) -> Far:
    """What they made of our offer. Raises SdpError."""
    media = theirs.media[0] if theirs.media else None
    if media is None or media.media != "audio" or media.port == 0:
        raise SdpError("they took no sound")
    crypto = _crypto(media)
    wanted = SECURE if ours.crypto is not None else PLAIN
    if media.proto != wanted or (ours.crypto is not None and crypto is None):
        raise SdpError("they answered with another kind of sound than was offered")
    codec = _codec(media)
    if codec is None:
        raise SdpError("they took a codec that was not offered")
    return _far(theirs, media, 0, codec, crypto if ours.crypto is not None else None)


def _far(sdp: SdpMessage, media: MediaDescription, line: int, codec: Codec, crypto: Crypto | None) -> Far:
    connection = media.connection or sdp.connection
    if connection is None:
        raise SdpError("no address for sound", 400)
    try:
        ip = str(ip_address(connection.address.partition("/")[0]))
    except ValueError:
        raise SdpError("the address for sound is none; names are not looked up") from None
    if not 0 < media.port < 65536 or ip_address(ip).is_multicast:
        raise SdpError("the address for sound is none")
    events = next((each.payload_type for each in media.codecs if _is_events(each)), None)
    direction = media.direction if media.direction != "sendrecv" else _session_direction(sdp)
    name = codec.encoding_name.upper()
    return Far(ip, media.port, name, codec.payload_type, events, _direction(direction), crypto, line)


def _session_direction(sdp: SdpMessage) -> str:
    return next((each for each in _MIRROR if each in sdp.attributes), "sendrecv")


def _direction(text: str) -> Direction:
    return _MIRROR[_MIRROR.get(text, "sendrecv")]


def _codec(media: MediaDescription) -> Codec | None:
    for codec in media.codecs:
        if codec.encoding_name.upper() in CODECS and codec.clock_rate == 8000 and 0 <= codec.payload_type < 128:
            return codec
    return None


def _is_events(codec: Codec) -> bool:
    return codec.encoding_name.lower() == EVENTS and codec.clock_rate == 8000 and 0 <= codec.payload_type < 128


def _crypto(media: MediaDescription) -> Crypto | None:
    for value in media.attributes.get("crypto", ()):
        tag, _, rest = value.strip().partition(" ")
        suite, _, keys = rest.strip().partition(" ")
        method, _, inline = keys.strip().partition(":")
        if suite.upper() != SUITE or method.lower() != "inline":
            continue
        try:
            key = base64.b64decode(inline.split("|")[0].split(" ")[0].split(";")[0], validate=True)
        except ValueError:
            continue
        if len(key) == 30 and tag.isdigit() and len(tag) <= 9 and inline.count(":") == 0:  # with an MKI it is not ours
            return Crypto(tag, key)
    return None


# what we say


def answer(theirs: SdpMessage, far: Far, near: Near) -> str:
    """Every line of theirs in its place; those that are not taken with port 0."""
    media = [
        MediaDescription(media=each.media, port=0, proto=each.proto, formats=list(each.formats) or ["0"])
        for each in theirs.media
    ]
    taken: Sequence[tuple[str, int]] = [(far.codec, far.number)]
    media[far.line] = _audio(near, taken, far.events, _MIRROR[far.direction])
    return _said(near, media)


def offer(near: Near, *, far: Far | None = None, direction: Direction = "sendrecv") -> str:
    """Our offer; in a call that has one already (`far`), with what was agreed to."""
    codecs = list(CODECS.items()) if far is None else [(far.codec, far.number)]
    events = EVENTS_NUMBER if far is None else far.events
    return _said(near, [_audio(near, codecs, events, direction)])


def _audio(near: Near, codecs: Sequence[tuple[str, int]], events: int | None, direction: Direction) -> MediaDescription:
    attributes: dict[str, list[str]] = {"rtpmap": [f"{number} {name}/8000" for name, number in codecs]}
    formats = [str(number) for _, number in codecs]
    if events is not None:
        formats.append(str(events))
        attributes["rtpmap"].append(f"{events} {EVENTS}/8000")
        attributes["fmtp"] = [f"{events} 0-15"]
    if near.crypto is not None:
        attributes["crypto"] = [str(near.crypto)]
    attributes["ptime"] = ["20"]
    attributes[direction] = []
    proto = SECURE if near.crypto is not None else PLAIN
    return MediaDescription(media="audio", port=near.port, proto=proto, formats=formats, attributes=attributes)


def _said(near: Near, media: list[MediaDescription]) -> str:
    kind = "IP6" if ":" in near.ip else "IP4"
    return serialize_sdp(
        SdpMessage(
            origin=Origin("-", str(near.session), str(near.version), "IN", kind, near.ip),
            session_name="-",
            connection=ConnectionData("IN", kind, near.ip),
            media=media,
        )
    )


def mirrored(direction: Direction) -> Direction:
    """As the other side sees it."""
    return _MIRROR[direction]
