"""A whole server and the stand-in for Twilio: what a person who texts, and a colleague, see of each other."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from channels.twilio.simulator import FaultRule, StatusPlan, WebhookPlan
from omni.app.server import Server
from omni.cli.naming import Person, find
from omni.model.contact import Identity, IdentityKind, Sender
from omni.model.message import Location, Media, MediaKind, Message
from omni.settings import Settings
from sessions.contacts import Contacts
from tests.server.shop import until
from tests.sms.conftest import OpenDesk
from tests.sms.desk import ADA, NUMBER, SERVICE, TOKEN, Desk, agent_of, form_of

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489") + b"pixels" * 500
BO = "+12025550172"
TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'


async def test_a_text_is_answered_by_text(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    desk.simulator.texts(ADA, "Is it open today? 🙂")
    assert await desk.answers() == ["You said: Is it open today? 🙂"]
    call = await desk.call()
    assert call.id.startswith("sms-")
    assert call.channel == f"sms:{NUMBER}"
    (sent,) = desk.simulator.sent()
    assert sent.sender == NUMBER
    assert sent.callback.startswith(f"{desk.server.url}/twilio/status?d=omni")
    assert desk.simulator.webhooks.answers.get("403") is None
    (delivery,) = await desk.deliveries("delivered")
    assert delivery.receipts[0].provider_id == sent.sid
    assert delivery.receipts[0].segments == 1


async def test_texts_and_opt_outs_on_the_other_engines_too(open_desk: OpenDesk, services: dict[str, Any]) -> None:
    desk = await open_desk(**services)
    desk.simulator.texts(ADA, "hello", files=(("image/png", PNG),))
    assert await desk.answers() == ["You said: hello\n[image]"]
    (delivery,) = await desk.deliveries("delivered")
    assert delivery.receipts[0].segments == 1
    desk.simulator.texts(ADA, "STOP")
    await until(lambda: _is_out(desk))
    await desk.commands.send(await desk.call(), "kim", Message.of("one more thing"))
    (failed,) = await desk.logged("delivery.failed")
    assert failed.code == "opted_out"


async def test_a_number_that_is_too_quick_slows_down_and_loses_nothing(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    desk.simulator.faults.add(FaultRule(kind="rate_limited", times=2))
    for word in ("one", "two", "three"):
        desk.simulator.texts(ADA, word)
        await until(lambda word=word: _has_said(desk, word))
    assert await desk.answers(3) == ["You said: one", "You said: two", "You said: three"]


async def _has_said(desk: Desk, word: str) -> bool:
    """Texts come in no order of their own: each is waited for."""
    said = await desk.logged("user.message")
    return any(each.text == word for each in said)


async def test_the_webhook_says_nothing_by_itself(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    status, body = await desk.post("/twilio/sms", form_of())
    assert (status, body) == (200, TWIML)


async def test_a_message_that_comes_three_times_acts_once(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    sid = desk.simulator.texts(ADA, "once", times=3)
    await desk.answers()
    await desk.simulator.webhooks.idle()
    desk.simulator.repeat(sid)
    desk.simulator.texts(ADA, "and then")
    assert await desk.answers(2) == ["You said: once", "You said: and then"]
    assert len(await desk.logged("user.message", 2)) == 2


async def test_a_message_taken_before_a_restart_is_answered_after_it_and_once(open_desk: OpenDesk) -> None:
    desk = await open_desk(agent_of(debounce_ms=30_000, max_debounce_ms=30_000))
    sid = desk.simulator.texts(ADA, "do you remember?")
    await desk.logged("user.message")
    await desk.server.stop()
    quick = desk.settings.model_copy(update={"agents": (agent_of(),)})
    desk.server = Server(quick)
    await desk.server.start()
    await desk.post("/twilio/sms", form_of(sid, "do you remember?"))  # Twilio's own repetition of the same
    desk.simulator.texts(BO, "unrelated")  # the old address: nobody is there any more
    status, _ = await desk.post("/twilio/sms", form_of("SM" + "2" * 32, "something else", From=BO))
    assert status == 200
    assert await desk.answers(1, BO) == ["You said: something else"]
    assert await desk.answers(1, ADA) == ["You said: do you remember?"]
    assert len(desk.simulator.sent()) == 2


async def test_messages_of_the_newer_signature_are_taken(open_desk: OpenDesk) -> None:
    agent = agent_of(channel={"signing_key": "a-shared-key-77"})
    desk = await open_desk(agent, simulator={"signing_key": "a-shared-key-77"})
    desk.simulator.texts(ADA, "signed anew")
    assert await desk.answers() == ["You said: signed anew"]
    await desk.deliveries("delivered")


async def test_a_messaging_service_answers_and_hears_statuses(open_desk: OpenDesk) -> None:
    desk = await open_desk(agent_of(channel={"number": None, "messaging_service_sid": SERVICE}))
    desk.simulator.texts(ADA, "hi", fields={"MessagingServiceSid": SERVICE})
    await desk.answers()
    (sent,) = desk.simulator.sent()
    assert sent.service == SERVICE
    await desk.deliveries("delivered")
    assert (await desk.call()).channel == f"sms:{SERVICE}"


# opting out


@pytest.mark.parametrize("says_type", [True, False], ids=["OptOutType", "the word alone"])
async def test_nobody_is_answered_after_stop_until_start(open_desk: OpenDesk, says_type: bool) -> None:
    desk = await open_desk(simulator={"opt_out_type": says_type})
    desk.simulator.texts(ADA, "hello")
    await desk.answers()
    desk.simulator.texts(ADA, " Stop ")

    await until(lambda: _is_out(desk))
    desk.simulator.stopped.clear()  # what follows is our doing, not Twilio's
    desk.simulator.texts(ADA, "are you there?")
    texts = await desk.logged("user.message", 2)
    assert [text.text for text in texts] == ["hello", "are you there?"]
    assert texts[1].paused
    desk.simulator.texts(ADA, "START")
    await until(lambda: _is_in(desk))
    desk.simulator.texts(ADA, "back again")
    assert await desk.answers(2) == ["You said: hello", "You said: back again"]


async def test_a_colleague_cannot_write_to_somebody_who_stopped(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    desk.simulator.texts(ADA, "hello")
    await desk.answers()
    desk.simulator.texts(ADA, "STOP")
    await until(lambda: _is_out(desk))
    call = await desk.call()
    await desk.commands.send(call, "kim", Message.of("one more thing"))
    failed = await desk.logged("delivery.failed")
    assert failed[0].code == "opted_out"
    assert len(desk.simulator.sent()) == 1
    refusals = [event for event in desk.simulator.events() if event["type"] == "refused"]
    assert refusals == []  # Twilio was not even asked


async def _is_out(desk: Desk) -> bool:
    contact = await desk.contact()
    return contact is not None and "sms" in contact.opted_out


async def _is_in(desk: Desk) -> bool:
    return not await _is_out(desk)


async def test_an_answer_at_work_is_cut_by_stop(open_desk: OpenDesk) -> None:
    desk = await open_desk(agent_of(debounce_ms=30_000, max_debounce_ms=30_000))
    desk.simulator.texts(ADA, "tell me everything")
    await desk.logged("user.message")
    desk.simulator.texts(ADA, "STOP")
    (ended,) = await desk.logged("turn.end")
    assert (ended.outcome, ended.error) == ("silent", "the user opted out")  # at once, and not when it was due
    assert desk.simulator.sent() == []


async def test_twilio_knows_of_an_opt_out_that_we_do_not(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    desk.simulator.stopped.add(ADA)
    desk.simulator.texts(ADA, "hello")
    (failed,) = await desk.logged("delivery.failed")
    assert (failed.code, failed.provider_code) == ("opted_out", 21610)


async def test_help_is_left_to_twilio(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    desk.simulator.texts(ADA, "HELP")
    desk.simulator.texts(BO, "hello")
    await desk.answers(1, BO)
    await desk.simulator.webhooks.idle()
    assert desk.simulator.sent(ADA) == []


async def test_words_of_opting_out_are_ordinary_where_that_is_switched_off(open_desk: OpenDesk) -> None:
    desk = await open_desk(agent_of(channel={"opt_out_words": False}), simulator={"opt_out_type": False})
    desk.simulator.texts(ADA, "cancel")
    desk.simulator.stopped.clear()
    assert await desk.answers() == ["You said: cancel"]


# files and places


async def test_a_picture_is_in_the_blobs_before_the_bot_answers(open_desk: OpenDesk) -> None:
    desk = await open_desk(agent_of(media_wait_ms=20_000))
    desk.simulator.texts(ADA, "my cat", files=(("image/png", PNG), ("application/pdf", b"%PDF-1.7")))
    assert await desk.answers() == ["You said: my cat\n[image]\n[document]"]
    stored = await desk.logged("media.ready", 2)
    assert [one.media.problem for one in stored] == [None, None]
    first = next(one.media for one in stored if one.media.kind is MediaKind.IMAGE)
    assert first.sha256 == hashlib.sha256(PNG).hexdigest()
    assert b"".join([piece async for piece in desk.engines.blobs.read(first.blob)]) == PNG


async def test_a_picture_of_ours_is_fetched_by_its_address(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    desk.simulator.texts(ADA, "hello")
    await desk.answers()

    async def content():  # type: ignore[no-untyped-def]
        yield PNG

    blob = await desk.engines.blobs.put("a-picture", content(), mime="image/png", max_bytes=10**6)
    picture = Media(kind=MediaKind.IMAGE, mime="image/png", blob=blob.key, caption="look", filename="cat ü.png")
    await desk.commands.send(await desk.call(), "kim", Message(parts=(picture,)))
    sent = (await desk.simulator.wait_sent(2, to=ADA))[1]
    assert sent.body == "look"
    (link,) = sent.media
    assert link.startswith(f"{desk.server.url}/twilio/media-files/tmf_")
    await until(lambda: sent.fetched)
    assert sent.fetched == [(200, "image/png", PNG)]
    await desk.deliveries("delivered", 2)
    async with desk.http.get(link[:-3] + "abc") as forged:
        assert forged.status == 404


async def test_a_place_is_heard(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    place = {"Latitude": "41.390205", "Longitude": "2.154007", "Label": "Plaça", "Address": "Barcelona"}
    desk.simulator.texts(ADA, "", fields=place)
    (said,) = await desk.logged("user.message")
    assert said.message.parts == (Location(latitude=41.390205, longitude=2.154007, name="Plaça", address="Barcelona"),)


# what becomes of messages


async def test_statuses_in_any_order_never_go_back(open_desk: OpenDesk) -> None:
    desk = await open_desk(simulator={"statuses": StatusPlan(mode="manual")})
    desk.simulator.texts(ADA, "hi")
    await desk.answers()
    (sent,) = desk.simulator.sent()
    desk.simulator.tell(sent, "delivered")
    await desk.deliveries("delivered")
    for word in ("sending", "sent", "queued", "failed", "a-word-of-tomorrow", "delivered"):
        desk.simulator.tell(sent, word, 30008 if word == "failed" else None)
    await desk.simulator.webhooks.idle()
    desk.simulator.tell(sent, "read")
    (delivery,) = await desk.deliveries("read")
    assert delivery.error is None


async def test_an_undelivered_message_tells_why(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    desk.simulator.faults.add(FaultRule(kind="async_failure", code=30005))
    desk.simulator.texts(ADA, "hi")
    (failed,) = await desk.logged("delivery.failed")
    assert (failed.code, failed.provider_code) == ("undeliverable", 30005)


async def test_webhooks_out_of_order_and_twice_end_in_one_answer_each(open_desk: OpenDesk) -> None:
    plan = WebhookPlan(duplicates=1.0, jitter_ms=30)
    statuses = StatusPlan(queued_ms=1, sent_ms=2, delivered_ms=3, shuffle=True, duplicates=1.0)
    desk = await open_desk(simulator={"webhooks": plan, "statuses": statuses})
    people = [f"+120255501{n}" for n in range(20, 30)]
    for who in people:
        desk.simulator.texts(who, f"I am {who}")
    for who in people:
        assert await desk.answers(1, who) == [f"You said: I am {who}"]
    await desk.deliveries("delivered", len(people))
    assert len(desk.simulator.sent()) == len(people)


async def test_a_send_without_an_answer_is_settled_by_its_status_and_not_repeated(open_desk: OpenDesk) -> None:
    desk = await open_desk(settle_wait=20)
    desk.simulator.faults.add(FaultRule(kind="accept_then_reset"))
    desk.simulator.texts(ADA, "hi")
    (delivery,) = await desk.deliveries("delivered")
    assert delivery.attempts == 1
    assert len(desk.simulator.sent()) == 1
    assert delivery.receipts[0].provider_id == desk.simulator.sent()[0].sid


async def test_a_send_without_answer_and_status_is_repeated_and_flagged(open_desk: OpenDesk) -> None:
    desk = await open_desk(settle_wait=0.2, simulator={"statuses": StatusPlan(mode="none")})
    desk.simulator.faults.add(FaultRule(kind="accept_then_reset"))
    desk.simulator.texts(ADA, "hi")
    assert len(await desk.answers(2)) == 2
    (delivery,) = await desk.deliveries("sent")
    assert delivery.unclear == 1


# one person on every channel


async def test_a_number_known_from_whatsapp_is_the_same_person(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    brazil, known = "+5511987654321", "551187654321"
    seen = Sender(
        identities=(
            Identity(kind=IdentityKind.WA_ID, value="5511987654321"),
            Identity(kind=IdentityKind.PHONE, value=known),
        ),
        routing=f"whatsapp:default:{known}",
        name="Bia",
    )
    contact = await Contacts(desk.engines.store, lambda prefix: f"{prefix}_1").resolve("default", seen)
    desk.simulator.texts(brazil, "oi")
    assert await desk.answers(1, brazil) == ["You said: oi"]
    call = await desk.call()
    assert call.contact == contact.id
    assert call.home == contact.home  # ADR 001: one home for a person, whichever channel they write on
    assert call.name == "Bia"
    found = await find(desk.engines.store, brazil)  # by the number as people dial it
    assert isinstance(found, Person)
    assert found.contact.id == contact.id


async def test_what_our_own_number_writes_is_not_answered(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    status, _ = await desk.post("/twilio/sms", form_of(From=NUMBER))
    assert status == 200
    desk.simulator.texts(BO, "hello")
    await desk.answers(1, BO)
    assert len(await desk.calls()) == 1


async def test_no_secret_is_stored_in_the_log_or_shown(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    desk.simulator.texts(ADA, "hi")
    await desk.answers()
    call = await desk.call()
    for entry in await desk.engines.store.entries(call.id):
        assert TOKEN not in entry.model_dump_json()
    assert TOKEN not in agent_of().model_dump_json()
    assert TOKEN not in repr(Settings(agents=(agent_of(),)))
