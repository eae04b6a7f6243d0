"""What nobody should send is refused in words, and what comes at once is sorted out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.agentphone.house import ADA, POOL, Desk, House, until
from tests.agentphone.house import desk as open_desk

DEEP: Any = "x"
for _ in range(150):
    DEEP = [DEEP]
ODD = [
    "\ud800",
    "\x00",
    "x" * 30_000,
    "",
    " ",
    -1,
    2**70,
    1.5,
    True,
    None,
    [],
    {},
    [None],
    DEEP,
    {"\ud800.$a": "\udfff"},
]


@pytest.fixture
def desk(house: House) -> Iterator[Desk]:
    with open_desk(house, "sync") as found:
        yield found


def bodies(
    desk: Desk, agent: str, number: str, conversation: str, contact: str
) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        ("POST", "/v1/agents", {"name": "x", "systemPrompt": "y", "customTools": [], "voiceSpeed": 1, "voice": "z"}),
        ("PATCH", f"/v1/agents/{agent}", {"name": "x", "beginMessage": "y", "maxSilenceMs": 20_000, "language": "z"}),
        ("POST", f"/v1/agents/{agent}/numbers", {"numberId": number}),
        ("POST", "/v1/numbers", {"country": "FR", "areaCode": "212", "agentId": agent, "externalId": "x"}),
        ("PATCH", f"/v1/numbers/{number}", {"externalId": "x", "expiresAt": "2030-01-01T00:00:00Z"}),
        ("PUT", f"/v1/numbers/{number}/contact-card", {"firstName": "a", "lastName": "b", "displayName": "c"}),
        ("POST", "/v1/webhooks", {"url": desk.hook(), "contextLimit": 5, "timeout": 10}),
        ("POST", "/v1/webhooks/test", {"from": "a", "to": "b", "message": "c", "channel": "sms"}),
        ("POST", "/v1/messages", {"agent_id": agent, "to_number": ADA, "body": "x", "media_urls": ["https://a.b/c.png"],
                                  "reply_to_message_id": "y", "channel": "sms", "recipients": []}),
        ("POST", "/v1/messages/msg_1/reactions", {"reaction": "love"}),
        ("PATCH", f"/v1/conversations/{conversation}", {"metadata": {"a": 1}}),
        ("POST", "/v1/contacts", {"phoneNumber": ADA, "name": "x", "email": "y", "notes": "z"}),
        ("PATCH", f"/v1/contacts/{contact}", {"phoneNumber": ADA, "name": "x", "email": "y"}),
        ("POST", "/v1/calls", {"agentId": agent, "toNumber": ADA, "systemPrompt": "x", "variables": {}, "voice": "y"}),
        ("POST", "/v1/calls/web", {"agentId": agent, "metadata": {}, "variables": {}}),
        ("POST", "/v1/verify/check", {"verification_id": "x", "code": "y"}),
        ("POST", "/v1/feedback", {"category": "x", "note": "y", "tags": []}),
    ]  # fmt: skip


def test_no_value_of_any_field_is_an_error_of_ours(desk: Desk) -> None:
    agent, number = desk.shop()
    conversation = desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="x")["conversation_id"]
    contact = desk.c.contacts.create(phone_number="+12025550188", name="x").id
    for method, path, body in bodies(desk, agent.id, number.id, conversation, contact):
        for field in body:
            desk.http.headers["Authorization"] = f"Bearer {desk.house.key(desk.org)}"  # with a pace of its own
            for odd in ODD:
                sent = json.dumps({**body, field: odd})
                raw = desk.raw(method, path, data=sent)
                assert raw.status_code < 500 or raw.status_code == 501, (method, path, field, odd, raw.text)
                assert raw.headers["Content-Type"].startswith("application/json")
                assert raw.content.isascii()
                assert raw.status_code != 429, path
    assert desk.c.conversations.get(conversation).id == conversation


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(desk: Desk, number: str) -> None:
    agent, _ = desk.shop()
    conversation = desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="x")["conversation_id"]
    raw = desk.raw("PATCH", f"/v1/conversations/{conversation}", data=f'{{"metadata": {{"a": {number}}}}}')
    assert raw.status_code == 422
    assert desk.c.conversations.get(conversation).metadata is None


def test_no_question_is_an_error_of_ours(desk: Desk) -> None:
    agent, number = desk.shop()
    paths = [
        "/v1/agents", "/v1/numbers", "/v1/numbers/available", "/v1/numbers/lookup", "/v1/conversations", "/v1/contacts",
        "/v1/calls", f"/v1/agents/{agent.id}/calls", f"/v1/numbers/{number.id}/messages", "/v1/webhooks/deliveries",
        "/v1/webhooks/deliveries/stats", f"/v1/agents/{agent.id}/webhook/deliveries", "/v1/usage/daily",
        "/v1/usage/by-agent", "/v1/contacts/capabilities", "/v1/agents/%00", "/v1/calls/%ff", "/v1/numbers/num_+1",
        "/v1/conversations/cv_%F0%9F%8E%82",
    ]  # fmt: skip
    names = ("limit", "offset", "before", "after", "hours", "days", "search", "phoneNumbers", "phone_number", "status")
    for path in paths:
        for value in (
            "-1",
            "999999999999999999999",
            "x",
            "",
            "%00",
            "2026-13-01",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ):
            raw = desk.raw("GET", f"{path}?{'&'.join(f'{name}={value}' for name in names)}")
            assert raw.status_code < 500, (path, value, raw.text)
            for name in names:
                raw = desk.raw("GET", f"{path}?{name}={value}")
                assert raw.status_code < 500, (path, name, value, raw.text)


def test_six_who_buy_at_once_get_the_three_that_there_are(desk: Desk) -> None:
    def buy(_: int) -> requests.Response:
        headers = {"Authorization": f"Bearer {desk.key}"}
        return requests.post(f"{desk.house.url}/agentphone/v1/numbers", json={}, headers=headers, timeout=20)

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(buy, range(6)))
    assert sorted(raw.status_code for raw in answers) == [200, 200, 200, 409, 409, 409]
    assert {raw.json()["phoneNumber"] for raw in answers if raw.ok} == set(POOL)


def test_a_number_goes_back_when_its_time_is_over(desk: Desk) -> None:
    agent, _ = desk.shop()
    ends = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    number = desk.c.numbers.buy(agent_id=agent.id, expires_at=ends)
    until(lambda: desk.c.numbers.get(number.id).status == "released", 20)
    assert number.id not in {each.id for each in desk.c.agents.get(agent.id).numbers}
    assert number.phone_number in {each.phone_number for each in desk.c.numbers.available()}


def test_a_long_text_goes_in_parts(desk: Desk) -> None:
    agent, _ = desk.shop()
    words = " ".join(f"word{n}" for n in range(500))
    sent = desk.c.messages.send(agent_id=agent.id, to_number=ADA, body=words)
    arrived = [each.body for each in desk.phone(ADA, 3)]
    assert " ".join(arrived) == words
    assert all(len(each) <= 1600 for each in arrived)
    assert desk.c.conversations.get(sent["conversation_id"]).messages[0].id == sent["id"]
