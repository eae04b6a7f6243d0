"""Frames become typed commands, a sentence that names the field, or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.gateway.client import frames
from omni.gateway.client.frames import Configuring
from omni.gateway.client.parsing import FRAMES, Malformed, parse


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[]",
        "7",
        "null",
        "{}",
        '{"event": null}',
        '{"event": 7}',
        '{"event": "call.teleport", "call_id": "c"}',
        '{"event": "ping"',
        '{"event": "bot.reply", "x": NaN}',
        "[" * 100_000,
        '{"event": "ping", "deep": ' + "[" * 5_000 + "]" * 5_000 + "}",
    ],
)
def test_what_is_no_command_is_ignored(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ({"event": "bot.reply", "message_id": "m", "text": "t"}, "call_id"),
        ({"event": "bot.reply", "call_id": "c", "message_id": "m"}, "text"),
        ({"event": "bot.reply", "call_id": "c", "message_id": "m", "text": 7}, "text"),
        ({"event": "bot.reply", "call_id": "", "message_id": "m", "text": "t"}, "call_id"),
        ({"event": "bot.reply", "call_id": "c" * 257, "message_id": "m", "text": "t"}, "call_id"),
        ({"event": "bot.reply.stream", "call_id": "c", "message_id": "m", "action": "flush"}, "action"),
        ({"event": "agent.create"}, "agent_id"),
        ({"event": "agent.create", "agent_id": ["a"]}, "agent_id"),
        ({"event": "channel.add", "agent_id": "a", "type": "fax"}, "type"),
        ({"event": "dev.config", "callers": "me"}, "callers"),
        ({"event": "history.set", "call_id": "c", "messages": "all"}, "messages"),
        ({"event": "history.set_vars", "call_id": "c", "vars": []}, "vars"),
        ({"event": "llm.tool_result", "call_id": "c", "msg_id": "m", "results": [{}]}, "results.0.tool_call_id"),
        ({"event": "llm.ready", "call_id": "c", "turn": -1}, "turn"),
        ({"event": "llm.chat", "agent_id": "a", "session_id": "s", "text": ""}, "text"),
        ({"event": "session.send", "agent_id": "a", "contact": "1"}, "text"),
    ],
)
def test_a_malformed_command_names_its_field(frame: dict[str, Any], field: str) -> None:
    found = parse(json.dumps(frame))
    assert isinstance(found, Malformed)
    assert found.problem.startswith(f"{frame['event']}: `{field}`")


def test_a_problem_never_repeats_a_secret() -> None:
    frame = {"event": "channel.add", "agent_id": "a", "type": "whatsapp", "accessToken": ["EAAG-secret"]}
    found = parse(json.dumps(frame))
    assert isinstance(found, Malformed)
    assert "secret" not in repr(found)


def test_a_request_that_cannot_be_read_can_still_be_refused() -> None:
    found = parse('{"event": "history.set", "call_id": "c", "request_id": "r7", "messages": 1}')
    assert isinstance(found, Malformed)
    assert (found.call_id, found.request_id) == ("c", "r7")


def test_the_keys_of_a_configuration_are_all_others_that_are_set() -> None:
    frame = {"event": "agent.create", "agent_id": "a", "voice": "x:y", "llm": None, "allowed_origins": ["https://a.b"]}
    found = parse(json.dumps(frame))
    assert isinstance(found, frames.AgentCreate)
    assert found.config == {"voice": "x:y"}
    assert found.allowed_origins == ("https://a.b",)


@pytest.mark.parametrize("spelling", ["accessToken", "access_token"])
def test_credentials_come_in_two_spellings(spelling: str) -> None:
    found = parse(json.dumps({"event": "channel.add", "agent_id": "a", "type": "whatsapp", "ref": "1", spelling: "T"}))
    assert isinstance(found, frames.ChannelAdd)
    assert found.access_token == "T"
    assert found.config == {}


def test_half_a_character_does_not_cost_the_frame() -> None:
    found = parse('{"event": "bot.reply", "call_id": "c", "message_id": "m", "text": "a\\ud83db"}')
    assert isinstance(found, frames.BotReply)
    assert found.text == "a\ufffdb"


@given(
    event=st.sampled_from(sorted(FRAMES)),
    rest=st.dictionaries(
        st.sampled_from(
            ["agent_id", "call_id", "session_id", "text", "message_id", "messages", "vars", "results", "type", "ref"]
        )
        | st.text(max_size=8),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        ),
        max_size=6,
    ),
)
def test_any_object_is_a_command_or_a_sentence(event: str, rest: dict[str, Any]) -> None:
    found = parse(json.dumps({**rest, "event": event}))
    if isinstance(found, Malformed):
        assert found.problem.startswith(f"{event}: `")
    else:
        assert isinstance(found, FRAMES[event])
        assert not isinstance(found, Configuring) or "event" not in found.config
