"""Calls that are spoken: what is refused before anybody is called, and how a call reads that was."""

from __future__ import annotations

import time
from typing import Any

import pytest

from omni.audio.wav import wav_of
from omni.model.call import Call, conversation_key
from omni.model.contact import Contact, known_by
from omni.model.entry import (
    BotCorrected,
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallEnded,
    CallRecorded,
    CallStarted,
    CallSummary,
    Entry,
    Fact,
    UserSaid,
)
from omni.model.message import Message
from omni.store.base import Append
from tests.rest.house import SMS_LINE, House

OURS, THEIRS = "+12025550142", "+12025550171"
PHONE = {"kind": "phone", "number": OURS, "account_sid": "AC" + "0" * 32, "auth_token": "a-secret-token"}
WAV = wav_of(b"\0\0" * 800, 8000)


async def _once(content: bytes) -> Any:
    yield content


def said(id_: str, text: str, **more: Any) -> UserSaid:
    given = {"id": id_, "text": text, "provider_id": id_, "at": 1.0, "message": Message.of(text), "turn": 1, **more}
    return UserSaid.model_validate(given)


def started(direction: str = "inbound") -> CallStarted:
    return CallStarted.model_validate(
        {"direction": direction, "from": THEIRS, "to": OURS, "channel": f"phone:{OURS}", "contact": "c"}
    )


async def spoken(house: House, id_: str, *facts: Fact, **more: Any) -> Call:
    """A call as the voice writes it down."""
    now = time.time()
    known = await house.store.find_contacts("default", known_by(THEIRS[1:]))
    person = Contact(id=f"ct_{id_}", home="home", identities=known_by(THEIRS[1:]))
    contact = known[0] if known else await house.store.save_contact(person)
    channel = f"phone:{OURS}"
    call = Call.model_validate(
        {
            "id": id_, "agent": "echo", "channel": channel, "transport": "phone", "contact": contact.id,
            "conversation": conversation_key("default", "echo", channel, f"{contact.id}/{id_}"), "home": "voice:gone",
            "started_at": now, "last_seq": len(facts), **more,
        }
    )  # fmt: skip
    entries = [Entry(seq=n, ts=now + n, call=id_, agent="echo", fact=fact) for n, fact in enumerate(facts, 1)]
    await house.store.append(Append(call, entries))
    return call


TALK: tuple[Fact, ...] = (
    started(),
    BotSaid(id="m1", text="Bakery,", turn=None),
    BotCorrected(supersedes=2, id="m1", text="Bakery, hello."),
    BotFinished(id="m1", text="Bakery, hello.", duration_ms=900),
    said("u1", "Are you"),
    said("u2", "Are you open?", replaces="u1", confidence=0.97),
    BotSaid(id="m2", text="Until six, and on Sundays", turn=1),
    BotCorrected(supersedes=7, id="m2", text="Until six,"),
    BotInterrupted(id="m2", text="Until six,", at_word=2, played_ms=700, reason="user_spoke"),
    BotInterrupted(id="m3", text="", reason="cancelled", kept=False),
    said("u3", "Bye", turn=2),
)


async def test_a_transcript_has_turns_whole_and_of_what_was_cut_as_much_as_was_heard(house: House) -> None:
    await spoken(house, "CA1", *TALK)
    lines = (await house.get("/v1/calls/CA1"))["transcript"]
    assert [(line["role"], line["text"], line["interrupted"]) for line in lines] == [
        ("assistant", "Bakery, hello.", False),
        ("user", "Are you open?", False),
        ("assistant", "Until six,", True),
        ("user", "Bye", False),
    ]
    assert [line["confidence"] for line in lines] == [None, 0.97, None, None]


async def test_calls_that_ring_are_found(house: House) -> None:
    await spoken(house, "CA1", started(), is_ringing=True)
    await spoken(house, "CA2", started())

    async def ids(status: str) -> list[str]:
        return [call["id"] for call in (await house.get("/v1/calls", status=status))["data"]]

    assert (await ids("ringing"), await ids("in_progress")) == (["CA1"], ["CA2"])
    call = await house.get("/v1/calls/CA1")
    assert (call["status"], call["transport"], call["phone_number"]) == ("ringing", "phone", THEIRS)


async def test_a_recording_is_streamed_whole_and_in_part(house: House) -> None:
    blob = await house.shop.engines.blobs.put("call-1", _once(WAV), mime="audio/wav", max_bytes=10_000)
    recorded = CallRecorded(blob=blob.key, duration_ms=100, sample_rate=8000, size=len(WAV))
    ends = (recorded, CallEnded(reason="hangup", duration=3), CallSummary(reason="hangup"))
    over = {"is_open": False, "reason": "hangup", "ended_at": time.time()}
    await spoken(house, "CA1", *TALK, *ends, recording=blob.key, **over)
    await spoken(house, "CA2", *TALK, *ends[1:], **over)
    call = await house.get("/v1/calls/CA1")
    assert call["recording_url"] == "/v1/calls/CA1/recording"
    async with house.shop.http.get(
        house.shop.url + call["recording_url"], headers={"Authorization": f"Bearer {house.keys['default']}"}
    ) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "audio/wav")
        assert "recording-CA1.wav" in answer.headers["Content-Disposition"]
        assert await answer.read() == WAV
    part = await house.ask("GET", call["recording_url"], headers={"Range": "bytes=0-3"})
    assert (part.status, part.text) == (206, "RIFF")
    none = await house.ask("GET", "/v1/calls/CA2/recording")
    assert (none.status, none.error["code"]) == (404, "no_recording")
    assert (await house.ask("GET", call["recording_url"], org="other")).status == 404


async def test_a_call_without_a_number_to_call_from_is_refused(house: House) -> None:
    nobody = await house.ask("POST", "/v1/calls", {"agent_id": "echo", "phone_number": THEIRS})
    assert (nobody.status, nobody.error["code"]) == (422, "contradiction")
    assert "no number to call from" in nobody.error["message"]
    await house.post("/v1/agents/echo/channels", PHONE)
    await house.post("/v1/agents/echo/channels", {**PHONE, "number": "+12025550143"})
    for body, param in (
        ({}, "caller_id"),
        ({"caller_id": "+12025550144"}, "caller_id"),
        ({"channel_id": f"phone:{OURS}", "message": {"text": "hi"}}, "channel_id"),
    ):
        answer = await house.ask("POST", "/v1/agents/echo/calls", {"phone_number": THEIRS, **body})
        assert (answer.status, answer.error["param"]) == (422, param), body
    await house.post("/v1/agents/echo/channels", SMS_LINE | {"number": "+12025550145"})
    answer = await house.ask(
        "POST", "/v1/agents/echo/calls", {"phone_number": THEIRS, "channel_id": "sms:+12025550145"}
    )
    assert (answer.status, answer.error["param"]) == (422, "message")


@pytest.mark.parametrize(
    ("act", "body"),
    [("say", {"text": "Hello"}), ("hold", {}), ("mute", {"on": False}), ("keys", {"digits": "12#"}),
     ("forward", {"to": "+12025550199", "message": "One moment."})],
)  # fmt: skip
async def test_only_a_spoken_call_in_progress_is_controlled(house: House, act: str, body: Any) -> None:
    await spoken(house, "CA1", *TALK)
    await spoken(house, "CA2", started(), is_ringing=True)
    written = await house.conversation()
    assert (await house.post(f"/v1/calls/CA1/{act}", body, status=202))["id"] == "CA1"
    for call, code in (("CA2", "not_in_progress"), (written["call_id"], "not_spoken")):
        answer = await house.ask("POST", f"/v1/calls/{call}/{act}", body)
        assert (answer.status, answer.error["code"]) == (409, code)
    assert (await house.ask("POST", f"/v1/calls/CA1/{act}", {**body, "odd": 1})).status == 400
