"""Rows, items and presence, by example."""

from __future__ import annotations

from typing import Any

import pytest

from omni.gateway.inbox.casework import assigned_if_nobody, labelled, resolved, seen, snoozed
from omni.gateway.inbox.items import case_item, is_shown, item_of
from omni.gateway.inbox.naming import conversation_id
from omni.gateway.inbox.presence import FORGET_SECONDS, TYPING_SECONDS, Presence
from omni.gateway.inbox.rows import row_of
from omni.live.inbox import Here, Left
from omni.model.call import Call
from omni.model.case import Case, CaseEvent, Labelled, Note, Seen
from omni.model.contact import Contact, Identity, IdentityKind
from omni.model.delivery import Delivery, DeliveryError, DeliveryState, Recipient
from omni.model.entry import (
    BotFinished,
    BotSaid,
    CallSummary,
    ContextAdded,
    Entry,
    Fact,
    HandoffActive,
    HistoryChanged,
    HumanChanged,
    HumanSaid,
    MediaStored,
    PromptChanged,
    ToolAnswered,
    UserReacted,
    UserSaid,
    VarsChanged,
)
from omni.model.message import Media, MediaKind, Message, Reaction, Text
from omni.store.inbox import Listed

KEY = "default/desk/whatsapp:100/ct_1"
NOW = 10_000.0


def call(**changes: Any) -> Call:
    fields: dict[str, Any] = {
        "id": "wa-1",
        "agent": "desk",
        "channel": "whatsapp:100",
        "transport": "whatsapp",
        "conversation": KEY,
        "contact": "ct_1",
        "home": "phone:1",
        "started_at": 9_000.0,
        "last_user_at": 9_500.0,
        "user_messages": 3,
    }
    return Call(**{**fields, **changes})


def ada(**changes: Any) -> Contact:
    identity = Identity(kind=IdentityKind.WA_ID, value="12025550171")
    return Contact(**{"id": "ct_1", "home": "phone:1", "identities": (identity,), "name": "Ada", **changes})


def item(fact: Fact, *, deliveries: Any = None, stored: Any = None) -> dict[str, Any]:
    entry = Entry(seq=7, ts=NOW, call="wa-1", agent="desk", fact=fact)
    assert is_shown(entry)
    return item_of(entry, "cv_x", stored or {}, deliveries or {})


def delivery(**changes: Any) -> Delivery:
    fields: dict[str, Any] = {
        "id": "dlv_1",
        "call": "wa-1",
        "home": "phone:1",
        "agent": "desk",
        "channel": "whatsapp:100",
        "contact": "ct_1",
        "to": Recipient(identities=()),
        "message": Message.of("hello"),
        "origin": "human",
        "seq": 7,
        "created_at": NOW,
    }
    return Delivery(**{**fields, **changes})


def test_a_row_names_the_person_as_they_are_known_now() -> None:
    row: Any = row_of(Listed(call(name="Old name")), ada(), NOW)
    assert row["contact"] == {"id": "ct_1", "name": "Ada", "address": "12025550171", "paused": False}
    row = row_of(Listed(call(name="Old name")), None, NOW)
    assert (row["contact"]["name"], row["contact"]["address"]) == ("Old name", None)
    group: Any = row_of(Listed(call(conversation="default/desk/whatsapp:100/group:g1")), ada(), NOW)
    assert (group["contact"]["id"], group["contact"]["name"]) == ("group:g1", None)


@pytest.mark.parametrize(
    ("case", "changes", "state"),
    [
        (None, {}, "open"),
        (Case(conversation=KEY, snoozed_until=NOW + 1, snoozed_at=9_900.0), {}, "snoozed"),
        (Case(conversation=KEY, snoozed_until=NOW, snoozed_at=9_900.0), {}, "open"),
        (Case(conversation=KEY, snoozed_until=NOW + 1, snoozed_at=9_000.0), {}, "open"),  # they wrote since
        (Case(conversation=KEY, snoozed_until=NOW + 1, snoozed_at=9_900.0), {"is_open": False}, "ended"),
    ],
)
def test_a_rows_state(case: Case | None, changes: dict[str, Any], state: str) -> None:
    row = row_of(Listed(call(**changes), case), ada(), NOW)
    assert row["state"] == state
    assert (row["snoozed_until"] is not None) is (state == "snoozed")


@pytest.mark.parametrize(("looked_at", "number"), [(None, 3), (("wa-1", 2), 1), (("wa-1", 9), 0), (("wa-0", 9), 3)])
def test_unread_is_what_nobody_has_seen_of_the_newest_call(looked_at: tuple[str, int] | None, number: int) -> None:
    was = Seen(call=looked_at[0], user_messages=looked_at[1]) if looked_at else None
    assert row_of(Listed(call(), Case(conversation=KEY, seen=was)), ada(), NOW)["unread"] == number


@pytest.mark.parametrize(
    "fact",
    [
        PromptChanged(prompt="secret"),
        VarsChanged(vars={"a": "secret"}),
        ContextAdded(text="secret"),
        HistoryChanged(act="clear"),
        BotFinished(id="msg_1"),
        CallSummary(reason="idle_timeout"),
    ],
)
def test_what_the_bot_is_told_is_no_item(fact: Fact) -> None:
    assert not is_shown(Entry(seq=1, ts=NOW, call="wa-1", agent="desk", fact=fact))


def test_a_message_of_ours_shows_how_far_it_is_by_now() -> None:
    asked = delivery()
    failed = delivery(state=DeliveryState.FAILED, error=DeliveryError(code="undeliverable", reason="No such number"))
    said = HumanSaid(id="msg_1", text="hello", by="op_1", message=asked.message, delivery=asked, tag="key-1")
    shown = item(said)
    assert (shown["id"], shown["type"], shown["key"], shown["by"]) == ("msg_1", "human.message", "key-1", "op_1")
    assert (shown["delivery"]["state"], shown["delivery"]["retryable"]) == ("queued", False)
    shown = item(said, deliveries={"dlv_1": failed})
    assert shown["delivery"]["error"] == {"code": "undeliverable", "reason": "No such number"}
    assert shown["delivery"]["retryable"] is True
    of_the_bot = failed.model_copy(update={"origin": "bot"})
    shown = item(BotSaid(id="msg_2", text="x", delivery=asked), deliveries={"dlv_1": of_the_bot})
    assert (shown["type"], shown["delivery"]["retryable"]) == ("bot.message", False)


def test_a_file_has_an_address_once_it_was_fetched_and_never_a_blobs_name() -> None:
    pending = Media(kind=MediaKind.IMAGE, mime="image/png", provider_id="wamid.media")
    message = Message(parts=(Text(text="see"), pending))
    said = UserSaid(id="msg_1", text="see", provider_id="wamid.1", at=NOW, message=message)
    shown = item(said)["parts"][1]
    assert (shown["pending"], shown["url"], "provider_id" in shown) == (True, None, False)
    fetched = pending.model_copy(update={"blob": "secret-blob", "size": 5})
    shown = item(said, stored={("msg_1", 1): fetched})["parts"][1]
    assert (shown["pending"], shown["size"]) == (False, 5)
    assert shown["url"] == "/v1/inbox/conversations/cv_x/media/wa-1/7/1"
    later = item(MediaStored(id="msg_1", part=1, media=fetched))
    assert (later["type"], later["part"], later["media"]["url"]) == ("media", 1, shown["url"])
    assert "secret-blob" not in str((shown, later))
    linked = Media(kind=MediaKind.IMAGE, link="https://example.com/a.png")
    shown = item(BotSaid(id="m", text="", delivery=delivery(message=Message(parts=(linked,)))))["parts"][0]
    assert (shown["url"], shown["link"]) == (None, "https://example.com/a.png")
    forged = Media(kind=MediaKind.IMAGE, link="javascript:alert(1)")
    assert (
        item(BotSaid(id="m", text="", delivery=delivery(message=Message(parts=(forged,)))))["parts"][0]["link"] is None
    )


def test_reactions_and_changes_of_both_sides() -> None:
    assert item(UserReacted(target="wamid.1", emoji="👍", at=NOW))["by"] == "user"
    ours = Message(parts=(Reaction(target="wamid.1", emoji="🙏"),))
    shown = item(HumanSaid(id="msg_1", text="", by="op_1", message=ours, delivery=delivery(message=ours)))
    assert (shown["type"], shown["emoji"], shown["by"]) == ("reaction", "🙏", "human")
    assert item(HumanChanged(target="wamid.1"))["type"] == "revoke"
    edited = item(HumanChanged(target="wamid.1", text="new"))
    assert (edited["type"], edited["text"]) == ("edit", "new")
    assert item(HandoffActive(by="op_1"))["id"] == "wa-1:7"
    answered = item(ToolAnswered(id="t1", name="find", result={"a": 1}, ms=5))
    assert (answered["tool_id"], answered["result"], answered["error"]) == ("t1", {"a": 1}, False)


def test_a_cases_event_is_an_item() -> None:
    event = CaseEvent(conversation=KEY, number=3, at=NOW, by="op_1", fact=Note(text="x"))
    shown = case_item(event)
    assert shown == {"id": "case:3", "call": None, "seq": None, "ts": NOW, "by": "op_1", "type": "note", "text": "x"}


def test_whoever_is_not_refreshed_is_forgotten() -> None:
    presence = Presence()
    tess = Here(page="p1", operator="op_1", conversation=KEY)
    assert presence.here(tess, 0.0)
    assert not presence.here(tess, 10.0)
    assert presence.here(Here(page="p2", operator="op_2", conversation=KEY, typing=True), 11.0)
    assert presence.shown(KEY, 11.0) == [
        {"operator": "op_1", "typing": False},
        {"operator": "op_2", "typing": True},
    ]
    assert presence.forget(11.0 + TYPING_SECONDS, 11.0) == [KEY]  # types no more
    assert presence.forget(10.0 + FORGET_SECONDS, 19.0) == [KEY]
    assert presence.shown(KEY, 10.0 + FORGET_SECONDS) == [{"operator": "op_2", "typing": False}]
    assert presence.left(Left(page="p2", conversation=KEY), 40.5)
    assert presence.shown(KEY, 40.5) == []
    assert presence.forget(99.0, 41.0) == []


def test_two_pages_of_one_colleague_are_one_colleague() -> None:
    presence = Presence()
    presence.here(Here(page="p1", operator="op_1", conversation=KEY), 0.0)
    assert not presence.here(Here(page="p2", operator="op_1", conversation=KEY), 0.0)
    assert not presence.left(Left(page="p1", conversation=KEY), 1.0)
    assert presence.left(Left(page="p2", conversation=KEY), 1.0)


def test_what_becomes_of_a_case() -> None:
    case = Case(conversation=KEY, labels=("a", "b"), assignee="op_1", snoozed_until=5.0, snoozed_at=1.0)
    changed, facts = labelled(["c", "a", "c"], ["b", "x"])(case)
    assert (changed.labels, facts) == (("a", "c"), (Labelled(added=("c",), removed=("b",)),))
    assert labelled(["a"], ["x"])(case) == (case, ())
    assert assigned_if_nobody("op_2")(case) == (case, ())
    assert assigned_if_nobody("op_2")(Case(conversation=KEY))[0].assignee == "op_2"
    assert resolved(case)[0].snoozed_until is None
    assert snoozed(None, 2.0)(Case(conversation=KEY)) == (Case(conversation=KEY), ())
    again, _ = seen(call(), 2)(case)
    assert again.seen == Seen(call="wa-1", user_messages=2)
    assert seen(call(), 1)(again) == (again, ())
    assert conversation_id(KEY).startswith("cv_")
