"""What of a log observers are shown: the open vocabulary, and nothing that is ours, the provider's or the model's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omni.gateway.streams.gap import snapshot
from omni.gateway.streams.live_events import live_event
from omni.gateway.streams.queries import BadQueryError, Wanted, cursor, page_size, resumed, wanted
from omni.gateway.streams.shown import control, shown, shown_milestone
from omni.model.entry import Custom, Entry, Known, Other, fact_of
from omni.store.base import Milestone
from sessions.state import CallState, Remembered

SECRET = "LEAK"
MEDIA = {"kind": "audio", "provider_id": SECRET, "link": SECRET, "blob": SECRET, "sha256": SECRET, "mime": "audio/ogg"}
MESSAGE = {"parts": [{"type": "media", **MEDIA}], "reply_to": SECRET}
DELIVERY = {
    "id": SECRET, "call": SECRET, "home": SECRET, "agent": SECRET, "channel": SECRET, "contact": SECRET, "seq": 1,
    "to": {"identities": [{"kind": "bsuid", "value": SECRET}]}, "message": MESSAGE, "origin": "bot", "created_at": 1,
}  # fmt: skip
STARTED = {"direction": "inbound", "from": "49170", "to": "100", "channel": f"whatsapp:{SECRET}", "contact": SECRET}

FACTS: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = [
    (
        "call.started",
        {**STARTED, "recap": SECRET, "name": "Ada", "metadata": {"vip": 1}},
        {"direction": "inbound", "from": "49170", "to": "100", "channel": "whatsapp", "name": "Ada"}
        | {"metadata": {"vip": 1}},
    ),
    (
        "user.message",
        {"id": "um-1", "text": "hi", "provider_id": SECRET, "at": 1, "message": MESSAGE, "name": SECRET},
        {"id": "um-1", "text": "hi", "final": True},
    ),
    (
        "user.wrote",
        {"id": "um-1", "text": "hi", "channel": f"whatsapp:{SECRET}", "beside": SECRET, "at": 1},
        {"id": "um-1", "text": "hi", "channel": "whatsapp"},
    ),
    ("user.reaction", {"target": SECRET, "emoji": "+", "at": 1}, {"emoji": "+"}),
    (
        "user.edited",
        {"id": "um-1", "target": SECRET, "text": "ho", "message": MESSAGE},
        {"id": "um-1", "text": "ho"},
    ),
    ("user.edited", {"target": SECRET, "text": SECRET, "message": MESSAGE}, None),
    ("user.revoked", {"id": "um-1", "target": SECRET}, {"id": "um-1"}),
    ("user.revoked", {"target": SECRET}, None),
    (
        "media.ready",
        {"id": "um-1", "part": 0, "media": {**MEDIA, "transcript": "hello", "size": 9}},
        {"id": "um-1", "part": 0, "kind": "audio", "mime": "audio/ogg", "size": 9, "transcript": "hello"},
    ),
    ("turn.start", {"turn": 1, "answers": ["um-1"], "offered": True, "text": SECRET}, {"turn": 1, "role": "bot"}),
    ("turn.continued", {"turn": 1}, {"turn": 1}),
    (
        "turn.end",
        {"turn": 1, "error": SECRET, "program": SECRET, "latency": {"first_token": 0.2, "e2e": 0.5}},
        {"turn": 1, "outcome": "answered", "latency": {"llm_ttft": 0.2, "e2e": 0.5}},
    ),
    (
        "tool.call",
        {"id": "t1", "name": "book", "args": {"n": 2}, "turn": 1, "round": SECRET},
        {"id": "t1", "name": "book", "args": {"n": 2}, "turn": 1},
    ),
    (
        "tool.result",
        {"id": "t1", "name": "book", "result": "ok", "ms": 4},
        {"id": "t1", "name": "book", "result": "ok", "ms": 4},
    ),
    (
        "bot.speaking",
        {"id": "m1", "text": "hey", "turn": 1, "delivery": DELIVERY},
        {"id": "m1", "text": "hey", "turn": 1},
    ),
    ("bot.finished", {"id": "m1", "text": SECRET}, {"id": "m1"}),
    (
        "bot.interrupted",
        {"id": "m1", "text": SECRET, "at_word": 3, "last_word": SECRET, "reason": "user_spoke"},
        {"id": "m1", "at_word": 3, "reason": "user_spoke"},
    ),
    ("bot.corrected", {"supersedes": 4, "id": "m1", "text": "hey"}, {"supersedes": 4, "id": "m1", "text": "hey"}),
    (
        "call.ringing",
        {**STARTED, "name": "Ada", "metadata": {"k": SECRET}},
        {"direction": "inbound", "from": "49170", "to": "100", "name": "Ada"},
    ),
    ("call.rejected", {"reason": "busy"}, {"reason": "busy"}),
    ("call.machine", {"answered_by": "human"}, {"answered_by": "human"}),
    ("call.held", {}, {"on": True}),
    ("call.unheld", {}, {"on": False}),
    ("call.muted", {}, {"on": True}),
    ("call.unmuted", {"transcript": SECRET}, {"on": False}),
    ("call.dtmf_received", {"digit": "4", "digits": "1234"}, {"count": 4}),
    ("call.dtmf_sent", {"digits": "12"}, {"count": 2}),
    ("call.forwarded", {"to": "+49170"}, {"to": "+49170"}),
    ("call.forward_failed", {"to": "+49170", "reason": "busy"}, {"to": "+49170", "reason": "busy"}),
    (
        "call.recording",
        {"blob": SECRET, "duration_ms": 5.0, "sample_rate": 8000, "size": 9},
        {"duration_ms": 5.0, "format": "wav", "sample_rate": 8000},
    ),
    (
        "reply.rejected",
        {"id": "m1", "in_reply_to": "um-1", "expected": "um-2"},
        {"id": "m1", "in_reply_to": "um-1"},
    ),
    ("history.changed", {"act": "set", "messages": [{"role": "user", "content": SECRET}]}, None),
    ("prompt.changed", {"prompt": SECRET}, None),
    ("vars.changed", {"vars": {"a": SECRET}}, None),
    ("context.added", {"text": SECRET}, None),
    ("call.configured", {"overrides": {"prompt": SECRET}}, None),
    (
        "session.idle_warning",
        {"remaining_seconds": 15, "idle_timeout_seconds": 60, "is_last": True},
        {"remaining_seconds": 15, "idle_timeout_seconds": 60},
    ),
    ("session.timeout", {"reason": "idle_timeout"}, {"reason": "idle_timeout"}),
    (
        "supervisor.said",
        {"id": "m2", "text": "hello", "by": "eva", "message": MESSAGE, "delivery": DELIVERY, "provider_id": SECRET},
        {"id": "m2", "text": "hello", "by": "eva"},
    ),
    ("supervisor.whispered", {"text": "VIP", "by": "eva"}, {"text": "VIP", "by": "eva"}),
    ("supervisor.changed", {"target": SECRET, "text": "x"}, None),
    ("handoff.requested", {"by": "rule", "reason": "asked"}, {"by": "rule", "reason": "asked"}),
    ("handoff.active", {"by": "eva"}, {"by": "eva"}),
    ("handoff.released", {"by": "eva", "note": SECRET}, {"by": "eva"}),
    (
        "delivery.failed",
        {"delivery": SECRET, "code": "window_closed", "reason": SECRET, "provider_code": 131},
        {"code": "window_closed"},
    ),
    ("contact.changed", {"contact": SECRET, "identities": [{"kind": "bsuid", "value": SECRET}], "why": SECRET}, None),
    ("custom", {"name": "call.connect", "value": {"sdp": SECRET}, "id": "c1"}, {"name": "call.connect", "id": "c1"}),
    ("call.ended", {"reason": "idle", "duration": 3.5}, {"reason": "idle", "duration": 3.5}),
    ("call.summary", {"reason": "idle", "metrics": {"turns": 1}}, {"reason": "idle", "metrics": {"turns": 1}}),
]  # fmt: skip


def entry(type_: str, data: dict[str, Any]) -> Entry:
    return Entry(seq=7, ts=1000.5, call="wa-1", agent="desk", fact=fact_of(type_, data))


@pytest.mark.parametrize(("type_", "data", "visible"), FACTS, ids=[fact[0] for fact in FACTS])
def test_a_fact_is_shown_as_the_vocabulary_has_it(type_: str, data: dict[str, Any], visible: Any) -> None:
    found = shown(entry(type_, data))
    if visible is None:
        assert found is None
        return
    assert found == {
        "seq": 7, "ts": 1000.5, "call": "wa-1", "agent": "desk", "type": type_, "ephemeral": False, "data": visible,
    }  # fmt: skip
    assert SECRET not in json.dumps(found)


def test_every_fact_there_is_was_looked_at() -> None:
    known = {member.model_fields["type"].default for member in Known.__args__}  # type: ignore[attr-defined]
    assert {type_ for type_, _, _ in FACTS} == known


def test_a_fact_of_a_newer_release_is_not_shown() -> None:
    assert (
        shown(Entry(seq=1, ts=1, call="c", agent="a", fact=Other(type="call.teleported", data={"to": SECRET}))) is None
    )


def test_an_agents_log_names_the_call_in_the_data() -> None:
    found = shown_milestone(Milestone(3, entry("call.ended", {"reason": "idle", "duration": 1.0})))
    assert (found["seq"], found["call"]) == (3, None)
    assert found["data"] == {"call": "wa-1", "reason": "idle", "duration": 1.0}


def test_live_events_speak_as_sdk_streams_do() -> None:
    event = live_event(entry("reply.rejected", {"id": "m1", "in_reply_to": "um-1"}))
    assert event == {
        "event": "reply.rejected", "callId": "wa-1", "agent": "desk", "ts": 1000.5, "messageId": "m1",
        "inReplyTo": "um-1",
    }  # fmt: skip
    assert live_event(entry("prompt.changed", {"prompt": SECRET})) is None
    assert live_event(entry("session.timeout", {"reason": "idle_timeout"})) is None


def test_a_snapshot_has_what_was_said_and_not_what_was_only_remembered() -> None:
    lines = (
        Remembered(role="user", text="hi", ref="um-1"),
        Remembered(role="note", text=SECRET, ref="n"),
        Remembered(role="user", text=SECRET, ref="history:4.0"),
        Remembered(role="assistant", text="hello", ref="m1"),
        Remembered(role="assistant", text="", ref="t1", tool="book", arguments={"n": 2}),
        Remembered(role="tool", text="", ref="t1", tool="book", arguments="ok"),
    )
    state = CallState(
        id="wa-1", org="o", agent="desk", channel="c", transport="whatsapp", conversation="v", contact="ct", home="h",
        started_at=5.0, handler="human", handled_by="eva", lines=lines, turns=1,
    )  # fmt: skip
    assert snapshot(state) == {
        "phase": "active", "live": True, "started_at": 5.0, "ended_reason": None, "user_speaking": False,
        "bot_speaking": False, "handoff": {"state": "active", "by": "eva"}, "skills": [], "sources": [],
        "messages": [{"id": "um-1", "role": "user", "text": "hi"}, {"id": "m1", "role": "bot", "text": "hello"}],
        "tool_calls": [{"id": "t1", "name": "book", "args": {"n": 2}, "result": "ok"}], "turns": 1, "custom": [],
    }  # fmt: skip
    ended = snapshot(state.model_copy(update={"ended_at": 9.0, "reason": "idle", "handler": "bot"}))
    assert (ended["phase"], ended["live"], ended["ended_reason"], ended["handoff"]) == ("ended", False, "idle", None)


def test_what_ends_a_log_or_breaks_it_passes_every_filter() -> None:
    few = Wanted(frozenset({"user.message"}), durable=True)
    for type_ in ("log.gap", "log.caught_up"):
        assert few.has(control(type_, 1, 1.0, "wa-1", "desk"))
    for type_, data in (("call.ended", {"reason": "x", "duration": 1}), ("call.summary", {"reason": "x"})):
        assert few.has(shown(entry(type_, data)) or {})
    assert not few.has(shown(entry("bot.finished", {"id": "m"})) or {})
    assert not Wanted(durable=True).has(control("user.speaking", 1, 1.0, "wa-1", "desk"))


def test_a_query_without_anything_wants_all_from_the_beginning() -> None:
    assert (cursor({}), page_size({}), wanted({})) == (None, 500, Wanted())
    assert wanted({"types": "a.b,c_d-e", "durable": "YES"}) == Wanted(frozenset({"a.b", "c_d-e"}), durable=True)
    assert wanted({"durable": "no"}) == Wanted()
    assert len(wanted({"types": ",".join(f"t{n}" for n in range(32))}).types or ()) == 32


def test_the_newer_of_two_cursors_counts() -> None:
    assert [resumed(*pair) for pair in ((None, None), (5, None), (5, "9"), (9, "5"), (5, "x"), (0, "-1"))] == [
        0, 5, 9, 9, 5, 0,
    ]  # fmt: skip


@pytest.mark.parametrize("typed", ["٣", "1_000", " 1", "+1", "0x1", "1.0"])
def test_a_number_is_digits_and_nothing_else(typed: str) -> None:
    with pytest.raises(BadQueryError):
        cursor({"after": typed})
    with pytest.raises(BadQueryError):
        page_size({"limit": typed})


def test_the_value_of_a_custom_fact_may_be_the_providers() -> None:
    assert "value" not in (shown(entry("custom", Custom(name="n", value=SECRET).model_dump())) or {})["data"]  # type: ignore[operator]
