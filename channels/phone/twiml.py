"""The TwiML that calls are answered with.

Written by hand: it is a dozen elements, and Twilio's package costs every process that only answers webhooks a tenth of
a second at start. Source: Twilio's TwiML reference (Connect, Stream, Dial, Reject).
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

MIME: Final = "text/xml"
LONGEST: Final = 4000
"""Characters of TwiML that may be given with a REST request."""
TOKEN: Final = "token"
"""The name of the parameter that admits a call's sound."""
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def connect(media_url: str, token: str) -> str:
    """A stream both ways. Twilio does nothing more until our side closes it, and then hangs up."""
    response = ET.Element("Response")
    stream = ET.SubElement(ET.SubElement(response, "Connect"), "Stream", {"url": media_url})
    ET.SubElement(stream, "Parameter", {"name": TOKEN, "value": token})
    return _text(response)


def reject(reason: str) -> str:
    """`busy`: the caller hears a busy line; `rejected`: that the number is not in service. It costs nothing."""
    response = ET.Element("Response")
    ET.SubElement(response, "Reject", {"reason": reason})
    return _text(response)


def hang_up() -> str:
    response = ET.Element("Response")
    ET.SubElement(response, "Hangup")
    return _text(response)


def press(digits: str) -> str:
    """Keys towards the other party; `w` waits half a second."""
    response = ET.Element("Response")
    ET.SubElement(response, "Play", {"digits": digits})
    return _text(response)


def say(words: str) -> str:
    """Words in Twilio's own voice: where no stream is, as before two parties are joined."""
    response = ET.Element("Response")
    ET.SubElement(response, "Say").text = words
    return _text(response)


def transfer(to: str, *, number: str, ring: float, after: str, joined: str, announce_url: str | None = None) -> str:
    """Call somebody and join the two. `after` is asked what next when that ends, or reached nobody; `joined` is told
    when somebody answers, and `announce_url` asked what they are told first. All are absolute."""
    response = ET.Element("Response")
    given = {
        "callerId": number,
        "timeout": str(max(1, round(ring))),
        "action": after,
        "method": "POST",
        "answerOnBridge": "true",
    }
    dial = ET.SubElement(response, "Dial", given)
    target = {"statusCallback": joined, "statusCallbackEvent": "answered", "statusCallbackMethod": "POST"}
    if announce_url is not None:
        target |= {"url": announce_url, "method": "POST"}
    ET.SubElement(dial, "Sip" if to.startswith(("sip:", "sips:")) else "Number", target).text = to
    return _text(response)


def _text(response: ET.Element) -> str:
    """What XML cannot hold is left out: Twilio would refuse the whole document for one control character."""
    for element in response.iter():
        element.text = element.text and _ILLEGAL.sub("", element.text)
        for name, value in element.attrib.items():
            element.set(name, _ILLEGAL.sub("", value))
    return '<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(response, encoding="unicode")
