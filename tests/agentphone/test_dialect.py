"""What clients of every kind rely on: no redirects, bodies everywhere, either spelling, refusals in one shape."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from omni.app.server import Server
from omni.model.channel import SmsChannel
from omni.settings import Settings, SettingsError
from tests.agentphone.house import POOL, Desk, House
from tests.agentphone.house import desk as open_desk
from tests.sms.desk import LINE


@pytest.fixture
def desk(house: House) -> Iterator[Desk]:
    with open_desk(house, "sync") as found:
        yield found


@pytest.mark.parametrize(
    "path", ["", "/", "/v1", "/v1/agents/", "/v2/agents", "/v1/agents/x/y/z", "/v1/webhooks/other"]
)
def test_there_are_no_redirects_and_every_refusal_has_a_detail(desk: Desk, path: str) -> None:
    raw = desk.raw("GET", path)
    assert raw.status_code == 404
    body = raw.json()
    assert body["detail"] == body["message"] == body["error"]["message"]
    assert (body["error"]["type"], body["error"]["code"]) == ("not_found_error", "NOT_FOUND")
    assert body["error"]["request_id"] == raw.headers["X-Request-ID"]


def test_a_refusal_of_shape_is_a_list_twice(desk: Desk) -> None:
    raw = desk.raw("POST", "/v1/agents", json={"voiceSpeed": 9, "stt_mode": "x"})
    assert raw.status_code == 422
    body = raw.json()
    assert {tuple(each["loc"]) for each in body["detail"]} == {
        ("body", "voiceSpeed"), ("body", "sttMode"), ("body", "name"),
    }  # fmt: skip
    assert {each["field"] for each in body["error"]["details"]} == {"voiceSpeed", "sttMode", "name"}
    assert body["error"]["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize("sent", [b"{", b"[]", b'"x"', b"\xff", b'{"name": ' + b"[" * 100_000])
def test_a_body_that_is_none_is_refused_in_words(desk: Desk, sent: bytes) -> None:
    raw = desk.raw("POST", "/v1/agents", data=sent, headers={"Content-Type": "application/json"})
    assert raw.status_code in (400, 422)
    assert raw.json()["detail"]


def test_either_spelling_is_read_and_the_documented_one_wins(desk: Desk) -> None:
    made = desk.raw("POST", "/v1/agents", json={"name": "x", "begin_message": "snake", "voice_speed": 1.5}).json()
    assert (made["beginMessage"], made["voiceSpeed"]) == ("snake", 1.5)
    both = desk.raw(
        "PATCH", f"/v1/agents/{made['id']}", json={"begin_message": "snake", "beginMessage": "camel"}
    ).json()
    assert both["beginMessage"] == "camel"
    desk.raw("POST", f"/v1/agents/{made['id']}/numbers", json={"number_id": desk.c.numbers.buy().id})
    sent = desk.raw("POST", "/v1/messages", json={"agentId": made["id"], "toNumber": "+12025550171", "body": "x"})
    assert sent.status_code == 200
    body = {"agent_id": "nope", "agentId": made["id"], "to_number": "+12025550171", "body": "x"}
    both = desk.raw("POST", "/v1/messages", json=body)
    assert both.status_code == 404


def test_fixed_words_are_no_ids(desk: Desk) -> None:
    for path in (
        "/v1/agents/voices", "/v1/numbers/available", "/v1/numbers/lookup?phoneNumbers=%2B12025550100",
        "/v1/contacts/capabilities?phone_number=%2B12025550100", "/v1/webhooks/deliveries/stats",
    ):  # fmt: skip
        assert desk.raw("GET", path).status_code == 200, path


def test_get_and_delete_may_have_a_json_type_and_no_body(desk: Desk) -> None:
    headers = {"Content-Type": "application/json"}
    assert desk.raw("GET", "/v1/agents", headers=headers).status_code == 200
    assert desk.raw("DELETE", "/v1/webhooks", headers=headers).status_code == 200


def test_answers_are_ascii_json(desk: Desk) -> None:
    raw = desk.raw("POST", "/v1/agents", json={"name": "Café \u2028 🎂"})
    assert raw.content.isascii()
    assert raw.json()["name"] == "Café \u2028 🎂"


def test_a_sub_account_is_not_there(desk: Desk) -> None:
    assert desk.raw("GET", "/v1/agents", headers={"X-Sub-Account-Id": "sub_1"}).status_code == 404


def test_who_a_key_is(desk: Desk) -> None:
    assert desk.raw("GET", "/auth/me").json()["id"] == desk.org
    assert desk.house.log().count("Traceback") == 0


def test_an_inventory_needs_what_its_numbers_need() -> None:
    line = SmsChannel.model_validate({**LINE, "number": POOL[0]})
    with pytest.raises(SettingsError, match=r"OMNI_PUBLIC_URL is missing, and the channel sms:\+14155550101 needs it"):
        Server(Settings(inventory=(line,)))
