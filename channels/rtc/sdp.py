"""An offer, looked at before anything is built for it.

Source: RFC 8866 (session descriptions), RFC 8839 (ICE in them), RFC 7587 (Opus in RTP).
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 48 * 1024
"""Characters. A browser's offer of sound and a data channel has 2,000 to 6,000."""
MOST_CANDIDATES: Final = 40
MOST_SECTIONS: Final = 2

_CANDIDATE: Final = re.compile(r"a=candidate:\S+ \S+ \S+ \S+ (?P<address>\S+) ")
_OPUS: Final = re.compile(r"a=rtpmap:\d{1,3} opus/48000/2", re.IGNORECASE)
_DEAF: Final = ("a=recvonly", "a=inactive")


class OfferError(Exception):
    """An offer that cannot be answered. The text is a sentence with the mend."""


def answerable(sdp: str, what: str = "offer") -> str:
    """The offer (or answer: `what`), as it is to be used: without addresses that only the caller's own network knows.

    Such an address (`….local`, which browsers give instead of a real one) would be looked up for a second before
    anything else happens; the browser's own checks find the way without it. Raises OfferError.
    """
    if len(sdp) > LONGEST:
        raise OfferError(f"the {what} has {len(sdp)} characters; at most {LONGEST} are read")
    lines = sdp.replace("\r\n", "\n").split("\n")
    if not lines or lines[0] != "v=0":
        raise OfferError(f"the {what} is no session description (it begins with v=0); send the sdp of your {what}")
    _check(lines, what)
    kept, spare, others = [], [], 0
    for line in lines:
        found = _CANDIDATE.match(line)
        if found is None:
            kept.append(line)
        elif found["address"].endswith(".local"):
            spare.append((len(kept), line))
        elif others < MOST_CANDIDATES:
            others += 1
            kept.append(line)
    if not others and spare:  # nothing else is known of them
        kept.insert(*spare[0])
    return "\r\n".join(kept)


def _check(lines: list[str], what: str) -> None:
    places = [place for place, line in enumerate(lines) if line.startswith("m=")]
    sections = [lines[start:end] for start, end in zip(places, [*places[1:], len(lines)], strict=False)]
    kinds = [section[0].removeprefix("m=").partition(" ")[0] for section in sections]
    if kinds.count("audio") != 1:
        raise OfferError(f"the {what} must have sound, once: add the microphone's track before you make the {what}")
    if len(kinds) > MOST_SECTIONS or any(kind not in ("audio", "application") for kind in kinds):
        raise OfferError(f"only sound and one data channel are taken here; leave everything else out of the {what}")
    sound = sections[kinds.index("audio")]
    if any(line in _DEAF for line in sound):
        raise OfferError(f"the {what} sends no sound; add the microphone's track before you make the {what}")
    if not any(_OPUS.match(line) for line in sound):
        raise OfferError(f"the {what} has no Opus, which is the only sound codec that is spoken here")
    for needed in ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:"):
        if not any(line.startswith(needed) for line in lines):
            raise OfferError(
                f"the {what} has no {needed.removeprefix('a=').rstrip(':')}; send it as the browser made it"
            )
