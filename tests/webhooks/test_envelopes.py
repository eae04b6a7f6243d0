"""What a delivery says, in both dialects. Pure: a call's entries in, bodies out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from omni.model.call import Call
from omni.model.contact import Contact, Identity, IdentityKind
from omni.model.delivery import Delivery, Recipient
from omni.model.entry import (
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallEnded,
    CallForwarded,
    CallRecorded,
    CallRinging,
    CallStarted,
    CallSummary,
    ContactChanged,
    Custom,
    DeliveryLost,
    DigitReceived,
    Entry,
    Fact,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanSaid,
    TurnStarted,
    UserEdited,
    UserReacted,
    UserRevoked,
    UserSaid,
)
from omni.model.message import Media, MediaKind, Message, Text
from omni.model.numbers import number_id, number_id_of
from omni.model.transcript import lines_of
from omni.model.webhook import OMNI_EVENTS, WebhookEndpoint, listeners
from sessions.brains.base import Spoken
from sessions.webhooks.envelopes import delivery_of
from sessions.webhooks.events import events_of, has_events
from sessions.webhooks.scene import Scene

T0 = 1_800_000_000.0
ADA = Contact(
    id="ct_1", home="h", identities=(Identity(kind=IdentityKind.PHONE, value="4917012345678"),), name="Ada",
    attributes={"email": "ada@x.example"},
)  # fmt: skip
CALL = Call(
    id="wa-1", agent="desk", channel="whatsapp:100", transport="whatsapp", contact="ct_1", home="h", started_at=T0,
    conversation="default/desk/whatsapp:100/ct_1",
)  # fmt: skip
PICTURE = Media(kind=MediaKind.IMAGE, mime="image/png", link="https://files.example/1.png", caption="my cat")
DELIVERY = Delivery(
    id="dlv_1", call="wa-1", home="h", agent="desk", channel="whatsapp:100", contact="ct_1",
    to=Recipient(identities=ADA.identities), message=Message.of("hi Ada"), origin="bot", seq=3, created_at=T0,
)  # fmt: skip
LOG: tuple[Fact, ...] = (
    CallStarted.model_validate(
        {"direction": "inbound", "from": "4917012345678", "to": "100", "channel": "whatsapp:100", "contact": "ct_1",
         "metadata": {"vip": True}}
    ),
    UserSaid(id="m1", text="hello", provider_id="wamid.1", at=T0, message=Message.of("hello")),
    BotSaid(id="m2", text="hi Ada", delivery=DELIVERY),
    UserSaid(
        id="m3", text="[image] my cat", provider_id="wamid.3", at=T0,
        message=Message(parts=(PICTURE, Text(text="look")), reply_to="wamid.2"),
    ),
    UserReacted(target="wamid.1", emoji="❤", at=T0),
    UserReacted(target="wamid.1", at=T0),
    UserEdited(id="m1", target="wamid.1", text="hello!", message=Message.of("hello!")),
    UserRevoked(id="m3", target="wamid.3"),
    HandoffRequested(by="bot", reason="asked for a person"),
    HandoffActive(by="op_ada"),
    HumanSaid(id="m9", text="I am here", by="op_ada", message=Message.of("I am here")),
    HandoffReleased(by="op_ada", note="done"),
    DeliveryLost(delivery="dlv_1", code="window_closed", reason="too late"),
    ContactChanged(contact="ct_1", identities=ADA.identities, why="merged"),
    CallEnded(reason="idle_timeout", duration=12.5),
    CallSummary(reason="idle_timeout"),
)  # fmt: skip


def entries(facts: Sequence[Fact] = LOG) -> list[Entry]:
    return [Entry(seq=n, ts=T0 + n, call="wa-1", agent="desk", fact=fact) for n, fact in enumerate(facts, start=1)]


def endpoint(**more: Any) -> WebhookEndpoint:
    return WebhookEndpoint.model_validate({"id": "wh_1", "url": "https://a.b", "secret": "s", **more})


def told(to: WebhookEndpoint, call: Call = CALL, log: Sequence[Fact] = LOG, **scene: Any) -> list[Any]:
    about = {"conversation": "cv_1", "contact": ADA, "person": "4917012345678", "business": "4930100", **scene}
    here = Scene(**{"call": call, "metadata": {"vip": True}, "entries": entries(log), **about})
    found = [delivery_of(event, to, here) for event in events_of(entries(log))]
    return [(each.event, json.loads(each.body), each) for each in found if each is not None]


def test_every_event_that_is_documented_can_happen_and_no_other() -> None:
    types = [event.type for event in events_of(entries())]
    aloud = [event.type for event in events_of(entries(ALOUD))]
    assert {*types, *aloud} == set(OMNI_EVENTS)
    assert types.count("message.received") == 2
    assert not has_events(entries((TurnStarted(turn=1), Custom(name="n"), CallSummary(reason="r"))))


def test_omnis_envelope_says_who_what_and_what_was_said_before() -> None:
    name, body, delivery = told(endpoint(context_limit=2))[3]
    assert name == "message.received"
    assert body == {
        "id": body["id"],
        "type": "message.received",
        "created": "2027-01-15T08:00:04.000Z",
        "agent_id": "desk",
        "channel": "whatsapp",
        "data": {
            "call_id": "wa-1",
            "conversation_id": "cv_1",
            "number_id": "whatsapp:100",
            "from": "+4917012345678",
            "to": "+4930100",
            "contact": {"id": "ct_1", "name": "Ada", "email": "ada@x.example", "phone_number": "+4917012345678"},
            "message_id": "m3",
            "message": "[image] my cat",
            "direction": "inbound",
            "external_message_id": "wamid.3",
            "reply_to": "wamid.2",
            "media": [
                {"kind": "image", "mime": "image/png", "filename": None, "caption": "my cat", "voice": False,
                 "url": "https://files.example/1.png"}
            ],
        },
        "conversation_state": {"vip": True},
        "recent_history": [
            {"content": "hello", "direction": "inbound", "channel": "whatsapp", "at": "2027-01-15T08:00:02.000Z",
             "role": "user", "message_id": "m1"},
            {"content": "hi Ada", "direction": "outbound", "channel": "whatsapp", "at": "2027-01-15T08:00:03.000Z",
             "role": "agent", "message_id": "m2"},
        ],
    }  # fmt: skip
    assert body["id"].startswith("evt_")
    assert (delivery.id[:4], delivery.seq, delivery.lane, delivery.since) == ("whd_", 4, "wa-1", T0 + 4)


def test_an_events_id_is_the_same_for_everybody_and_a_deliverys_for_one_endpoint() -> None:
    one, again, other = told(endpoint()), told(endpoint()), told(endpoint(id="wh_2"))
    assert [each[1]["id"] for each in one] == [each[1]["id"] for each in other]
    assert [each[2].id for each in one] == [each[2].id for each in again]
    ids = {each[2].id for each in one + other}
    assert len(ids) == len(one) + len(other)


def test_agentphones_envelope_is_its_clients() -> None:
    found = told(endpoint(dialect="agentphone", context_limit=1))
    assert [name for name, _, _ in found] == ["agent.message", "agent.message", "agent.reaction"]
    _, message, row = found[1]
    assert {name: message[name] for name in ("event", "channel", "timestamp", "agentId", "conversationState")} == {
        "event": "agent.message", "channel": "whatsapp", "timestamp": "2027-01-15T08:00:04.000Z", "agentId": "desk",
        "conversationState": {"vip": True},
    }  # fmt: skip
    assert message["recentHistory"] == [
        {"content": "hi Ada", "direction": "outbound", "channel": "whatsapp", "at": "2027-01-15T08:00:03.000Z",
         "role": "agent", "messageId": "m2"}
    ]  # fmt: skip
    data = message["data"]
    assert data["messageId"] == row.message == "m3"
    assert (data["conversationId"], data["numberId"]) == ("cv_1", "num_4930100")
    assert (data["from"], data["to"], data["direction"]) == ("+4917012345678", "+4930100", "inbound")
    assert data["contact"]["phoneNumber"] == "+4917012345678"
    assert (data["mediaUrl"], data["mediaUrls"]) == (PICTURE.link, [PICTURE.link])
    _, reaction, _ = found[2]
    assert reaction["data"] == {
        "conversationId": "cv_1", "numberId": "num_4930100", "reactionType": "❤", "fromNumber": "+4917012345678",
        "direction": "inbound", "messageId": "m1", "messageBody": "hello", "messageMediaUrl": None,
        "messageMediaUrls": [], "createdAt": "2027-01-15T08:00:05.000Z",
    }  # fmt: skip


def test_what_was_said_in_an_earlier_call_fills_the_history_up() -> None:
    before = [Spoken("user", f"old {n}", T0 - 100 + n, f"o{n}", "whatsapp") for n in range(5)]
    for limit, wanted in ((3, ["old 3", "old 4", "hello"]), (0, []), (50, [f"old {n}" for n in range(5)] + ["hello"])):
        body = told(endpoint(context_limit=limit), earlier=before)[2][1]
        assert [said["content"] for said in body["recent_history"]] == wanted


@pytest.mark.parametrize("dialect", ["omni", "agentphone"])
def test_only_wanted_events_since_the_registration_are_told(dialect: str) -> None:
    wanted = "message.received" if dialect == "omni" else "agent.message"
    assert {name for name, _, _ in told(endpoint(dialect=dialect, events=(wanted,)))} == {wanted}
    assert len(told(endpoint(dialect=dialect, events=(wanted,), created_at=T0 + 3))) == 1
    assert told(endpoint(dialect=dialect, disabled_at=T0)) == []


SPOKEN = CALL.model_copy(
    update={"id": "CA1", "transport": "phone", "channel": "phone:+4930100", "direction": "outbound",
            "recording": "blob_1", "is_open": False, "reason": "hangup"}
)  # fmt: skip
ALOUD: tuple[Fact, ...] = (
    CallRinging.model_validate(
        {"direction": "outbound", "from": "+4930100", "to": "+4917012345678", "channel": "phone:+4930100",
         "contact": "ct_1"}
    ),
    CallStarted.model_validate(
        {"direction": "outbound", "from": "+4930100", "to": "+4917012345678", "channel": "phone:+4930100",
         "contact": "ct_1"}
    ),
    BotSaid(id="m1", text="Hello,"),
    BotFinished(id="m1", text="Hello, it is the bakery.", duration_ms=900),
    UserSaid(id="u1", text="Yes", provider_id="u1", at=T0, message=Message.of("Yes"), turn=1),
    UserSaid(id="u2", text="Yes please", provider_id="u2", at=T0, message=Message.of("Yes please"), replaces="u1"),
    BotSaid(id="m2", text="Until six, and", turn=1),
    DigitReceived(digit="5", digits="5"),
    BotInterrupted(id="m2", text="Until six,", at_word=2, reason="user_spoke"),
    BotInterrupted(id="m3", kept=False),
    CallForwarded(to="+4930101"),
    CallRecorded(blob="blob_1", duration_ms=7_000, sample_rate=8_000, size=9),
    CallEnded(reason="hangup", duration=7),
    CallSummary(reason="hangup"),
)  # fmt: skip


def test_a_spoken_call_asks_for_its_turns_itself_and_tells_its_end() -> None:
    lines = lines_of(entries(ALOUD))
    [(name, body, _)] = told(endpoint(dialect="agentphone", context_limit=2), SPOKEN, ALOUD, lines=lines)
    assert (name, body["channel"], [said["content"] for said in body["recentHistory"]]) == (
        "agent.call_ended", "voice", ["Yes please", "Until six,"],
    )  # fmt: skip
    data = body["data"]
    assert data["transcript"] == [
        {"role": "agent", "content": "Hello, it is the bakery."},
        {"role": "user", "content": "Yes please"},
        {"role": "agent", "content": "Until six,"},
    ]
    assert (data["from"], data["to"], data["direction"]) == ("+4930100", "+4917012345678", "outbound")
    assert (data["status"], data["durationSeconds"], data["disconnectionReason"]) == ("completed", 7, "user_hangup")
    assert (data["recordingUrl"], data["summary"]) == ("/agentphone/v1/calls/CA1/recording", None)


@pytest.mark.parametrize(
    ("reason", "status", "why"),
    [("busy", "busy", "dial_busy"), ("no_answer", "no-answer", "dial_no_answer"), ("failed", "failed", "dial_failed"),
     ("rejected", "failed", "dial_failed"), ("forwarded", "completed", "call_transfer"),
     ("idle_timeout", "completed", "inactivity"), ("agent_hangup", "completed", "agent_hangup")],
)  # fmt: skip
def test_a_call_that_came_to_nothing_is_told_of_too(reason: str, status: str, why: str) -> None:
    log = (ALOUD[0], CallEnded(reason=reason, duration=0), CallSummary(reason=reason))
    [(_, body, _)] = told(endpoint(dialect="agentphone"), SPOKEN.model_copy(update={"recording": None}), log)
    data = body["data"]
    assert (data["status"], data["disconnectionReason"], data["durationSeconds"]) == (status, why, 0)
    assert (data["transcript"], data["recordingUrl"]) == ([], None)


def test_keys_are_told_to_whoever_asked_for_them() -> None:
    assert [name for name, _, _ in told(endpoint(dialect="agentphone"), SPOKEN, ALOUD)] == ["agent.call_ended"]
    asked = endpoint(dialect="agentphone", events=("agent.message", "digits"))
    [(name, body, _)] = told(asked, SPOKEN, ALOUD)
    assert (name, body["data"]["digits"], body["data"]["transcript"]) == ("agent.message", "5", "")


def test_omnis_endpoints_hear_what_was_heard_of_what_was_spoken() -> None:
    found = told(endpoint(), SPOKEN, ALOUD, lines=lines_of(entries(ALOUD)))
    assert [name for name, _, _ in found] == [
        "call.ringing", "call.started", "message.sent", "message.received", "message.received", "call.digits",
        "message.sent", "call.forwarded", "call.recorded", "call.ended",
    ]  # fmt: skip
    sent = [body["data"] for name, body, _ in found if name == "message.sent"]
    assert [(each["message"], each["interrupted"]) for each in sent] == [
        ("Hello, it is the bakery.", False), ("Until six,", True),
    ]  # fmt: skip
    assert found[4][1]["data"]["replaces"] == "u1"
    ended = found[-1][1]["data"]
    assert ended["recording_url"] == "/v1/calls/CA1/recording"
    assert [line["role"] for line in ended["transcript"]] == ["assistant", "user", "assistant"]


def test_odd_text_can_be_told() -> None:
    odd = UserSaid(id="m1", text="\ud800 \0 ñ", provider_id="p", at=T0, message=Message.of("\ud800"))
    here = Scene(CALL, "cv_1", None, "", "", {}, entries((odd,)))
    for dialect in ("omni", "agentphone"):
        made = delivery_of(events_of(entries((odd,)))[0], endpoint(dialect=dialect), here)
        assert made is not None
        made.body.encode()
        json.loads(made.body)


def test_an_agents_own_agentphone_endpoint_is_the_one_of_its_dialect_that_hears() -> None:
    of_org, own = endpoint(id="a", dialect="agentphone"), endpoint(id="b", dialect="agentphone", agent="desk")
    others = endpoint(id="c", dialect="agentphone", agent="else")
    mine, rival = endpoint(id="d", agent="desk"), endpoint(id="e", org="rival")
    everyone = (of_org, own, others, mine, rival)
    assert [each.id for each in listeners(everyone, "default", "desk")] == ["b", "d"]
    assert [each.id for each in listeners(everyone, "default", "third")] == ["a"]


def test_what_developers_keep_of_a_conversation_comes_with_its_events() -> None:
    for dialect, name in (("omni", "conversation_state"), ("agentphone", "conversationState")):
        (_, body, _), *_ = [
            each for each in told(endpoint(dialect=dialect), memory={"step": 2}) if "message" in each[0]
        ]
        assert body[name] == {"step": 2}
        body = told(endpoint(dialect=dialect), memory={})[-1][1]
        assert body[name] == {}  # emptied on purpose


def test_a_number_has_the_same_id_in_events_and_in_urls() -> None:
    assert number_id_of("sms:+12025550142", "+12025550142") == "num_12025550142" == number_id("+12025550142")
    assert number_id_of("whatsapp:106540352242922", "+49 30 100200") == "num_4930100200"
    for nameless in ("whatsapp:106540352242922", "sms:MG" + "7" * 32):
        assert number_id_of(nameless, nameless.partition(":")[2]) == nameless


def test_a_number_that_json_does_not_have_spoils_no_event() -> None:
    """`1e999` in what a developer keeps of a conversation is read as infinite."""
    _, body, delivery = told(endpoint(), metadata={"n": json.loads("-1e999"), "half": "\ud83d"})[0]
    json.loads(delivery.body, parse_constant=pytest.fail)
    assert body["conversation_state"] == {"n": None, "half": "?"}
