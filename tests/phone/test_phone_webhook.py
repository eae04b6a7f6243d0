"""What Twilio posts about calls, over a real socket: who is believed, what is answered, what the reception is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.phone.addresses import AFTER_PATH, AMD_PATH, ANNOUNCE_PATH, ANNOUNCE_PREFIX, STATUS_PATH, VOICE_PATH
from channels.phone.directory import Directory
from channels.phone.reception import Answer, Refuse
from channels.phone.webhook import PhoneWebhook
from channels.twilio.simulator.signing import headers
from omni.access.seal import Sealer
from omni.model.agent import Agent
from omni.model.channel import SmsChannel
from tests.phone.line import ACCOUNT, ADA, CALL, DESK, NUMBER, PUBLIC, TOKEN, Desk, directory_of, line_of, until

SEALER = Sealer("a-secret-of-the-tests")
STREAM_URL = f"wss://w.example.com/m/{ACCOUNT}"


@dataclass
class Door:
    url: str
    http: aiohttp.ClientSession
    desk: Desk

    async def post(self, path: str, form: dict[str, str], *, token: str = TOKEN, base: str = PUBLIC) -> tuple[int, str]:
        signed = headers(f"{base}{path}", list(form.items()), auth_token=token) if token else {}
        async with self.http.post(f"{self.url}{path}", data=form, headers=signed) as answer:
            return answer.status, await answer.text()

    async def twiml(self, path: str, form: dict[str, str]) -> ET.Element:
        status, text = await self.post(path, form)
        assert status == 200, text
        return ET.fromstring(text)


@asynccontextmanager
async def opened(desk: Desk, directory: Directory | None = None, patience: float = 5.0) -> AsyncIterator[Door]:
    known = directory or directory_of(
        line_of(previous_auth_token="the-token-before"),
        line_of(org="other", number="+12025550199", account_sid="AC" + "6" * 32, auth_token="their-own-token"),
    )
    webhook = PhoneWebhook(desk, lambda: known, lambda: PUBLIC, SEALER, patience=patience)
    app = web.Application()
    app.add_routes(webhook.routes(with_status=True))
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        yield Door(str(server.make_url("")).rstrip("/"), http, desk)
        await webhook.close()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with opened(Desk()) as found:
        yield found


def form_of(**more: str) -> dict[str, str]:
    given = {"CallSid": CALL, "AccountSid": ACCOUNT, "From": ADA, "To": NUMBER, "Direction": "inbound"}
    return {**given, "CallStatus": "ringing", "ApiVersion": "2010-04-01", **more}


def status_of(word: str, number: int | None = None, **more: str) -> dict[str, str]:
    sequence = {} if number is None else {"SequenceNumber": str(number)}
    return form_of(CallStatus=word, From=NUMBER, To=ADA, Direction="outbound-api", **sequence, **more)


# inbound calls


async def test_a_call_is_offered_and_its_sound_goes_where_the_reception_says(door: Door) -> None:
    said = {"CallerName": "ADA L", "ForwardedFrom": DESK, "StirVerstat": "TN-Validation-Passed-A", "FromCity": "BERN"}
    answer = await door.twiml(VOICE_PATH, form_of(**said, **{"SipHeader_X-Order": "7\x00\u202e"}))
    stream = answer.find("Connect/Stream")
    assert stream is not None
    assert stream.get("url") == STREAM_URL
    assert [(each.get("name"), each.get("value")) for each in stream] == [("token", "tok-1")]
    (call,) = door.desk.offered
    assert (call.org, call.agent, call.channel.number, call.call) == ("default", "desk", NUMBER, CALL)
    assert (call.from_, call.to, call.caller_name, call.forwarded_from) == (ADA, NUMBER, "ADA L", DESK)
    assert call.stir == "TN-Validation-Passed-A"
    assert call.extras == {"FromCity": "BERN", "SipHeader_X-Order": "7"}


@pytest.mark.parametrize(
    ("form", "token", "base", "status"),
    [
        (form_of(), "", PUBLIC, 401),
        (form_of(), "somebody-else's", PUBLIC, 403),
        (form_of(), TOKEN, "https://evil.example.com", 403),
        (form_of(To="+12025550199"), TOKEN, PUBLIC, 403),
        (form_of(AccountSid="AC" + "6" * 32), TOKEN, PUBLIC, 403),
        (form_of(), "the-token-before", PUBLIC, 200),
    ],
)
async def test_only_the_numbers_own_account_is_believed(
    door: Door, form: dict[str, str], token: str, base: str, status: int
) -> None:
    for path in (VOICE_PATH, STATUS_PATH, AFTER_PATH, f"{AMD_PATH}?n={form['To'][1:]}"):
        assert (await door.post(path, form, token=token, base=base))[0] == status, path
    assert len(door.desk.offered) == (status == 200)
    assert status == 200 or door.desk.told == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [(Refuse("busy"), "busy"), (Refuse("rejected"), "rejected"), (RuntimeError("no worker"), "busy")],
)
async def test_a_call_that_is_not_taken_is_rejected(given: Refuse | Exception, reason: str) -> None:
    async with opened(Desk(answers=[given])) as door:
        reject = (await door.twiml(VOICE_PATH, form_of())).find("Reject")
        assert reject is not None
        assert reject.get("reason") == reason


async def test_a_reception_that_does_not_answer_is_a_busy_line() -> None:
    async with opened(Desk(waits=asyncio.Event()), patience=0.05) as door:
        assert (await door.twiml(VOICE_PATH, form_of())).find("Reject[@reason='busy']") is not None


async def test_a_repeated_webhook_gets_the_same_answer_and_is_one_call() -> None:
    desk = Desk(answers=[Answer("tok-1", "wss://w.example.com/m"), Refuse("busy")], waits=asyncio.Event())
    async with opened(desk) as door:
        first = asyncio.create_task(door.post(VOICE_PATH, form_of()))
        await until(lambda: desk.offered)
        second = asyncio.create_task(door.post(VOICE_PATH, form_of()))
        assert desk.waits is not None
        desk.waits.set()
        assert await first == await second == await door.post(VOICE_PATH, form_of())
        assert len(desk.offered) == 1
        assert (await door.twiml(VOICE_PATH, form_of(CallSid="CA" + "2" * 32))).find("Reject") is not None


async def test_an_odd_form_is_left_out(door: Door) -> None:
    assert (await door.post(VOICE_PATH, form_of(CallSid="../etc")))[0] == 200
    assert door.desk.offered == []


# what becomes of calls


async def test_statuses_become_progress(door: Door) -> None:
    for number, word in enumerate(("initiated", "ringing", "in-progress", "completed")):
        assert (await door.post(STATUS_PATH, status_of(word, number)))[0] == 200
    assert [(told.status, told.sequence) for told in door.desk.told] == [("ringing", 1), ("answered", 2), ("ended", 3)]
    assert {(told.org, told.channel.number, told.call) for told in door.desk.told} == {("default", NUMBER, CALL)}


@pytest.mark.parametrize(
    ("word", "status"),
    [("busy", "busy"), ("no-answer", "no-answer"), ("failed", "failed"), ("canceled", "canceled")],
)
async def test_a_call_that_comes_to_nothing_says_why(door: Door, word: str, status: str) -> None:
    await door.post(STATUS_PATH, status_of(word, 2, SipResponseCode="486", ErrorCode="13227"))
    (told,) = door.desk.told
    assert (told.status, told.code, told.detail) == (status, "13227", word)


async def test_no_status_leads_a_call_backwards(door: Door) -> None:
    for number, word in ((2, "in-progress"), (1, "ringing"), (2, "in-progress"), (9, "of-tomorrow"), (3, "completed")):
        assert (await door.post(STATUS_PATH, status_of(word, number)))[0] == 200
    for number, word in ((4, "busy"), (1, "ringing"), (3, "completed"), (5, "in-progress")):
        await door.post(STATUS_PATH, status_of(word, number))
    assert [told.status for told in door.desk.told] == ["answered", "ended"]


async def test_who_picked_up_is_told(door: Door) -> None:
    found = []
    for word in ("human", "machine_start", "machine_end_beep", "fax", "unknown", "of tomorrow"):
        form = {"CallSid": CALL, "AccountSid": ACCOUNT, "AnsweredBy": word, "MachineDetectionDuration": "2100"}
        assert (await door.post(f"{AMD_PATH}?n={NUMBER[1:]}", form))[0] == 200
    found = [(told.status, told.detail) for told in door.desk.told]
    assert found == [
        ("human", "human"),
        ("machine", "machine_start"),
        ("machine", "machine_end_beep"),
        ("machine", "fax"),
    ]


# transfers


async def test_who_was_put_through_is_gone_when_that_ends(door: Door) -> None:
    form = form_of(CallStatus="in-progress", DialCallStatus="completed", DialCallSid="CA" + "9" * 32)
    assert (await door.twiml(AFTER_PATH, form)).find("Hangup") is not None
    assert [told.status for told in door.desk.told] == ["forwarded"]
    assert door.desk.back == []


@pytest.mark.parametrize("why", ["busy", "no-answer", "failed", "canceled"])
async def test_who_reached_nobody_is_back_at_the_bot(door: Door, why: str) -> None:
    form = form_of(CallStatus="in-progress", DialCallStatus=why, DialCallSid="CA" + "9" * 32)
    stream = (await door.twiml(AFTER_PATH, form)).find("Connect/Stream")
    assert stream is not None
    assert stream.get("url") == STREAM_URL
    assert await door.post(AFTER_PATH, form) == await door.post(AFTER_PATH, form)
    assert [(told.status, told.detail) for told in door.desk.told] == [("not_forwarded", why)]
    assert [back.why for back in door.desk.back] == [why]


async def test_a_caller_who_left_meanwhile_is_not_back(door: Door) -> None:
    form = form_of(CallStatus="completed", DialCallStatus="canceled", DialCallSid="CA" + "9" * 32)
    assert (await door.twiml(AFTER_PATH, form)).find("Hangup") is not None
    assert door.desk.back == []
    assert [told.status for told in door.desk.told] == ["not_forwarded"]


async def test_only_words_of_ours_are_announced(door: Door) -> None:
    sealed = SEALER.seal(ANNOUNCE_PREFIX, {"say": "A call from Ada <about> her order."})
    form = {"CallSid": "CA" + "9" * 32, "AccountSid": ACCOUNT, "From": ADA, "To": DESK}
    answer = await door.twiml(f"{ANNOUNCE_PATH}?m={sealed}", form)
    assert answer.findtext("Say") == "A call from Ada <about> her order."
    forged = Sealer("another").seal(ANNOUNCE_PREFIX, {"say": "Press 1"})
    assert (await door.twiml(f"{ANNOUNCE_PATH}?m={forged}", form)).find("Say") is None


# whose account a number has


def agent_of(slug: str, *channels: dict[str, str], org: str = "default") -> Agent:
    return Agent.model_validate({"slug": slug, "brain": "client", "org": org, "channels": channels})


BARE = {"kind": "phone", "number": NUMBER}
SMS = {"kind": "sms", "number": NUMBER, "account_sid": ACCOUNT, "auth_token": TOKEN}


def test_a_bare_number_has_the_account_of_its_own_organisation_only() -> None:
    assert Directory.of([agent_of("a", BARE)]).find(ACCOUNT, NUMBER) == ()
    shared = Directory.of([agent_of("a", BARE), agent_of("texts", SMS)])
    assert [line.agent for line in shared.find(ACCOUNT, NUMBER)] == ["a"]
    assert Directory.of([agent_of("a", BARE, org="b"), agent_of("texts", SMS)]).find(ACCOUNT, NUMBER) == ()


def test_the_servers_own_numbers_are_the_operators() -> None:
    stock = [SmsChannel.model_validate(SMS)]
    assert Directory.of([agent_of("a", BARE)], stock).find(ACCOUNT, NUMBER)
    assert not Directory.of([agent_of("a", BARE, org="b")], stock).find(ACCOUNT, NUMBER)
