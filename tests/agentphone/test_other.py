"""Usage, verification, feedback, and what this server says of what it cannot do."""

from __future__ import annotations

import re

import pytest
from agentphone import AgentPhoneError, NotFoundError

from tests.agentphone.house import ADA, Desk
from tests.agentphone.rows import row

REGISTRATION = dict.fromkeys(
    (
        "registration_type", "first_name", "last_name", "email", "phone_number", "street_address", "city", "state",
        "zip_code", "description", "use_cases", "message_samples", "consent_flow", "opt_in_image_url",
    ),
    "x",
)  # fmt: skip


@row(68)
def test_usage_agrees_with_what_was_done(desk: Desk) -> None:
    agent, number = desk.shop()
    desk.c.webhooks.set(desk.hook())
    desk.texts(ADA, number.phone_number, "one")
    desk.heard()
    desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="two")
    usage = desk.c.usage.get()
    assert (usage.stats.total_messages, usage.stats.messages_last_24h, usage.stats.total_calls) == (2, 2, 0)
    assert usage.stats.total_webhook_deliveries == 1
    assert usage.numbers.used == 1
    assert usage.numbers.limit == usage.numbers.used + usage.numbers.remaining
    daily = desk.c.usage.get_daily(7)
    assert (daily.days, len(daily.data)) == (7, 7)
    assert (daily.data[-1].messages, daily.data[-1].webhooks, daily.data[0].messages) == (2, 1, 0)
    monthly = desk.c.usage.get_monthly(2)
    assert (monthly.months, len(monthly.data), monthly.data[-1].messages) == (2, 2, 2)
    assert desk.c.usage.get_by_number() == [
        {
            "numberId": number.id, "phoneNumber": number.phone_number, "country": "US", "status": "active",
            "agentId": agent.id, "agentName": "Shop", "messages": 2, "calls": 0,
        }
    ]  # fmt: skip
    by_agent = desk.c.usage.get_by_agent("month")
    assert by_agent["period"] == "month"
    assert [(each["agentId"], each["messages"], each["isOrphan"]) for each in by_agent["data"]] == [
        (agent.id, 2, False)
    ]


@row(71)
def test_a_code_is_sent_and_checked(desk: Desk) -> None:
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.verification.send_verification(ADA)
    assert caught.value.status == 400  # nothing to send it from
    desk.shop()
    sent = desk.c.verification.send_verification(ADA)
    assert sent["status"] == "pending"
    [text] = desk.phone(ADA)
    found = re.search(r"\d{6}", text.body)
    assert found is not None
    wrong = f"{(int(found[0]) + 1) % 1_000_000:06}"
    check = desk.c.verification.check_verification
    assert check(sent["verification_id"], wrong) == {"result": "incorrect", "attempts_remaining": 4}
    assert check(sent["verification_id"], found[0]) == {"result": "ok", "attempts_remaining": 3}
    assert check(sent["verification_id"], found[0])["result"] == "already_verified"
    with pytest.raises(NotFoundError):
        check("ver_none", "123456")
    other = desk.c.verification.send_verification(ADA)
    results = [check(other["verification_id"], "x")["result"] for _ in range(6)]
    assert results == [*["incorrect"] * 4, "exhausted", "exhausted"]


@row(72)
def test_feedback_is_taken(desk: Desk) -> None:
    assert desk.c.feedback.submit("bug", "it is too good", tags=["a"])["success"] is True


@row(73)
def test_registration_is_none(desk: Desk) -> None:
    assert desk.c.registration.get_status()["campaign_status"] == "none"


@row(74)
@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.registration.register(**REGISTRATION),
        lambda c: c.registration.get(),
        lambda c: c.registration.update(description="x"),
        lambda c: c.location.get(ADA),
        lambda c: c.location.refresh(),
        lambda c: c.whatsapp.whatsapp_connect("code"),
        lambda c: c.whatsapp.whatsapp_available_numbers("1"),
    ],
)  # fmt: skip
def test_what_only_a_carrier_or_a_billed_host_can_do_says_so(desk: Desk, ask: object) -> None:
    assert callable(ask)
    with pytest.raises(AgentPhoneError) as caught:
        ask(desk.c)
    assert caught.value.status == 501
    assert isinstance(caught.value.message, str)
    assert len(caught.value.message) > 30


@row(75)
def test_whatsapps_state_is_told(desk: Desk) -> None:
    assert desk.c.whatsapp.whatsapp_status() == {"connected": False, "connections": []}


@row(69)
def test_sub_accounts_see_nothing_of_each_other(desk: Desk) -> None:
    assert desk.c.sub_accounts.list() == []
    one, two = desk.c.sub_accounts.create("One"), desk.c.sub_accounts.create("Two")
    assert [each["name"] for each in desk.c.sub_accounts.list()] == ["Two", "One"]
    assert desk.c.sub_accounts.update(one["id"], "First")["name"] == "First"
    inside = {"X-Sub-Account-Id": one["id"]}
    made = desk.raw("POST", "/v1/agents", json={"name": "Shop"}, headers=inside).json()
    number = desk.raw("POST", "/v1/numbers", json={"agentId": made["id"]}, headers=inside).json()
    assert [each["id"] for each in desk.raw("GET", "/v1/agents", headers=inside).json()["data"]] == [made["id"]]
    assert desk.c.agents.list().data == []
    assert desk.c.numbers.list().data == []
    assert desk.raw("GET", f"/v1/agents/{made['id']}", headers={"X-Sub-Account-Id": two["id"]}).status_code == 404
    assert desk.raw("GET", "/v1/agents", headers={"X-Sub-Account-Id": "sub_none"}).status_code == 404
    assert desk.raw("GET", "/v1/sub-accounts", headers=inside).json()["data"] == []
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.sub_accounts.delete(one["id"])
    assert caught.value.status == 409
    for path in (f"/v1/numbers/{number['id']}", f"/v1/agents/{made['id']}"):
        assert desk.raw("DELETE", path, headers=inside).status_code == 200
    assert desk.c.sub_accounts.delete(one["id"])["success"] is True
    assert [each["id"] for each in desk.c.sub_accounts.list()] == [two["id"]]
    with pytest.raises(NotFoundError):
        desk.c.sub_accounts.delete(one["id"])
