"""Calls as far as there are any: what is refused before anybody is called, and how those that were are read."""

from __future__ import annotations

import time
from typing import Any

import pytest
from agentphone import AgentPhoneError, NotFoundError

from omni.model.call import Call, conversation_key
from omni.model.contact import Contact, known_by
from omni.model.delivery import Delivery, DeliveryState, Recipient
from omni.model.entry import BotSaid, CallEnded, CallStarted, CallSummary, Entry, Fact, UserSaid
from omni.model.message import Message
from omni.store.base import Append
from tests.agentphone.house import ADA, BO, Desk, until
from tests.agentphone.rows import row


def spoken(desk: Desk, agent: str, ours: str, theirs: str, *said: tuple[str, str], **more: Any) -> str:
    """A call that was spoken, as the voice channel will write it down."""
    id_, now = f"sip-{time.monotonic_ns():x}", time.time()
    contact = Contact(id=f"ct_{id_}", org=desk.org, home="home", identities=known_by(theirs[1:]))
    facts: list[Fact] = [
        CallStarted.model_validate(
            {"direction": "outbound", "from": ours, "to": theirs, "channel": f"phone:{ours}", "contact": contact.id}
        )
    ]
    for n, (who, text) in enumerate(said):
        facts.append(_said(f"{id_}-{n}", who, text, now))
    facts += [CallEnded(reason="hangup", duration=7), CallSummary(reason="hangup")]
    call = Call.model_validate(
        {
            "id": id_, "org": desk.org, "agent": agent, "channel": f"phone:{ours}", "transport": "sip",
            "conversation": conversation_key(desk.org, agent, f"phone:{ours}", contact.id), "contact": contact.id,
            "home": "home", "direction": "outbound", "is_open": False, "started_at": now, "ended_at": now + 7,
            "reason": "hangup", "last_seq": len(facts), **more,
        }
    )  # fmt: skip
    entries = [Entry(seq=n, ts=now + n, call=id_, agent=agent, fact=fact) for n, fact in enumerate(facts, 1)]

    async def write() -> None:
        store = desk.house.store
        known = await store.find_contacts(desk.org, contact.identities)
        person = known[0] if known else await store.save_contact(contact)
        await store.append(Append(call.model_copy(update={"contact": person.id}), entries))

    desk.house.loop.run(write())
    return id_


def _said(id_: str, who: str, text: str, now: float) -> Fact:
    if who == "user":
        return UserSaid(id=id_, text=text, provider_id=id_, at=now, message=Message.of(text))
    delivery = Delivery(
        id=id_, call="c", agent="a", channel="phone:x", home="home", origin="bot", message=Message.of(text),
        to=Recipient(identities=()), contact="c", seq=1, created_at=now, state=DeliveryState.SENT,
    )  # fmt: skip
    return BotSaid(id=id_, text=text, delivery=delivery, turn=1)


@row(42)
def test_nobody_is_called_for_an_agent_that_could_not_answer(desk: Desk) -> None:
    agent, _ = desk.shop()
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.calls.make(agent.id, ADA)
    assert caught.value.status == 400
    assert "has no webhook" in caught.value.message


@row(53)
@pytest.mark.parametrize("wrong", [{"variables": {"who": "Bo"}}, {"model_tier": "max"}])
def test_what_only_a_prompt_could_use_is_refused_without_one(desk: Desk, wrong: dict[str, Any]) -> None:
    agent, _ = desk.shop()
    desk.c.webhooks.set(desk.hook())
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.calls.make(agent.id, ADA, **wrong)
    assert caught.value.status == 400


@row(55)
def test_a_call_goes_out_from_the_agents_own_number(desk: Desk) -> None:
    agent, _ = desk.shop()
    _, other = desk.shop()
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.calls.make(agent.id, ADA, system_prompt="x", from_number_id=other.id)
    assert caught.value.status == 400
    assert "is not attached to agent" in caught.value.message
    raw = desk.raw("POST", "/v1/calls", json={"agentId": agent.id, "toNumber": ADA, "systemPrompt": "x",
                                              "fromNumberId": other.id}).json()  # fmt: skip
    assert raw["error"]["param"] == "fromNumberId"
    bare = desk.c.agents.create(name="bare")
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.calls.make(bare.id, ADA, system_prompt="x")
    assert caught.value.status == 400


def test_other_wrong_calls_are_told_apart(desk: Desk) -> None:
    agent, _ = desk.shop()
    for wrong, status in (
        ({"agent_id": "nope", "to_number": ADA}, 404),
        ({"agent_id": agent.id, "to_number": "555"}, 422),
        ({"agent_id": agent.id, "to_number": ADA, "system_prompt": "x", "from_number_id": "num_1"}, 404),
    ):
        with pytest.raises(AgentPhoneError) as caught:
            desk.c.calls.make(**wrong)
        assert caught.value.status == status


@row(57)
def test_calls_are_listed_by_what_they_were(desk: Desk) -> None:
    agent, number = desk.shop()
    ours = number.phone_number
    first = spoken(desk, agent.id, ours, ADA)
    missed = spoken(desk, agent.id, ours, BO, reason="no_answer")
    busy = spoken(desk, agent.id, ours, BO, reason="busy")
    came = spoken(desk, agent.id, ours, ADA, direction="inbound")
    web = spoken(desk, agent.id, ours, ADA, transport="webrtc", channel="webrtc")
    desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="a text is no call")

    def ids(**where: Any) -> list[str]:
        return [each.id for each in desk.c.calls.list(**where).data]

    assert ids() == [web, came, busy, missed, first]
    assert ids(status="completed") == [web, came, first]
    assert (ids(status="no-answer"), ids(status="busy")) == ([missed], [busy])
    assert ids(status="completed", direction="outbound", type="pstn", search="0171") == [first]
    assert ids(direction="inbound") == [came]
    assert ids(type="web") == [web]
    assert ids(search=BO) == [busy, missed]
    page = desk.c.calls.list(limit=2, offset=1)
    assert ([each.id for each in page.data], page.has_more, page.total) == ([came, busy], True, 5)
    assert desk.c.agents.list_calls(agent.id).total == 5
    assert [each.id for each in desk.c.numbers.list_calls(number.id).data] == [came, busy, missed, first]
    call = page.data[0]
    assert (call.from_number, call.to_number, call.phone_number_id, call.agent_name) == (ADA, ours, number.id, "Shop")
    assert (call.duration_seconds, call.recording_available) == (7, False)
    assert desk.c.calls.list().data[0].from_number is None  # a call from a browser
    assert desk.raw("GET", "/v1/calls?status=odd").status_code == 422


SAID = (
    ("bot", "Bakery, hello."), ("user", "Are you open? \u2028 é 🎂"), ("bot", "Until six."), ("bot", "Come in."),
    ("user", "Bye"),
)  # fmt: skip


@row(59)
def test_a_transcript_has_turns_and_rows(desk: Desk) -> None:
    agent, number = desk.shop()
    id_ = spoken(desk, agent.id, number.phone_number, ADA, *SAID)
    transcript = desk.c.calls.get_transcript(id_)
    assert [(turn["role"], turn["content"]) for turn in transcript["transcript"]] == [
        ("agent" if who == "bot" else who, text) for who, text in SAID
    ]
    assert [(each["transcript"], each["response"]) for each in transcript["data"]] == [
        ("", "Bakery, hello."), (SAID[1][1], "Until six. Come in."), ("Bye", None),
    ]  # fmt: skip
    call = desk.c.calls.get(id_)
    assert [each.response for each in call.transcripts] == ["Bakery, hello.", "Until six. Come in.", None]
    assert (call.status, transcript["status"]) == ("completed", "completed")


@row(61)
def test_a_finished_call_is_replayed_and_then_ended(desk: Desk) -> None:
    agent, number = desk.shop()
    id_ = spoken(desk, agent.id, number.phone_number, ADA, *SAID)
    events = list(desk.c.calls.stream_transcript(id_))
    assert [each["event"] for each in events] == ["connected", *["turn"] * 5, "ended"]
    assert events[0]["data"]["callId"] == id_
    assert [each["data"]["content"] for each in events[1:-1]] == [text for _, text in SAID]
    assert events[-1]["data"]["status"] == "completed"
    with pytest.raises(NotFoundError):
        list(desk.c.calls.stream_transcript("sip-none"))
    raw = desk.raw("GET", f"/v1/calls/{id_}/transcript/stream")
    assert raw.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert raw.content.isascii()


def test_a_written_calls_transcript_is_followed_live(desk: Desk) -> None:
    """Spoken calls will be followed so; what is written grows by the same log."""
    agent, number = desk.shop()
    desk.c.webhooks.set(desk.hook())
    desk.texts(ADA, number.phone_number, "one")
    desk.heard()
    [row] = desk.http.get(f"{desk.house.url}/v1/calls", timeout=20).json()["data"]
    path = f"/v1/calls/{row['id']}/transcript/stream"
    with desk.raw("GET", path, stream=True) as stream:
        lines = (line.decode() for line in stream.iter_lines())
        assert next(line for line in lines if line.startswith("event:")) == "event: connected"
        assert "one" in next(line for line in lines if '"role"' in line)
        desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="two")
        assert "two" in next(line for line in lines if '"role"' in line)
        desk.c.calls.end(row["id"])
        assert next(line for line in lines if line.startswith("event:")) == "event: ended"


def test_what_a_finished_call_does_not_have(desk: Desk) -> None:
    agent, number = desk.shop()
    id_ = spoken(desk, agent.id, number.phone_number, ADA)
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.calls.end(id_)
    assert caught.value.status == 409
    for ask in (desk.c.calls.get_recording, lambda _: desk.c.calls.get("sip-none")):
        with pytest.raises(NotFoundError):
            ask(id_)
    assert until(lambda: desk.c.calls.get(id_).transcripts == [])
