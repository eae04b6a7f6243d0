"""What Twilio says, read; what we say to Twilio, written: whatever is in it."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from hypothesis import example, given
from hypothesis import strategies as st

from channels.phone import twiml
from channels.phone.payloads import Media, stream_message
from channels.twilio.simulator.phone.twiml import parse

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
EVENTS = st.sampled_from(["connected", "start", "media", "mark", "dtmf", "stop"])


@given(st.binary(max_size=200))
@example(b"[" * 60_000)
@example(b'{"event":"media","media":{"payload":"\xff"}}')
@example(b'{"event":"media","media":{"payload":"AAAA","timestamp":1e999}}')
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    stream_message(raw)


@given(EVENTS, ANYTHING, ANYTHING)
def test_no_message_breaks_the_reader(event: str, inner: object, field: object) -> None:
    for said in (inner, {"payload": field, "timestamp": field, "name": field, "digit": field, "mediaFormat": field}):
        stream_message(json.dumps({"event": event, event: said, "streamSid": field}).encode("utf-8", "surrogatepass"))


def test_numbers_may_be_texts_or_numbers() -> None:
    for stamp in ('"40"', "40", "40.0"):
        raw = b'{"event":"media","media":{"timestamp":%s,"payload":"//8="}}' % stamp.encode()
        assert stream_message(raw) == Media(40, b"\xff\xff")


@given(st.text(), st.text())
def test_whatever_is_said_or_named_twiml_stays_xml(words: str, token: str) -> None:
    (said,) = parse(twiml.say(words))
    assert said.name == "Say"
    (connect,) = parse(twiml.connect("wss://bots.example.com/twilio/media", token))
    (stream,) = connect.nouns
    assert stream.nouns[0].attributes.keys() == {"name", "value"}


def test_words_keep_their_letters() -> None:
    assert ET.fromstring(twiml.say("Zoë & <Bob> \x07🎉")).findtext("Say") == "Zoë & <Bob> 🎉"


def test_a_transfer_says_who_rings_for_how_long_and_where_to_go_on() -> None:
    text = twiml.transfer(
        "+12025550188",
        number="+12025550142",
        ring=25.4,
        after="https://b.example.com/twilio/after?a=1&b=2",
        joined="https://b.example.com/twilio/joined?n=1",
    )
    (dial,) = parse(text)
    assert dial.attributes == {
        "callerId": "+12025550142",
        "timeout": "25",
        "action": "https://b.example.com/twilio/after?a=1&b=2",
        "method": "POST",
        "answerOnBridge": "true",
    }
    (noun,) = dial.nouns
    assert (noun.name, noun.text) == ("Number", "+12025550188")
    assert noun.attributes == {
        "statusCallback": "https://b.example.com/twilio/joined?n=1",
        "statusCallbackEvent": "answered",
        "statusCallbackMethod": "POST",
    }
    (sip,) = parse(twiml.transfer("sip:desk@example.com", number="x", ring=0, after="y", joined="j", announce_url="z"))
    assert [(noun.name, noun.attributes["url"]) for noun in sip.nouns] == [("Sip", "z")]
    assert parse(twiml.press("1w2"))[0].attributes == {"digits": "1w2"}
