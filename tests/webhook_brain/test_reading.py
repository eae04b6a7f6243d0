"""A reply's bytes as replies: the same ones however they are cut, and nothing of a bad line."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.brains.webhook.joining import Joining
from sessions.brains.webhook.ndjson import MAX_BODY, MAX_LINE, MAX_STREAM, Lines, Reader, Whole, reader_for
from sessions.brains.webhook.reply import Beside, Reply, reply_of


def read(reader: Reader, *pieces: bytes) -> list[Reply]:
    return [*(reply for piece in pieces for reply in reader.feed(piece)), *reader.end()]


LINE = st.one_of(
    st.builds(
        lambda text, interim: json.dumps({"text": text, "interim": interim}, ensure_ascii=False),
        st.text(),
        st.booleans(),
    ),
    st.sampled_from(["", "  ", "[1]", '"words"', "7", "null", "{", '{"text": 3}', '{"a":"\u2028 \u00e9 \U0001f600"}']),
).map(lambda text: text.encode("utf-8", "replace"))


@given(
    lines=st.lists(st.one_of(LINE, st.binary(max_size=8)), max_size=12),
    ends=st.sampled_from([b"\n", b"\r\n"]),
    last=st.booleans(),
    cuts=st.lists(st.integers(0, 600), max_size=20),
)
def test_any_split_of_the_bytes_gives_the_same_replies(
    lines: list[bytes], ends: bytes, last: bool, cuts: list[int]
) -> None:
    raw = ends.join(lines) + (ends if last else b"")
    whole, cut = Lines(), Lines()
    places = sorted({0, len(raw), *(place for place in cuts if place < len(raw))})
    pieces = [raw[start:end] for start, end in pairwise(places)]
    assert read(cut, *pieces) == read(whole, raw)
    assert (cut.notes, cut.problem) == (whole.notes, whole.problem)
    one_by_one = Lines()
    assert read(one_by_one, *(raw[n : n + 1] for n in range(len(raw)))) == read(Lines(), raw)


def test_a_bad_line_is_skipped_and_noted_and_the_last_needs_no_newline() -> None:
    reader = Lines()
    raw = b'{"text":"a","interim":true}\r\n\n[1]\n{"text":"\xff"}\nnope\n{"text":"b"}'
    assert [reply.text for reply in read(reader, raw)] == ["a", "b"]
    assert reader.notes == [
        "line 3 is not an object but a list",
        "line 4 is not UTF-8",
        "line 5 is not JSON",
    ]
    assert reader.problem is None


def test_a_huge_line_is_dropped_without_being_kept() -> None:
    reader = Lines()
    pieces = [b'{"text":"' + b"x" * 400_000] * 4 + [b'"}\n{"text":"small"}\n']
    assert [reply.text for reply in read(reader, *pieces)] == ["small"]
    assert reader.notes == ["line 1 is longer than 1 MiB"]
    assert sum(map(len, reader._parts)) < MAX_LINE


def test_a_stream_without_end_is_a_problem() -> None:
    reader = Lines()
    for _ in range(MAX_STREAM // 65_536 + 1):
        assert not list(reader.feed(b"\n" * 65_536))
    assert reader.problem is not None
    assert "more than 16 MiB" in reader.problem


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "an empty body"),
        (b" \n ", "an empty body"),
        (b'"hello"', "not an object but a string"),
        (b"[]", "not an object but a list"),
        (b"7", "not an object but a number"),
        (b"null", "not an object but null"),
        (b"true", "not an object but a boolean"),
        (b"<html>", "not JSON"),
        (b'{"text":"\xff"}', "not UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b'{"text":"a"}\nnope', "not JSON"),
        (b" " * (MAX_BODY + 1), "more than 1 MiB"),
    ],
)
def test_a_body_that_is_no_object_is_a_problem(body: bytes, problem: str) -> None:
    reader = Whole()
    assert read(reader, body) == []
    assert reader.problem is not None
    assert problem in reader.problem


def test_lines_under_the_wrong_media_type_are_read_as_lines() -> None:
    reader = reader_for("application/json")
    assert [r.text for r in read(reader, b'{"text":"a","interim":true}\n\n', b'{"text":"b"}')] == ["a", "b"]
    assert reader.problem is None


@pytest.mark.parametrize(
    "media_type", ["application/x-ndjson", "application/ndjson", "application/jsonl", "text/x-ndjson"]
)
def test_streams_are_known_by_their_media_type(media_type: str) -> None:
    assert isinstance(reader_for(media_type), Lines)


@pytest.mark.parametrize(
    ("fields", "reply"),
    [
        ({"text": ""}, Reply()),
        ({}, Reply()),
        ({"text": "x", "interim": True}, Reply("x", closes=False)),
        ({"text": "x", "interim": "true"}, Reply("x")),
        ({"text": "x", "interim": 1}, Reply("x")),
        ({"text": "x", "interim": True, "hangup": True}, Reply("x", hangs_up=True)),
        ({"text": "x", "interim": True, "action": "transfer"}, Reply("x", transfers=True)),
        ({"action": "hangup"}, Reply(hangs_up=True)),
        ({"transfer": True}, Reply(transfers=True)),
        ({"hangup": False}, Reply()),
        ({"digits": "12#"}, Reply(digits="12#")),
        ({"dtmf": "1"}, Reply(digits="1")),
        ({"press_digit": "0"}, Reply(digits="0")),
        ({"send_message": {"body": "hi"}}, Reply(beside=Beside("hi"))),
        ({"send_message": {"body": "hi", "to": "+1"}}, Reply(beside=Beside("hi", "+1"))),
        ({"text": "x", "voice": "v", "unknown": [1]}, Reply("x")),
    ],
)
def test_what_an_object_asks_for(fields: dict[str, Any], reply: Reply) -> None:
    assert reply_of(fields) == reply


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"text": 3}, "`text` is a number"),
        ({"hangup": "yes"}, "`hangup` is a string"),
        ({"action": "sing"}, "'sing' is not known; use transfer, hangup or handoff"),
        ({"digits": "call me"}, "keys of a phone"),
        ({"digits": 12}, "`digits` is a number"),
        ({"send_message": "hi"}, "use an object with `body`"),
        ({"send_message": {"body": " "}}, "has no `body`"),
        ({"transferNumber": "+1"}, "the agent's own number is"),
    ],
)
def test_a_field_of_a_wrong_type_is_left_out_and_noted(fields: dict[str, Any], note: str) -> None:
    reply = reply_of(fields)
    assert reply == Reply(notes=reply.notes)
    assert any(note in one for one in reply.notes)


def test_half_an_emoji_becomes_something_that_can_be_sent() -> None:
    assert reply_of({"text": "a\ud83d"}).text == "a?"


def said(*texts: str) -> str:
    joining = Joining()
    return "".join(joining.add(text) for text in texts) + joining.end()


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (("Let me look.", "Found it."), "Let me look. Found it."),
        (("Let me look. ", "Found it."), "Let me look. Found it."),
        (("The", " or", "der", " is", " here", "."), "The order is here."),
        (("One,", "two;", "three:", "four…", "five!", "six?", "7"), "One, two; three: four… five! six? 7"),
        (("wo", "rd"), "word"),
        (("a.", "", "b"), "a. b"),
        (("a", "\nb"), "a\nb"),
        (('Look. <tool_call>{"a":1}</tool_call>Done',), "Look. Done"),
        (("Look <tool", '_call>{"a"', ":1}</tool_", "call> now"), "Look  now"),
        (("<function_call name='x'>y</function_call>z",), "z"),
        (("x <tool_call>never closed",), "x "),
        (("a < b and <b>bold</b> <",), "a < b and <b>bold</b> <"),
        (("I <too",), "I <too"),
        (("1 <", "2"), "1 <2"),
    ],
)
def test_texts_are_joined_as_one_would_write_them(texts: tuple[str, ...], whole: str) -> None:
    assert said(*texts) == whole


@given(st.text(alphabet="<>/tolcafuni_ s ab.", max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_markup_is_left_out_wherever_the_texts_are_cut(text: str, cuts: list[int]) -> None:
    text = text.replace(".", "")  # where a sentence ends, a cut adds a space
    full = f"{text}<tool_call>secret</tool_call>after"
    places = sorted({0, len(full), *(place for place in cuts if place < len(full))})
    assert said(*(full[start:end] for start, end in pairwise(places))) == said(full)
    assert "secret" not in said(full)


def test_words_are_not_held_back_without_need() -> None:
    joining = Joining()
    assert joining.add("Let me look. ") == "Let me look. "
    assert joining.add("a < b ") == "a < b "
    assert joining.add("x <t") == "x "
    assert joining.add("ea") == "<tea"
