"""What a browser sends: read once, refused with a sentence, never with an exception of ours."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.chat.frames import (
    MAX_TEXT,
    ContextFrame,
    EndFrame,
    FrameRefusedError,
    HelloFrame,
    MessageFrame,
    PingFrame,
    TypingFrame,
    parse,
)
from channels.chat.pace import BURST, EVERY, MOST_DELAYED, Pace


def read(**fields: Any) -> Any:
    return parse(json.dumps(fields))


def test_every_event_is_read() -> None:
    assert read(event="message", text="hi") == MessageFrame(event="message", text="hi")
    assert read(event="set_context", key="cart", value="2") == ContextFrame(event="set_context", key="cart", value="2")
    assert read(event="typing") == TypingFrame(event="typing", on=True)
    assert read(event="typing", on=False).on is False
    assert isinstance(read(event="end"), EndFrame)
    assert isinstance(read(event="ping"), PingFrame)
    assert isinstance(read(event="hello", agent="desk"), HelloFrame)


def test_an_event_of_another_release_is_let_be() -> None:
    assert read(event="dance", with_="me") is None


def test_a_context_value_is_text_or_json_or_nothing() -> None:
    assert read(event="set_context", key="k", value="text").text == "text"
    assert read(event="set_context", key="k", value={"n": 1}).text == '{"n": 1}'
    assert read(event="set_context", key="k", value=None).text is None
    assert read(event="set_context", key="k").text is None


def test_half_a_character_is_replaced_and_a_whole_one_stays() -> None:
    assert parse('{"event": "message", "text": "a \\ud83d b \\ud83d\\ude00"}') == MessageFrame(
        event="message", text="a \ufffd b \U0001f600"
    )
    assert read(event="set_context", key="k", value={"a\ud800": ["\udfff"]}).text == '{"a\ufffd": ["\ufffd"]}'


@pytest.mark.parametrize(
    ("text", "what", "words"),
    [
        ("", "frame", "not JSON"),
        ("[" * 100_000, "frame", "not JSON"),
        ("[1]", "frame", "object"),
        ('{"event": 7}', "frame", "event"),
        ('{"event": "message"}', "message", "empty"),
        ('{"event": "message", "text": "  \\n"}', "message", "empty"),
        ('{"event": "message", "text": 7}', "message", "text: "),
        ('{"event": "message", "text": "a", "id": "a b"}', "message", "id: "),
        ('{"event": "message", "text": "a", "files": ["1","2","3","4","5","6"]}', "message", "files: "),
        ('{"event": "set_context", "value": 1}', "set_context", "key: "),
        ('{"event": "typing", "on": "perhaps"}', "typing", "on: "),
    ],
)
def test_what_cannot_be_acted_on_is_refused_with_a_sentence(text: str, what: str, words: str) -> None:
    with pytest.raises(FrameRefusedError, match=words) as refused:
        parse(text)
    assert refused.value.what == what


def test_a_message_that_is_too_long_names_its_id() -> None:
    assert read(event="message", id="m1", text="ä" * (MAX_TEXT // 2)).id == "m1"
    with pytest.raises(FrameRefusedError, match="8 kB") as refused:
        read(event="message", id="m1", text="ä" * (MAX_TEXT // 2) + "b")
    assert refused.value.id == "m1"


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_json_breaks_the_reader(value: Any) -> None:
    for fields in (value, {"event": "message", "text": value}, {"event": value}, {"event": "hello", "after": value}):
        with suppress(FrameRefusedError):
            parse(json.dumps(fields))


def test_a_person_is_never_slowed() -> None:
    pace = Pace()
    assert all(pace.take(float(second)) == 0 for second in range(100))


def test_a_burst_is_taken_and_then_slowed_and_a_flood_is_known() -> None:
    pace, now, waits = Pace(), 0.0, []
    for _ in range(BURST + MOST_DELAYED):
        waits.append(pace.take(now))
        now += waits[-1]
    assert waits[:BURST] == [0.0] * BURST
    assert waits[BURST:] == pytest.approx([EVERY] * MOST_DELAYED)
    assert not pace.is_flood
    pace.take(now)
    assert pace.is_flood
    assert pace.take(now + 60) == 0
    assert not pace.is_flood
