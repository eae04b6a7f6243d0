"""Webhooks of the account and of agents, as the client's own verifier reads what they are told."""

from __future__ import annotations

import time
from typing import Any

import pytest
from agentphone import AgentPhoneError, WebhookVerificationError, construct_event, verify_webhook

from tests.agentphone.house import ADA, Desk, until
from tests.agentphone.rows import row


@row(20)
def test_no_webhook_is_none(desk: Desk) -> None:
    agent = desk.c.agents.create(name="Shop")
    assert desk.c.webhooks.get() is None
    assert desk.c.agents.get_webhook(agent.id) is None
    assert desk.raw("GET", "/v1/webhooks").text == "null"
    assert desk.c.webhooks.delete() == {"success": True}


@row(21)
def test_every_registration_has_a_new_secret(desk: Desk) -> None:
    first = desk.c.webhooks.set(desk.hook(), context_limit=5, timeout=10)
    second = desk.c.webhooks.set(desk.hook("2"), context_limit=7, timeout=20)
    assert first.secret != second.secret
    assert first.id == second.id
    assert desk.c.webhooks.get().secret == second.secret
    assert (second.url, second.context_limit, second.timeout, second.status) == (desk.hook("2"), 7, 20, "active")
    assert desk.c.webhooks.set(desk.hook()).context_limit == 10


@row(22)
@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"timeout": 1}, "timeout"), ({"timeout": 121}, "timeout"), ({"context_limit": 51}, "contextLimit")],
)
def test_limits_are_named(desk: Desk, wrong: dict[str, int], named: str) -> None:
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.webhooks.set(desk.hook(), **wrong)
    assert caught.value.status == 422
    assert caught.value.message[0]["loc"] == ["body", named]
    assert desk.c.webhooks.get() is None


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "ftp://a.b/c", "https://", "nonsense"])
def test_an_address_that_cannot_be_is_refused(desk: Desk, url: str) -> None:
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.webhooks.set(url)
    assert caught.value.status == 400
    assert "url" in caught.value.message


@row(23)
def test_a_test_event_passes_the_clients_verifier(desk: Desk) -> None:
    secret = desk.c.webhooks.set(desk.hook()).secret
    done = desk.c.webhooks.test(from_="+12025550100", to="+12025550101", message="hi", channel="whatsapp")
    assert (done["success"], done["httpStatus"], done["statusCode"]) == (True, 200, 200)
    [heard] = desk.heard()
    event = heard.event(secret)
    assert (event.event, event.channel, event.test) == ("agent.message", "whatsapp", True)
    assert (event.data.from_number, event.data.to_number, event.data.message) == ("+12025550100", "+12025550101", "hi")
    assert heard.headers["X-Webhook-Event"] == "agent.message"
    assert heard.headers["Content-Type"] == "application/json"
    assert heard.headers["User-Agent"].startswith("omni-webhooks/")
    desk.house.receivers.wants[desk.org].append(500)
    failed = desk.c.webhooks.test()
    assert (failed["success"], failed["httpStatus"]) == (False, 500)


def test_there_is_nothing_to_test_without_a_webhook(desk: Desk) -> None:
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.webhooks.test()
    assert caught.value.status == 404


@row(24, 25)
def test_an_agents_webhook_stands_in_for_the_accounts_until_it_is_gone(desk: Desk) -> None:
    agent, number = desk.shop()
    account = desk.c.webhooks.set(desk.hook("account"))
    own = desk.c.agents.set_webhook(agent.id, desk.hook("own"), context_limit=3)
    assert desk.c.agents.get_webhook(agent.id).secret == own.secret != account.secret
    assert desk.c.agents.test_webhook(agent.id)["success"]
    [heard] = desk.heard(1, "own")
    assert heard.event(own.secret).agent_id == agent.id
    desk.texts(ADA, number.phone_number, "one")
    assert desk.heard(2, "own")[1].event(own.secret).data.message == "one"
    assert desk.c.agents.delete_webhook(agent.id) == {"success": True}
    assert desk.c.agents.get_webhook(agent.id) is None
    desk.texts(ADA, number.phone_number, "two")
    assert desk.heard(1, "account")[0].event(account.secret).data.message == "two"
    assert len(desk.heard(2, "own")) == 2


@row(27, 28)
def test_deliveries_are_listed_and_counted(desk: Desk) -> None:
    agent, number = desk.shop()
    desk.c.webhooks.set(desk.hook())
    assert desk.c.webhooks.test()["success"]
    desk.house.receivers.wants[desk.org].append(410)  # final
    desk.texts(ADA, number.phone_number, "gone?")
    desk.heard(2)
    found = until(lambda: _finished(desk, 2))
    refused, tested = found
    assert (refused.status, refused.http_status, refused.attempt_count, refused.event_type) == (
        "failed", 410, 1, "agent.message",
    )  # fmt: skip
    assert (refused.channel, refused.error_message) == ("sms", "answered 410")
    assert refused.message_id
    assert (tested.status, tested.http_status, tested.response_body) == ("success", 200, "thanks")
    assert [each.id for each in desk.c.webhooks.list_deliveries(limit=1, offset=1, hours=24)] == [tested.id]
    own = desk.c.agents.list_webhook_deliveries(agent.id)
    assert refused.id in {each.id for each in own}
    assert isinstance(desk.raw("GET", f"/v1/agents/{agent.id}/webhook/deliveries").json(), list)
    assert "items" in desk.raw("GET", f"/v1/agents/{agent.id}/webhook/deliveries?hours=1").json()
    listed = desk.raw("GET", "/v1/webhooks/deliveries?limit=1").json()
    assert (listed["total"], listed["hasMore"], listed["limit"]) == (2, True, 1)
    stats = desk.c.webhooks.get_delivery_stats(hours=24)
    assert (stats.total, stats.success, stats.failed, stats.pending, stats.success_rate) == (2, 1, 1, 0, 50.0)
    assert stats.by_event_type == {"agent.message": {"success": 1, "failed": 1, "pending": 0}}
    assert sum(hour["total"] for hour in stats.by_hour) == 2
    assert desk.c.webhooks.get_all_time_stats() == {"total": 2, "success": 1, "failed": 1, "successRate": 50.0}


def _finished(desk: Desk, number: int) -> Any:
    found = desk.c.webhooks.list_deliveries(limit=10, offset=0, hours=1)
    return found if len(found) == number and all(each.status != "pending" for each in found) else []


@row(29)
def test_what_was_altered_or_is_old_does_not_pass(desk: Desk) -> None:
    secret = desk.c.webhooks.set(desk.hook()).secret
    desk.c.webhooks.test()
    [heard] = desk.heard()
    signature, at = heard.headers["X-Webhook-Signature"], heard.headers["X-Webhook-Timestamp"]
    verify_webhook(heard.body, signature, secret, at)
    old = str(int(time.time()) - 301)
    for body, claimed, stamp in (
        (heard.body + b" ", signature, at),
        (heard.body, signature, old),
        (heard.body, signature[:-1] + "x", at),
    ):
        with pytest.raises(WebhookVerificationError):
            verify_webhook(body, claimed, secret, stamp)
    with pytest.raises(WebhookVerificationError):
        construct_event(heard.body, signature, "whsec_another", at)


@row(30)
def test_a_text_is_an_event_with_who_and_what_was_said_before(desk: Desk) -> None:
    _, number = desk.shop()
    secret = desk.c.webhooks.set(desk.hook(), context_limit=2).secret
    desk.c.contacts.create(phone_number=ADA, name="Ada", email="ada@shop.example")
    for n in range(4):
        desk.texts(ADA, number.phone_number, f"t{n}")
        desk.heard(n + 1)
    events = [each.event(secret) for each in desk.heard(4)]
    assert [event.data.message for event in events] == ["t0", "t1", "t2", "t3"]
    last = events[3]
    assert [said.content for said in last.recent_history] == ["t1", "t2"]
    assert (last.event, last.channel, last.test) == ("agent.message", "sms", None)
    assert (last.data.from_number, last.data.to_number, last.data.direction) == (ADA, number.phone_number, "inbound")
    assert last.data.number_id == number.id
    assert last.data.contact["name"] == "Ada"
    assert last.data.contact["email"] == "ada@shop.example"
    conversation = desk.c.conversations.get(last.data.conversation_id)
    assert (conversation.participant, conversation.phone_number_id) == (ADA, number.id)
    assert conversation.messages[-1].id == last.data.message_id


def test_texts_of_a_hosted_agent_go_to_its_webhook(desk: Desk) -> None:
    _, number = desk.shop(voice_mode="hosted", system_prompt="You answer calls.")
    secret = desk.c.webhooks.set(desk.hook()).secret
    desk.texts(ADA, number.phone_number, "hello?")
    assert desk.heard()[0].event(secret).data.message == "hello?"
    desk.c.messages.send(number_id=number.id, to_number=ADA, body="Answered by hand.")
    assert [sent.body for sent in desk.phone(ADA)] == ["Answered by hand."]
