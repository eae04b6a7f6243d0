"""What webhooks tell of calls: the step it is, whose call, and with whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from channels.whatsapp import payloads
from channels.whatsapp.batch import Batch
from channels.whatsapp.body import load
from channels.whatsapp.calling.news import CallNews, call_id
from channels.whatsapp.directory import Directory
from omni.model.channel import WhatsAppChannel, own_channel, written_id

NUMBER = "204917735580163"
NOW = 1794824100.0
SECRETS = {"access_token": "t", "app_secret": "s", "verify_token": "v", "calls": True}
Read = Callable[..., Batch]


@pytest.fixture
def read(our_channel: Callable[..., WhatsAppChannel], fixture_body: Callable[[str], bytes]) -> Read:
    def reading(name: str, *, calls: bool = True) -> Batch:
        ours = Directory([("default", "echo", our_channel(NUMBER, calls=calls))])
        return payloads.read(load(fixture_body(name)), NOW, find=ours.find, secret=0, own=ours.own_keys)

    return reading


def only(batch: Batch) -> CallNews:
    [news] = batch.calls
    return news


@pytest.mark.parametrize(
    ("name", "step", "address"),
    [
        ("call_connect_user_initiated", "offered", "+12025550171"),
        ("call_connect_business_initiated", "described", "+447700900318"),
        ("call_status_ringing", "ringing", "+447700900318"),
        ("call_status_accepted_lowercase", "taken", "+447700900318"),
        ("call_terminate_completed", "over", None),
        ("call_terminate_failed", "over", "+447700900318"),
        ("call_terminate_before_connect", "over", "+61491570156"),
    ],
)
def test_every_step_is_known_and_names_the_person(name: str, step: str, address: str | None, read: Read) -> None:
    news = only(read(name))
    assert news.step == step
    assert address in (None, news.address)


def test_the_description_goes_to_whoever_carries_the_call_and_nowhere_else(read: Read) -> None:
    carried, noted = read("call_connect_user_initiated"), read("call_connect_user_initiated", calls=False)
    assert (only(carried).sdp or "").startswith("v=0\r\n")
    assert "session" not in carried.inputs[0].model_dump()["value"]
    assert noted.calls == []
    assert noted.inputs[0].model_dump()["value"]["session"]["sdp_type"] == "offer"


def test_why_a_call_failed_is_beside_it(read: Read) -> None:
    complaint = only(read("call_terminate_failed")).complaint
    assert complaint is not None
    assert (complaint.code, complaint.details) == (138021, "Fixture: no media path.")


def test_steps_of_one_call_have_one_id_and_other_numbers_have_others(read: Read) -> None:
    begun, over = only(read("call_connect_business_initiated")), only(read("call_terminate_failed"))
    assert begun.call == over.call
    assert call_id(NUMBER, begun.provider_id) == begun.call != call_id("1", begun.provider_id)


def test_a_description_that_is_too_long_is_none(read: Read) -> None:
    news = only(read("hostile/call_sdp_huge"))
    assert (news.step, news.sdp) == ("offered", None)


def test_calls_and_messages_belong_to_one_channel(our_channel: Callable[..., WhatsAppChannel]) -> None:
    channel = our_channel(NUMBER, calls=True)
    assert own_channel([channel], channel.calls_id) is channel
    assert written_id(channel.calls_id) == channel.id == written_id(channel.id)
    assert written_id("phone:+12025550142") == "phone:+12025550142"


def test_what_became_of_a_call_is_known_wherever_it_is_told(fixture_body: Callable[[str], bytes]) -> None:
    elsewhere = fixture_body("call_status_ringing").replace(b'"field": "calls"', b'"field": "messages"')
    ours = Directory([("default", "echo", WhatsAppChannel.model_validate(SECRETS | {"phone_number_id": NUMBER}))])
    batch = payloads.read(load(elsewhere), NOW, find=ours.find, secret=0, own=ours.own_keys)
    assert (only(batch).step, batch.statuses) == ("ringing", [])
