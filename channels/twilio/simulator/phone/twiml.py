"""TwiML, read: the verbs that a call can come across here."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.etree import ElementTree as ET


class TwimlError(Exception):
    """What Twilio logs as 12100 (not XML) or 12200 (not its schema)."""


@dataclass(frozen=True, slots=True)
class Verb:
    """`nouns` are the elements inside: name, attributes, text, and the parameters of a stream."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    nouns: tuple[Verb, ...] = ()


def parse(text: str) -> list[Verb]:
    """Raises TwimlError."""
    try:
        root = ET.fromstring(text)  # noqa: S314  # the server under test is ours
    except ET.ParseError as error:
        raise TwimlError(f"12100: not XML: {error}") from None
    if root.tag != "Response":
        raise TwimlError(f"12100: <{root.tag}> is no <Response>")
    return [_verb(each) for each in root]


def _verb(element: ET.Element) -> Verb:
    return Verb(element.tag, dict(element.attrib), (element.text or "").strip(), tuple(_verb(each) for each in element))
