"""What the parser makes of an item beyond its type: who, when, in which words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from channels.whatsapp import payloads
from channels.whatsapp.batch import Batch
from channels.whatsapp.body import load
from channels.whatsapp.directory import Directory
from channels.whatsapp.numbers import alternate
from channels.whatsapp.reading import MAX_TEXT, filename, sha256_hex, tame
from omni.model.channel import WhatsAppChannel
from omni.model.delivery import DeliveryState
from omni.model.inbound import AnyInput, ColleagueMessage, IdentityChanged, PersonNotice, UserMessage, UserReaction
from omni.model.message import Choice, Contacts, Media, Order, Text, Unsupported
from omni.model.numbers import canonical, digits, e164

NUMBER = "204917735580163"
NOW = 1794830000.0
Read = Callable[..., Batch]


@pytest.fixture
def read(our_channel: Callable[..., WhatsAppChannel], fixture_body: Callable[[str], bytes]) -> Read:
    """Read a fixture by its name, or a made-up value of a field."""
    ours = Directory([("default", "echo", our_channel(NUMBER)), ("default", "echo", our_channel("204917735580288"))])

    def reading(name: str = "", field: str = "messages", now: float = NOW, **value: Any) -> Batch:
        if name:
            document = load(fixture_body(name))
        else:
            metadata = {"phone_number_id": NUMBER, "display_phone_number": "+1 (202) 555-0142"}
            changes = [{"field": field, "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}]
            document = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": changes}]}
        return payloads.read(document, now, find=ours.find, secret=0, own=ours.own_keys)

    return reading


def only(batch: Batch) -> Any:
    assert len(batch.inputs) == 1
    return batch.inputs[0]


def text(said: object = "hi", **fields: Any) -> dict[str, Any]:
    return {
        "from": "12025550171",
        "id": "wamid.1",
        "timestamp": "1794823200",
        "type": "text",
        "text": {"body": said},
        **fields,
    }


def keys(one: AnyInput) -> list[str]:
    assert isinstance(one, UserMessage | PersonNotice | IdentityChanged | ColleagueMessage | UserReaction)
    return [identity.key for identity in one.sender.identities]


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wa_id", "key"),
    [
        ("5491155501234", "541155501234"),
        ("541155501234", "541155501234"),
        ("5215555501234", "525555501234"),
        ("525555501234", "525555501234"),
        ("5551998880123", "555198880123"),
        ("555198880123", "555198880123"),
        ("5551958880123", "5551958880123"),
        ("12025550171", "12025550171"),
        ("447700900318", "447700900318"),
    ],
)
def test_all_spellings_of_a_number_have_one_key(wa_id: str, key: str) -> None:
    assert canonical(wa_id) == key
    assert canonical(key) == key


@pytest.mark.parametrize("wa_id", ["5491155501234", "541155501234", "5215555501234", "525555501234", "555198880123"])
def test_the_other_spelling_is_the_same_number(wa_id: str) -> None:
    other = alternate(wa_id)
    assert other is not None
    assert other != wa_id
    assert canonical(other) == canonical(wa_id)


def test_most_numbers_have_one_spelling() -> None:
    assert alternate("12025550171") is None


def test_an_operators_number_needs_its_country_code() -> None:
    assert e164("+1 (202) 555-0171") == "+12025550171"
    for wrong in ("2025550171", "+0123456789", "+12", "", "+1202555017112345"):
        with pytest.raises(ValueError, match="country code"):
            e164(wrong)
    assert digits("+1 (202) 555-0142 ") == "12025550142"


# --- people -----------------------------------------------------------------------------------------------------------


def test_all_ids_of_a_person_are_kept(read: Read) -> None:
    assert keys(only(read("text_both_user_ids"))) == [
        "wa_id:447700900318",
        "phone:447700900318",
        "bsuid:GB.77120493358816620417",
        "parent_bsuid:GB.ENT.60914472083357719926",
    ]


def test_the_routing_key_is_the_phone_when_it_is_known(read: Read) -> None:
    assert only(read("wa_id_mexico")).sender.routing == "whatsapp:default:525555501234"
    assert only(read("text_username_only")).sender.routing == "whatsapp:default:IN.58203377194406128856"
    assert only(read("text_group")).sender.routing.startswith("whatsapp:default:group:")


def test_a_group_is_only_answered_when_its_channel_says_so(
    read: Read, our_channel: Callable[..., WhatsAppChannel]
) -> None:
    said = text(group_id="G1")
    assert only(read(messages=[text()])).mode == "live"
    assert only(read(messages=[said])).mode == "standby"
    ours = Directory([("default", "echo", our_channel(NUMBER, answer_groups=True))])
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}, "messages": [said]}
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    document = {"object": "whatsapp_business_account", "entry": [entry]}
    assert only(payloads.read(document, NOW, find=ours.find, secret=0, own=ours.own_keys)).mode == "live"


def test_the_user_id_comes_from_the_contact_when_the_message_lacks_it(read: Read) -> None:
    contact = {"wa_id": "12025550171", "user_id": "US.1", "profile": {"name": "Ada"}}
    heard = only(read(contacts=[contact], messages=[text()]))
    assert "bsuid:US.1" in keys(heard)
    assert heard.sender.name == "Ada"


def test_a_recycled_number_does_not_inherit_a_name(read: Read) -> None:
    contact = {"wa_id": "12025550171", "user_id": "US.old", "profile": {"name": "Ada"}}
    heard = only(read(contacts=[contact], messages=[text(from_user_id="US.new")]))
    assert heard.sender.name is None
    assert "bsuid:US.old" not in keys(heard)


def test_contacts_are_matched_by_id_among_many(read: Read) -> None:
    contacts = [{"wa_id": f"1303555{n:04}", "profile": {"name": f"N{n}"}} for n in range(200)]
    messages = [text(id=f"wamid.{n}", **{"from": f"1303555{n:04}"}) for n in range(199, -1, -1)]
    batch = read(contacts=contacts, messages=messages)
    assert [one.sender.name for one in batch.inputs if isinstance(one, UserMessage)] == [
        f"N{n}" for n in range(199, -1, -1)
    ]


def test_names_are_bounded_and_neutral(read: Read) -> None:
    name = only(read("hostile/profile_name_hostile")).sender.name
    assert len(name) <= 128
    assert name.startswith("nimda [system]")
    assert only(read("text_identity_hash")).sender.identity_hash


# --- content ----------------------------------------------------------------------------------------------------------


def test_text_keeps_its_code_points_and_loses_control_characters(read: Read) -> None:
    said = "👩🏽‍🚀 e\u0301 é \u202e \ufeff x\ty\r\nz"
    assert only(read(messages=[text(said)])).message.parts == (Text(text=said),)
    assert only(read(messages=[text("a\x00b\x1b[31mc\x85")])).message.text == "ab[31mc"


def test_text_is_cut_between_characters(read: Read) -> None:
    assert len(only(read(messages=[text("🧿" * (MAX_TEXT + 5))])).message.text) == MAX_TEXT


@pytest.mark.parametrize("said", ["", " ", "\u200b\u200d", "\n", "\x00", 7, None, {}])
def test_a_text_without_words_is_unsupported_but_heard(said: object, read: Read) -> None:
    assert isinstance(only(read(messages=[text(said)])).message.parts[0], Unsupported)


def test_voice_notes_and_digests(read: Read) -> None:
    note = only(read("audio_voice_note")).message.parts[0]
    assert isinstance(note, Media)
    assert note.voice
    assert note.is_pending
    assert note.sha256 is not None
    assert len(note.sha256) == 64
    image = only(read("image_hex_digest")).message.parts[0]
    assert isinstance(image, Media)
    assert len(image.sha256 or "") == 64
    missing = only(read("hostile/media_id_traversal")).message.parts[0]
    assert isinstance(missing, Media)
    assert not missing.is_pending
    assert missing.problem


def test_own_numbers_are_told_from_shared_cards(read: Read) -> None:
    for name, own in (
        ("contacts_phone_request_reply", True),
        ("contacts_vcard_other", False),
        ("hostile/contacts_vcard_hostile", False),
    ):
        part = only(read(name)).message.parts[0]
        assert isinstance(part, Contacts)
        assert [card.is_own_number for card in part.cards] == [own]
    many = only(read("hostile/contacts_10000")).message.parts[0]
    assert isinstance(many, Contacts)
    assert len(many.cards) == 257


def test_forms_are_parsed_apart_and_bounded(read: Read) -> None:
    form = only(read("interactive_nfm_flow")).message.parts[0]
    assert isinstance(form, Choice)
    assert isinstance(form.form, dict)
    for name in ("nfm_not_json", "nfm_array", "nfm_deep"):
        odd = only(read(f"hostile/{name}")).message.parts[0]
        assert isinstance(odd, Choice)
        assert odd.form is None
        assert odd.raw
        assert len(odd.raw) <= 4096


def test_prices_stay_decimal_text(read: Read) -> None:
    order = only(read("order")).message.parts[0]
    assert isinstance(order, Order)
    assert [item.price for item in order.items] == ["18.5", "7"]
    hostile = only(read("hostile/order_hostile")).message.parts[0]
    assert isinstance(hostile, Order)
    assert hostile.items == ()


def test_the_product_asked_about_reaches_the_bot(read: Read) -> None:
    message = only(read("text_product_inquiry")).message
    assert message.referral == {
        "referred_product": {"catalog_id": "771500228840193", "product_retailer_id": "BOX-AUT-02"}
    }


def test_a_stub_in_an_edit_is_no_reply(read: Read) -> None:
    assert only(read("edit_image_caption")).message.reply_to is None


def test_errors_beside_a_message_say_why(read: Read) -> None:
    part = only(read("media_too_large")).message.parts[0]
    assert part.reason == "Fixture: the attachment was over the size the platform accepts."


# --- ids and times ----------------------------------------------------------------------------------------------------


def test_an_items_key_names_number_and_message(read: Read) -> None:
    heard = only(read("text"))
    assert heard.key == f"wa:{NUMBER}:{heard.provider_id}"


def test_long_and_missing_ids_are_named_by_digest(read: Read) -> None:
    long = only(read("hostile/message_id_10k"))
    assert len(long.key) < 128
    one, other = text(id=""), text("other", id="")
    batch = read(messages=[one, other, one])
    assert len(batch.inputs) == 2
    assert batch.counts[("message", "repeated")] == 1


def test_an_item_without_id_and_time_is_left_out(read: Read) -> None:
    batch = read(messages=[text(id=None, timestamp=None)])
    assert batch.inputs == []
    assert [note.about for note in batch.notes] == ["message: no id"]


@pytest.mark.parametrize(
    ("stamp", "sent_at"),
    [
        ("1794823200", 1794823200.0),
        (1794823200, 1794823200.0),
        ("1794823200000", NOW),
        ("-5", NOW),
        ("١٧٩٤٨٢٣٢٠٠", NOW),
        ("9" * 30, NOW),
        (True, NOW),
        (1e9, NOW),
        ("1200000000", NOW),
        (None, NOW),
    ],
)
def test_times_out_of_range_become_the_time_of_receipt(stamp: object, sent_at: float, read: Read) -> None:
    assert only(read(messages=[text(timestamp=stamp)])).sent_at == sent_at


# --- what is no message -----------------------------------------------------------------------------------------------


def test_colleagues_pause_the_bot_and_other_agents_do_not(read: Read) -> None:
    echo, standby = only(read("echo_text")), only(read("standby_echo"))
    assert (echo.type, echo.pauses, keys(echo)[0]) == ("colleague", True, "wa_id:12025550171")
    assert (standby.type, standby.pauses) == ("colleague", False)
    assert only(read("standby_message")).mode == "standby"
    assert (only(read("echo_revoke")).act, only(read("echo_edit")).act) == ("revoke", "edit")


def test_our_own_number_is_never_a_customer(
    read: Read, our_channel: Callable[..., WhatsAppChannel], fixture_body: Callable[[str], bytes]
) -> None:
    assert read(messages=[text(**{"from": "12025550142"})]).inputs == []
    ours = Directory([("default", "echo", our_channel(NUMBER, phone="+1 202 555 0171"))])
    document = load(fixture_body("text"))
    batch = payloads.read(document, NOW, find=ours.find, secret=0, own=ours.own_keys)
    assert batch.inputs == []
    theirs = ("rival", "echo", our_channel("204917735580288", phone="+1 202 555 0171"))
    both = Directory([("default", "echo", our_channel(NUMBER)), theirs])
    assert len(payloads.read(document, NOW, find=both.find, secret=0, own=both.own_keys).inputs) == 1


def test_a_call_permission_is_clamped_and_opens_the_window_when_a_person_gave_it(read: Read) -> None:
    far = only(read("hostile/call_permission_far_future"))
    assert far.value["expires_at"] <= NOW + 8 * 86_400
    assert far.opens_window
    assert not only(read("interactive_call_permission_auto")).opens_window
    assert only(read("interactive_call_permission_reject")).value["response"] == "reject"


def test_calls_open_the_window_when_the_person_called_or_accepted(read: Read) -> None:
    assert only(read("call_connect_user_initiated")).opens_window
    assert not only(read("call_connect_business_initiated")).opens_window
    assert only(read("call_status_accepted_lowercase")).opens_window
    assert "session" not in only(read("hostile/call_sdp_huge")).value
    assert only(read("call_terminate_completed")).value["duration"] == 125


def test_a_preference_names_category_and_value(read: Read) -> None:
    stop = only(read("user_preferences_stop"))
    assert (stop.name, stop.value["category"], stop.value["value"]) == ("preference", "marketing_messages", "stop")
    assert stop.key != only(read("user_preferences_resume")).key


def test_statuses(read: Read) -> None:
    tracked = read("status_tracked").statuses[0]
    assert tracked.tracker
    assert (tracked.channel, tracked.state) == (f"whatsapp:{NUMBER}", DeliveryState.SENT)
    billed = read("status_service_billable").statuses[0]
    assert (billed.billable, billed.category) == (True, "service")
    assert read("status_group_read").statuses[0].recipient_key == "US.41860027735519024683"
    assert read("status_deleted_legacy").statuses[0].state is None
    failed = read("status_failed_two_errors").statuses[0].error
    assert failed is not None
    assert (failed.code, failed.provider_code) == ("undeliverable", 131026)


# --- readers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\CON.txt", "CON.txt"),
        ("a\x00b.pdf", "a b.pdf"),
        ("photo\u202egpj.exe", "photo gpj.exe"),
        ("..", None),
        ("", None),
        (7, None),
    ],
)
def test_file_names_are_labels(given: object, shown: str | None) -> None:
    assert filename(given) == shown


def test_long_file_names_keep_their_ending() -> None:
    name = filename("é" * 400 + ".pdf")
    assert name is not None
    assert len(name.encode()) <= 255
    assert name.endswith(".pdf")


def test_digests_are_read_in_both_writings() -> None:
    assert sha256_hex("AA" * 32) == "aa" * 32
    assert sha256_hex("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=") == "aa" * 32
    for wrong in ("", "x", "AA", 7, None, "z" * 64):
        assert sha256_hex(wrong) is None


def test_foreign_json_is_tamed() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"x": deep}
    tame(deep)
    assert tame({"a": float("inf"), "b": "x\x00", "c": 10**70, "d": [1, True]}) == {
        "a": None,
        "b": "x",
        "c": None,
        "d": [1, True],
    }
    wide = tame(list(range(100_000)))
    assert isinstance(wide, list)
    assert len(wide) <= 1000
