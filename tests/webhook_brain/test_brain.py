"""One turn against a server on a real socket: what is asked, what is said, and what cannot hurt the call."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from omni.model.agent import Agent
from omni.model.contact import Contact, Identity, IdentityKind
from omni.model.conversations import conversation_id
from omni.model.webhook import WebhookEndpoint
from omni.model.webhook_brain import WebhookSettings
from omni.outgoing.http import OutgoingHttp
from omni.sdk import webhooks
from omni.sdk.webhooks import WebhookVerificationError
from omni.store.base import StoreUnavailableError
from sessions.brains.base import BrainError, Break, Finish, HandOver, Press, Say, Spoken, Transfer
from sessions.brains.choose import Brains
from sessions.brains.endpoint import LlmDefaults
from sessions.brains.webhook.brain import WebhookBrain
from sessions.brains.webhook.envelope import contact_fields
from sessions.brains.webhook.record import TurnRecord
from tests.webhook_brain.receiver import Receiver, Talk, answers, babbles, hangs, resets, streams, streams_then_stays

SECRET = "whsec_of_the_tests"
PAST = tuple(
    Spoken("user" if n % 2 else "us", f"word {n}", 1_600_000_000 + n, f"msg_p{n}", "whatsapp") for n in range(1, 13)
)

# --- what is asked ----------------------------------------------------------------------------------------------------


async def test_omnis_own_request_holds_the_turn_and_its_past_and_is_signed(
    receiver: Receiver, answer: Any, turn_of: Any
) -> None:
    await answer(turn_of("hello", "are you there?", past=PAST, secret=SECRET, context_limit=2, metadata={"vip": True}))
    (asked,) = receiver.asked
    webhooks.verify(asked.body, asked.headers, SECRET)
    assert asked.headers["Omni-Event"] == "agent.message"
    assert asked.headers["Content-Type"] == "application/json"
    envelope = asked.envelope
    assert envelope.pop("created").endswith("Z")
    assert envelope == {
        "id": asked.headers["Omni-Delivery"],
        "type": "agent.message",
        "channel": "whatsapp",
        "agent_id": "shop",
        "data": {
            "message_id": "msg_2",
            "message_ids": ["msg_1", "msg_2"],
            "call_id": "wa-1",
            "conversation_id": conversation_id("default/shop/whatsapp:100200300/ct_1"),
            "number_id": "whatsapp:100200300",
            "from": "+12025550171",
            "to": "+12025550199",
            "contact": {"id": "ct_1", "name": "Ada", "email": None, "phone_number": "+12025550171"},
            "message": "hello\nare you there?",
            "media_url": None,
            "media_urls": [],
            "media": [],
            "direction": "inbound",
            "received_at": "2023-11-14T22:13:20.250Z",
        },
        "conversation_state": {"vip": True},
        "recent_history": [
            {
                "content": "word 11",
                "direction": "inbound",
                "channel": "whatsapp",
                "at": "2020-09-13T12:26:51.000Z",
                "role": "user",
                "message_id": "msg_p11",
            },
            {
                "content": "word 12",
                "direction": "outbound",
                "channel": "whatsapp",
                "at": "2020-09-13T12:26:52.000Z",
                "role": "agent",
                "message_id": "msg_p12",
            },
        ],
    }


async def test_agentphones_dialect_has_its_keys_headers_and_nothing_of_ours(
    receiver: Receiver, answer: Any, turn_of: Any
) -> None:
    await answer(turn_of(past=PAST, secret=SECRET, dialect="agentphone", context_limit=0, transport="sms"))
    (asked,) = receiver.asked
    assert asked.headers["X-Webhook-Event"] == "agent.message"
    assert asked.headers["X-Webhook-Signature"].startswith("sha256=")
    assert asked.headers["X-Webhook-ID"].startswith("whd_")
    assert not [name for name in asked.headers if name.startswith("Omni-")]
    envelope = asked.envelope
    assert set(envelope) == {
        "event", "channel", "timestamp", "agentId", "data", "conversationState", "recentHistory"
    }  # fmt: skip
    assert envelope["channel"] == "sms"
    assert envelope["recentHistory"] == []
    assert envelope["conversationState"] is None
    assert {"messageId", "conversationId", "numberId", "from", "to", "contact", "message"} <= set(envelope["data"])
    assert {"mediaUrl", "mediaUrls", "direction", "receivedAt"} <= set(envelope["data"])
    assert envelope["data"]["contact"]["phoneNumber"] == "+12025550171"


async def test_a_voice_turn_asks_with_a_transcript(receiver: Receiver, answer: Any, turn_of: Any) -> None:
    await answer(turn_of("hello", transport="sip", dialect="agentphone"))
    envelope = receiver.asked[0].envelope
    assert envelope["channel"] == "voice"
    assert envelope["data"]["transcript"] == "hello"
    assert envelope["data"]["status"] == "in-progress"
    assert "message" not in envelope["data"]


def test_somebody_without_a_number_has_none_in_the_request() -> None:
    visitor = Contact(id="ct_2", home="x", identities=(Identity(kind=IdentityKind.VISITOR, value="v-1"),))
    assert contact_fields("omni", visitor) == {"id": "ct_2", "name": None, "email": None, "phone_number": None}


async def test_every_request_has_an_id_of_its_own_and_none_is_sent_before_the_person_spoke(
    receiver: Receiver, answer: Any, turn_of: Any
) -> None:
    from dataclasses import replace

    assert await answer(replace(turn_of(), messages=(), text="")) == []
    assert receiver.asked == []
    await answer(turn_of())
    await answer(turn_of())
    ids = [asked.headers["Omni-Delivery"] for asked in receiver.asked]
    assert len(set(ids)) == 2


async def test_without_a_secret_there_is_no_signature_and_the_sdk_says_so(
    receiver: Receiver, answer: Any, turn_of: Any
) -> None:
    await answer(turn_of())
    (asked,) = receiver.asked
    with pytest.raises(WebhookVerificationError, match="not signed"):
        webhooks.verify(asked.body, asked.headers, SECRET)


def test_a_request_that_was_changed_or_is_old_is_not_believed() -> None:
    from omni.access.webhooks import signed_headers

    headers = signed_headers("omni", SecretStr(SECRET), b"{}", event="e", delivery="d", at=1000)
    webhooks.verify(b"{}", headers, SECRET, now=1299)
    webhooks.verify(b"{}", {k.lower(): v for k, v in headers.items()}, SECRET, now=701)
    webhooks.verify(b"{}", headers, SECRET, tolerance=None)
    for body, secret, now in ((b"{ }", SECRET, 1000), (b"{}", "other", 1000), (b"{}", SECRET, 1301)):
        with pytest.raises(WebhookVerificationError):
            webhooks.verify(body, headers, secret, now=now)
    with pytest.raises(WebhookVerificationError, match="whole number"):
        webhooks.verify(b"{}", {**headers, "Omni-Timestamp": "1e3"}, SECRET, now=1000)


# --- what is said -----------------------------------------------------------------------------------------------------


async def test_an_object_is_the_answer(receiver: Receiver, answer: Any, turn_of: Any, kept: Any) -> None:
    receiver.will(answers({"text": "We close at six."}))
    assert await answer(turn_of()) == [Say("We close at six.")]
    assert (kept.last.status, kept.last.error, kept.last.was_cut) == (200, None, False)
    assert kept.last.reply == '{"text": "We close at six."}'
    assert kept.last.id == receiver.asked[0].headers["Omni-Delivery"]
    assert json.loads(kept.last.body) == receiver.asked[0].envelope


async def test_lines_are_said_as_they_come_and_the_final_one_completes_the_message(
    receiver: Receiver, answer: Any, turn_of: Any
) -> None:
    receiver.will(
        streams({"text": "Let me look.", "interim": True}, {"text": "", "interim": True}, {"text": "Found it: ü😀"})
    )
    assert await answer(turn_of()) == [Say("Let me look."), Say(" Found it: ü😀")]


async def test_the_first_words_leave_while_the_server_still_writes(
    receiver: Receiver, brain: WebhookBrain, turn_of: Any
) -> None:
    go_on = asyncio.Event()

    async def slowly(talk: Talk) -> None:
        talk.head()
        await talk.send(b'{"text":"One moment.","interim":true}\n')
        await go_on.wait()
        await talk.send(b'{"text":"Done."}\n')
        await talk.end()

    receiver.will(slowly)
    chunks = brain.answer(turn_of())
    assert await anext(chunks) == Say("One moment.")
    go_on.set()
    assert [chunk async for chunk in chunks] == [Say(" Done.")]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_a_stream_that_trickles_byte_by_byte_reads_the_same(
    size: int, receiver: Receiver, answer: Any, turn_of: Any
) -> None:
    receiver.will(streams({"text": "Grüße 😀,", "interim": True}, b"\r\n", {"text": "ada"}, size=size))
    assert await answer(turn_of()) == [Say("Grüße 😀,"), Say(" ada")]


async def test_what_follows_the_closing_object_is_ignored_and_the_stream_closed(
    receiver: Receiver, answer: Any, turn_of: Any
) -> None:
    receiver.will(streams_then_stays({"text": "Bye."}, {"text": "And another thing"}))
    assert await answer(turn_of()) == [Say("Bye.")]
    await asyncio.wait_for(receiver.asked[0].gone.wait(), 10)


async def test_a_stream_that_ends_with_its_closing_object_leaves_its_connection_for_the_next(
    brain: WebhookBrain, turn_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.brains.webhook.brain.LEFTOVER", 5.0)  # this machine may be busy
    connections = set()

    async def handle(request: web.Request) -> web.StreamResponse:
        connections.add(id(request.transport))
        reply = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await reply.prepare(request)
        await reply.write(b'{"text":"a","interim":true}\n')
        await reply.write(b'{"text":"b"}\n')
        await asyncio.sleep(0.01)  # the end of the stream comes by itself
        return reply

    app = web.Application()
    app.router.add_post("/turn", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/turn"
    for _ in range(5):
        assert [chunk async for chunk in brain.answer(turn_of(url=url))] == [Say("a"), Say("b")]
    await runner.cleanup()
    assert len(connections) == 1


async def test_a_stream_that_ends_without_closing_object_is_closed(
    receiver: Receiver, answer: Any, turn_of: Any, kept: Any
) -> None:
    receiver.will(streams({"text": "Half", "interim": True}))
    assert await answer(turn_of()) == [Say("Half")]
    assert kept.last.error is None


async def test_bad_lines_are_passed_over_and_noted(receiver: Receiver, answer: Any, turn_of: Any, kept: Any) -> None:
    receiver.will(
        streams({"text": "a", "interim": True}, b'{"text":"\xff\xfe"}\n', b"nope\n", b"[1]\n", b'{"text": "b"}')
    )
    assert await answer(turn_of()) == [Say("a"), Say("b")]
    assert [note.partition(" is ")[0] for note in kept.last.notes] == ["line 2", "line 3", "line 4"]


# --- what it asks for beside words ------------------------------------------------------------------------------------


async def test_actions_come_after_the_words(receiver: Receiver, answer: Any, turn_of: Any) -> None:
    receiver.will(answers({"hangup": True, "text": "Goodbye."}))
    assert await answer(turn_of()) == [Say("Goodbye."), Finish("agent_hangup")]
    receiver.will(answers({"action": "hangup"}))
    assert await answer(turn_of()) == [Finish("agent_hangup")]
    receiver.will(streams({"text": "A colleague comes.", "interim": True, "action": "transfer"}, {"text": "ignored"}))
    assert await answer(turn_of()) == [Say("A colleague comes."), HandOver("the webhook asked for a transfer")]


async def test_a_message_beside_is_one_of_its_own_and_goes_to_the_person_only(
    receiver: Receiver, answer: Any, turn_of: Any, kept: Any
) -> None:
    receiver.will(streams({"text": "Here:", "interim": True, "send_message": {"body": "the link"}}, {"text": "ok?"}))
    assert await answer(turn_of()) == [Say("Here:"), Say(" ok?"), Break(), Say("the link")]
    receiver.will(answers({"send_message": {"body": "only this", "to": "+1 (202) 555-0171"}}))
    assert await answer(turn_of()) == [Say("only this")]
    receiver.will(answers({"text": "x", "send_message": {"body": "spam", "to": "+12025550000"}}))
    assert await answer(turn_of()) == [Say("x")]
    assert any("can only go to the person" in note for note in kept.last.notes)


async def test_keys_are_not_pressed_in_writing_and_that_is_noted(
    receiver: Receiver, answer: Any, turn_of: Any, kept: Any
) -> None:
    receiver.will(answers({"text": "x", "digits": "1#"}))
    assert await answer(turn_of()) == [Say("x")]
    assert kept.last.notes == ("`digits` were not sent: there are no keys to press on whatsapp",)


async def test_aloud_a_whole_sentence_is_spoken_at_once_and_tokens_wait_for_their_word(
    receiver: Receiver, answer: Any, turn_of: Any
) -> None:
    lines = [{"text": text, "interim": True} for text in ("Let me look.", "Fou", "nd", " it!")]
    receiver.will(streams(*lines, {"text": "Bye"}))
    assert await answer(turn_of(transport="phone")) == [
        Say("Let me look.", is_whole=True), Say(" Fou"), Say("nd"), Say(" it!", is_whole=True), Say(" Bye"),
    ]  # fmt: skip


async def test_aloud_keys_are_pressed_and_callers_transferred_after_the_words(
    receiver: Receiver, answer: Any, turn_of: Any, kept: Any
) -> None:
    agent = Agent(slug="shop", brain="webhook", audio={"transfer_number": "+12025550199"})
    own = WebhookSettings(url=receiver.url)
    able = turn_of(transport="phone", agent=agent.model_copy(update={"webhook": own}))
    receiver.will(answers({"text": "Putting you through.", "action": "transfer", "digits": "1aW#"}))
    words = Say("Putting you through.", is_whole=True)
    assert await answer(able) == [words, Press("1Aw#"), Transfer("+12025550199")]
    assert await answer(turn_of(transport="phone")) == [words, Press("1Aw#")]
    assert kept.last.notes == ("nobody was called: the agent has no number to transfer to; set one",)
    receiver.will(answers({"text": "Goodbye.", "hangup": True}))
    assert await answer(able) == [Say("Goodbye.", is_whole=True), Finish("agent_hangup")]


@pytest.mark.parametrize("transport", ["phone", "chat"])
async def test_a_colleague_can_be_asked_for_anywhere(
    receiver: Receiver, answer: Any, turn_of: Any, transport: str
) -> None:
    receiver.will(answers({"action": "handoff"}))
    assert await answer(turn_of(transport=transport)) == [HandOver("the webhook asked for a person")]


# --- what goes wrong --------------------------------------------------------------------------------------------------

FAILURES = [
    pytest.param(answers({"text": "no"}, status=500), 500, "answered 500", id="500"),
    pytest.param(answers({"text": "no"}, status=404), 404, "answered 404", id="404"),
    pytest.param(answers({"text": "no"}, status=302, Location="/other"), 302, "a redirect", id="redirect"),
    pytest.param(answers(b""), 200, "empty body", id="empty"),
    pytest.param(answers(b"", "application/x-ndjson"), 200, "empty body", id="empty stream"),
    pytest.param(answers(b"ok", "text/plain"), 200, "not JSON", id="words"),
    pytest.param(answers("hello"), 200, "a string", id="string"),
    pytest.param(answers([]), 200, "a list", id="list"),
    pytest.param(answers(b'{"text":"\xff"}'), 200, "not UTF-8", id="broken UTF-8"),
    pytest.param(answers(b"x" * 1_200_000), 200, "more than 1 MiB", id="huge"),
    pytest.param(streams(b"[1]\n", b"nope\n"), 200, "no object in any line", id="no good line"),
    pytest.param(hangs, None, "timeout", id="hangs"),
    pytest.param(resets, None, "broke the connection off", id="resets"),
    pytest.param(babbles, None, "did not speak HTTP", id="no HTTP"),
]


@pytest.mark.parametrize(("behave", "status", "error"), FAILURES)
async def test_a_server_that_fails_is_silence_and_is_asked_once(
    behave: Any, status: int | None, error: str, receiver: Receiver, answer: Any, turn_of: Any, kept: Any
) -> None:
    receiver.will(behave)
    assert await answer(turn_of(timeout_s=1)) == []
    assert len(receiver.asked) == 1
    assert kept.last.status == status
    assert error in kept.last.error
    assert not kept.last.was_cut


async def test_a_fallback_is_said_only_where_one_is_set_and_nothing_was_said(
    receiver: Receiver, answer: Any, turn_of: Any
) -> None:
    receiver.will(answers({"text": "no"}, status=500))
    assert await answer(turn_of(fallback="Please call us.")) == [Say("Please call us.")]
    receiver.will(answers({"text": "fine"}))
    assert await answer(turn_of(fallback="Please call us.")) == [Say("fine")]


async def test_a_gap_closes_the_turn_with_what_was_said(
    receiver: Receiver, answer: Any, turn_of: Any, kept: Any
) -> None:
    receiver.will(streams_then_stays({"text": "I am looking", "interim": True}))
    assert await answer(turn_of(timeout_s=1)) == [Say("I am looking")]
    assert kept.last.error == "timeout"
    await asyncio.wait_for(receiver.asked[0].gone.wait(), 10)


async def test_the_gap_counts_from_the_newest_piece(receiver: Receiver, answer: Any, turn_of: Any, kept: Any) -> None:
    async def steadily(talk: Talk) -> None:
        talk.head()
        for n in range(4):
            await asyncio.sleep(0.4)
            await talk.send(b'{"text":"%d","interim":true}\n' % n)
        await talk.end()

    receiver.will(steadily)
    assert await answer(turn_of(timeout_s=1)) == [Say("0"), Say("1"), Say("2"), Say("3")]
    assert kept.last.error is None


async def test_a_turn_has_an_end_however_the_stream_trickles(
    receiver: Receiver, http: OutgoingHttp, turn_of: Any
) -> None:
    async def drip(talk: Talk) -> None:
        talk.head()
        while not talk.asked.gone.is_set():
            await talk.send(b'{"text":".","interim":true}\n')
            await asyncio.sleep(0.01)

    receiver.will(drip)
    brain = WebhookBrain(http, whole_turn=0.3)
    began = time.monotonic()
    said = [chunk async for chunk in brain.answer(turn_of())]
    assert len(said) > 1
    assert time.monotonic() - began < 10
    await asyncio.wait_for(receiver.asked[0].gone.wait(), 10)


async def test_closing_the_answer_hangs_up_at_once(
    receiver: Receiver, brain: WebhookBrain, turn_of: Any, kept: Any
) -> None:
    receiver.will(streams_then_stays({"text": "I was about to", "interim": True}))
    chunks = brain.answer(turn_of())
    assert await anext(chunks) == Say("I was about to")
    await chunks.aclose()
    await asyncio.wait_for(receiver.asked[0].gone.wait(), 10)
    assert kept.last.was_cut
    assert kept.last.error is None


async def test_cancelling_before_the_first_byte_hangs_up_too(
    receiver: Receiver, answer: Any, turn_of: Any, kept: Any
) -> None:
    receiver.will(hangs)
    task = asyncio.create_task(answer(turn_of()))
    (asked,) = await receiver.requests(1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    await asyncio.wait_for(asked.gone.wait(), 10)
    assert kept.last.was_cut


async def test_an_address_inside_is_not_asked_without_leave(receiver: Receiver, turn_of: Any, kept: Any) -> None:
    http = OutgoingHttp()
    brain = WebhookBrain(http, turns=kept)
    assert [chunk async for chunk in brain.answer(turn_of(url=receiver.url.replace("http:", "https:")))] == []
    await http.close()
    assert receiver.asked == []
    assert "OMNI_ALLOW_PRIVATE_WEBHOOKS" in kept.last.error


# --- whom it asks -----------------------------------------------------------------------------------------------------


def endpoint(receiver: Receiver, id_: str, **more: Any) -> WebhookEndpoint:
    return WebhookEndpoint(**{"id": id_, "url": receiver.url, "secret": SecretStr(id_), **more})


async def test_the_agents_endpoint_goes_before_the_organisations_and_its_own_setting_before_both(
    receiver: Receiver, http: OutgoingHttp, turn_of: Any, kept: Any
) -> None:
    registered = [
        endpoint(receiver, "wh_told", agent="shop", answers=False),
        endpoint(receiver, "wh_off", agent="shop", disabled_at=1.0),
        endpoint(receiver, "wh_other", agent="other"),
        endpoint(receiver, "wh_org"),
        endpoint(receiver, "wh_agent", agent="shop"),
    ]

    async def endpoints(org: str) -> list[WebhookEndpoint]:
        assert org == "default"
        return registered

    brain = WebhookBrain(http, endpoints, turns=kept)
    agent = Agent(slug="shop", brain="webhook")

    async def asks(turn: Any) -> str | None:
        assert [chunk async for chunk in brain.answer(turn)] == [Say("ok")]
        last: TurnRecord = kept.last
        return last.endpoint

    assert await asks(turn_of(agent=agent)) == "wh_agent"
    webhooks.verify(receiver.asked[-1].body, receiver.asked[-1].headers, "wh_agent")
    registered.pop()
    assert await asks(turn_of(agent=agent)) == "wh_org"
    assert await asks(turn_of(secret="own")) is None
    webhooks.verify(receiver.asked[-1].body, receiver.asked[-1].headers, "own")


async def test_a_registered_endpoint_of_agentphones_dialect_answers_spoken_turns_only(
    receiver: Receiver, http: OutgoingHttp, turn_of: Any
) -> None:
    """It is told of written messages as events; to ask it as well would tell it twice."""
    registered = [
        endpoint(receiver, "wh_omni", created_at=1.0),
        endpoint(receiver, "wh_phone", agent="shop", dialect="agentphone", created_at=2.0),
    ]

    async def endpoints(org: str) -> list[WebhookEndpoint]:
        return registered

    brain = WebhookBrain(http, endpoints)
    agent = Agent(slug="shop", brain="webhook")
    assert [chunk async for chunk in brain.answer(turn_of(agent=agent))] == [Say("ok")]
    assert "Omni-Event" in receiver.asked[-1].headers
    assert [chunk async for chunk in brain.answer(turn_of(agent=agent, transport="sip"))] == [Say("ok")]
    assert "X-Webhook-Event" in receiver.asked[-1].headers
    del registered[0]
    assert [chunk async for chunk in brain.answer(turn_of(agent=agent))] == []
    assert len(receiver.asked) == 2


async def test_without_an_address_or_a_store_the_error_names_the_mend(http: OutgoingHttp, turn_of: Any) -> None:
    brains = Brains(LlmDefaults(), WebhookBrain(http))
    agent = Agent(slug="shop", brain="webhook")
    with pytest.raises(BrainError, match=r"shop.*no address to ask; give it `webhook: \{url"):
        await anext(brains.brain_for(agent).answer(turn_of(agent=agent)))
    await brains.close()

    async def away(org: str) -> list[WebhookEndpoint]:
        raise StoreUnavailableError("the store is away")

    with pytest.raises(BrainError, match="the store is away"):
        await anext(WebhookBrain(http, away).answer(turn_of(agent=agent)))


def test_a_secret_is_written_to_the_store_only() -> None:
    agent = Agent.model_validate({"slug": "a", "webhook": {"url": "https://x.example/", "secret": SECRET}})
    assert SECRET not in agent.model_dump_json()
    assert SECRET not in repr(agent)
    from omni.model.channel import REVEAL

    assert Agent.model_validate_json(agent.model_dump_json(context=REVEAL)) == agent
