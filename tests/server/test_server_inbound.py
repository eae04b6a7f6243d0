"""Whatever a person can send reaches the log and, where it is a question, the bot."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from channels.whatsapp.simulator import FaultRule
from omni.model.agent import Agent
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, NUMBER, Shop, agent_of

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489") + b"pixels" * 500
OGG = b"OggS\x00\x02" + bytes(range(256)) * 40
NEW_NUMBER = "12025550196"


def upload(shop: Shop, mime: str, content: bytes, filename: str = "") -> str:
    return shop.simulator.media.put(NUMBER, mime, content, filename=filename, owner="user").id


def a_patient_agent() -> Agent:
    return agent_of(media_wait_ms=20_000)


@pytest.mark.parametrize(
    ("kind", "mime", "content", "more", "words"),
    [
        ("image", "image/png", PNG, {"caption": "my cat"}, "[image] my cat"),
        ("audio", "audio/ogg; codecs=opus", OGG, {"voice": True}, "[voice note]"),
        ("video", "video/mp4", b"\x00\x00\x00\x18ftypmp42" * 90, {}, "[video]"),
        ("document", "application/pdf", b"%PDF-1.7\n" * 99, {"filename": "bill.pdf"}, "[document bill.pdf]"),
        ("sticker", "image/webp", b"RIFF\x00\x00\x00\x00WEBP" * 20, {}, "[sticker]"),
    ],
)
async def test_a_file_is_in_the_blobs_before_the_bot_answers(
    open_shop: OpenShop,
    embedded: dict[str, Any],
    kind: str,
    mime: str,
    content: bytes,
    more: dict[str, Any],
    words: str,
) -> None:
    shop = await open_shop(embedded, a_patient_agent())
    shop.does({"type": kind, "media_id": upload(shop, mime, content), **more})
    assert await shop.answers(1) == [f"You said: {words}"]
    types = [entry.fact.type for entry in await shop.log()]
    assert types.index("media.ready") < types.index("bot.speaking")
    (stored,) = await shop.logged("media.ready")
    assert stored.media.problem is None
    assert stored.media.sha256 == hashlib.sha256(content).hexdigest()
    kept = b"".join([piece async for piece in shop.engines.blobs.read(stored.media.blob)])
    assert kept == content
    assert stored.media.size == len(content)


async def test_a_picture_reaches_the_other_engines_too(open_shop: OpenShop, services: dict[str, Any]) -> None:
    shop = await open_shop(services, a_patient_agent())
    shop.does({"type": "image", "media_id": upload(shop, "image/png", PNG), "caption": "my cat"})
    assert await shop.answers(1) == ["You said: [image] my cat"]
    (stored,) = await shop.logged("media.ready")
    assert b"".join([piece async for piece in shop.engines.blobs.read(stored.media.blob)]) == PNG


@pytest.mark.parametrize("fault", ["wrong_digest", "redirect_private", "oversize"])
async def test_a_file_that_cannot_be_trusted_is_not_kept_and_the_bot_answers(
    open_shop: OpenShop, embedded: dict[str, Any], fault: Any
) -> None:
    shop = await open_shop(embedded, a_patient_agent())
    shop.simulator.add_fault(FaultRule(kind=fault, times=None, bytes=20_000_000))
    shop.does({"type": "image", "media_id": upload(shop, "image/png", PNG)})
    assert await shop.answers(1) == ["You said: [image]"]
    (stored,) = await shop.logged("media.ready")
    assert stored.media.blob is None
    assert stored.media.problem


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (
            {"type": "location", "latitude": 52.52, "longitude": 13.405, "place": "Café", "address": "Street 1"},
            "[location 52.520000, 13.405000: Café, Street 1]",
        ),
        (
            {
                "type": "contacts",
                "contacts": [
                    {"name": {"formatted_name": "Bo Vale"}, "phones": [{"phone": "+1 202 555 0199", "type": "CELL"}]}
                ],
            },
            "[contact Bo Vale: +1 202 555 0199]",
        ),
        ({"type": "button_reply", "button_id": "yes", "title": "Yes, please"}, "Yes, please"),
        ({"type": "list_reply", "row_id": "r1", "title": "Flat white", "description": "3.20"}, "Flat white"),
        ({"type": "button", "payload": "GO", "text": "Confirm"}, "Confirm"),
        (
            {
                "type": "raw",
                "message": {
                    "type": "order",
                    "order": {
                        "catalog_id": "7715",
                        "text": "leave at the door",
                        "product_items": [
                            {"product_retailer_id": "BOX", "quantity": 2, "item_price": 18.5, "currency": "USD"}
                        ],
                    },
                },
            },
            "leave at the door\n[order: 2 x BOX]",
        ),
        ({"type": "unsupported", "kind": "poll"}, "[unsupported message: poll]"),
        ({"type": "raw", "message": {"type": "hologram", "hologram": {"x": 1}}}, "[unsupported message: hologram]"),
    ],
    ids=lambda value: value.get("type") if isinstance(value, dict) else None,
)
async def test_every_kind_of_message_is_put_to_the_bot(
    open_shop: OpenShop, embedded: dict[str, Any], action: dict[str, Any], words: str
) -> None:
    shop = await open_shop(embedded)
    provider_id = shop.does(action)
    assert await shop.answers(1) == [f"You said: {words}"]
    (said,) = await shop.logged("user.message")
    assert (said.text, said.provider_id) == (words, provider_id)


async def test_a_filled_form_is_put_to_the_bot(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    shop.does({"type": "form_reply", "response": {"flow_token": "t", "day": "Monday"}})
    await shop.answers(1)
    (said,) = await shop.logged("user.message")
    (choice,) = said.message.parts
    assert choice.form["day"] == "Monday"


async def test_a_choice_names_what_it_answers(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    shop.say("hello")
    (offer,) = await shop.arrived(1)
    shop.does({"type": "button_reply", "button_id": "yes", "title": "Yes", "reply_to": offer.id})
    await shop.answers(2)
    choice = (await shop.logged("user.message", 2))[1].message
    assert choice.reply_to == offer.id
    assert choice.parts[0].id == "yes"


async def test_a_reaction_is_written_down_and_not_answered(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    shop.say("hello")
    (sent,) = await shop.arrived(1)
    shop.does({"type": "reaction", "message_id": sent.id, "emoji": "👍"})
    shop.does({"type": "reaction", "message_id": sent.id})
    first, second = await shop.logged("user.reaction", 2)
    assert {first.emoji, second.emoji} == {"👍", None}
    shop.say("next")
    assert await shop.answers(2) == ["You said: hello", "You said: next"]
    await shop.quiet()
    assert len(shop.simulator.sent()) == 2


async def test_an_edit_changes_the_record_and_is_not_a_second_question(
    open_shop: OpenShop, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    said = shop.say("helo")
    await shop.answers(1)
    shop.does({"type": "edit", "message_id": said, "text": "hello"})
    (edited,) = await shop.logged("user.edited")
    (message,) = await shop.logged("user.message")
    assert (edited.id, edited.text) == (message.id, "hello")
    shop.say("next")
    await shop.answers(2)
    await shop.quiet()
    assert len(shop.simulator.sent()) == 2


async def test_a_deleted_message_is_not_answered(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded, agent_of(debounce_ms=5_000))
    said = shop.say("forget this")
    await shop.logged("user.message")
    shop.does({"type": "revoke", "message_id": said})
    (revoked,) = await shop.logged("user.revoked")
    assert revoked.target == said
    await shop.server.stop()
    assert not shop.simulator.sent()


async def test_who_changes_their_number_stays_the_same_person(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    shop.say("hello")
    await shop.answers(1)
    before = await shop.call()
    system = {
        "type": "user_changed_number",
        "body": f"User Ada Quill changed from {ADA} to {NEW_NUMBER}",
        "wa_id": NEW_NUMBER,
        "user_id": "US.50917743320086615547",
    }
    shop.does({"type": "system", "system": system})
    await shop.logged("contact.changed")
    person = shop.simulator.people.meet(NEW_NUMBER, name="Ada Quill")
    shop.simulator.people.put(type(person)(NEW_NUMBER, "Ada Quill", "US.50917743320086615547"))
    shop.say("it is me", NEW_NUMBER)
    assert await shop.answers(1, NEW_NUMBER) == ["You said: it is me"]
    (call,) = await shop.calls()
    assert (call.id, call.contact) == (before.id, before.contact)
    contact = await shop.engines.store.contact(call.contact)
    assert contact is not None
    assert {ADA, NEW_NUMBER} <= {identity.value for identity in contact.identities}


async def test_a_colleague_on_the_phone_takes_the_conversation_over(
    open_shop: OpenShop, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.say("hello")
    await shop.answers(1)
    echo = {
        "from": shop.simulator.settings.display_phone_number,
        "to": ADA,
        "id": "wamid.echo1",
        "timestamp": str(int(shop.simulator.now())),
        "type": "text",
        "text": {"body": "Tess here, I am on it"},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": shop.simulator.webhooks.metadata(NUMBER),
        "message_echoes": [echo],
    }
    shop.simulator.post_value(value, "smb_message_echoes")
    (said,) = await shop.logged("supervisor.said")
    assert said.text == "Tess here, I am on it"
    shop.say("thank you")
    assert [said.paused for said in await shop.logged("user.message", 2)] == [False, True]
    await shop.quiet()
    assert len(shop.simulator.sent()) == 1
