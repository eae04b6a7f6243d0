"""Messages: sent from the right number, refused when they should be, listed without gaps."""

from __future__ import annotations

from itertools import pairwise

import pytest
from agentphone import AgentPhoneError, NotFoundError

from tests.agentphone.house import ADA, BO, Desk, until
from tests.agentphone.rows import row


@row(31)
def test_a_message_goes_out_from_the_agents_number(desk: Desk) -> None:
    agent, number = desk.shop()
    sent = desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="hi")
    assert (sent["status"], sent["channel"], sent["from_number"], sent["to_number"]) == (
        "sent", "sms", number.phone_number, ADA,
    )  # fmt: skip
    assert (sent["media_urls"], sent["reply_to_message_id"]) == ([], None)
    [arrived] = desk.phone(ADA)
    assert (arrived.body, arrived.sender) == ("hi", number.phone_number)
    conversation = desk.c.conversations.get(sent["conversation_id"])
    [message] = conversation.messages
    assert (message.id, message.body, message.direction) == (sent["id"], "hi", "outbound")
    assert (message.from_number, message.to_number) == (number.phone_number, ADA)
    delivered = until(lambda: _status(desk, conversation.id) == "delivered")
    assert delivered


def _status(desk: Desk, conversation: str) -> str:
    return str(desk.c.conversations.get(conversation).messages[0].status)


def test_a_file_goes_along(desk: Desk) -> None:
    agent, _ = desk.shop()
    sent = desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="look", media_url="https://a.example/cake.png")
    assert (sent["channel"], sent["media_urls"]) == ("mms", ["https://a.example/cake.png"])
    message = desk.c.conversations.get(sent["conversation_id"]).messages[0]
    assert (message.body, message.media_urls) == ("look", ["https://a.example/cake.png"])


@row(32)
def test_the_sender_is_the_number_before_the_agent(desk: Desk) -> None:
    agent, first = desk.shop()
    second, third = desk.c.numbers.buy(agent_id=agent.id), desk.c.numbers.buy(agent_id=agent.id, country="CA")
    other = {"agent_id": agent.id, "to_number": ADA, "body": "x"}
    sent = [
        desk.c.messages.send(**other),
        desk.c.messages.send(**other, number_id=second.id),
        desk.c.messages.send(**other, number_id=second.id, from_number=third.phone_number),
    ]
    wanted = [first.phone_number, second.phone_number, third.phone_number]
    assert [each["from_number"] for each in sent] == wanted
    assert sorted(each.sender for each in desk.phone(ADA, 3)) == sorted(wanted)
    for wrong in ({"from_number": "+12125550000"}, {"number_id": "num_1"}, {"agent_id": "nobody"}):
        with pytest.raises(NotFoundError):
            desk.c.messages.send(to_number=ADA, body="x", **wrong)


@row(33)
def test_nothing_is_sent_in_reply_to_nothing(desk: Desk) -> None:
    agent, _ = desk.shop()
    with pytest.raises(NotFoundError) as caught:
        desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="x", reply_to_message_id="bad")
    assert "reply target" in caught.value.message
    first = desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="first")
    replied = desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="second", reply_to_message_id=first["id"])
    assert (replied["reply_to_message_id"], replied["reply_parent_unresolved"]) == (first["id"], True)
    assert [each.body for each in desk.phone(ADA, 2)] == ["first", "second"]


@row(34)
@pytest.mark.parametrize(
    "wrong",
    [
        {"body": "x"},
        {"to_number": ADA, "recipients": [ADA, BO], "body": "x"},
        {"to_number": ADA},
        {"to_number": ADA, "body": " "},
        {"to_number": "12", "body": "x"},
        {"to_number": ADA, "body": "x", "media_urls": ["http://a.example/x.png"]},
    ],
)
def test_a_message_without_a_recipient_or_a_word_is_refused(desk: Desk, wrong: dict[str, object]) -> None:
    agent, _ = desk.shop()
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.messages.send(agent_id=agent.id, **wrong)
    assert caught.value.status == 422
    assert isinstance(caught.value.message, list)


@row("34b")
def test_without_a_sender_it_is_the_number_that_last_talked_with_them(desk: Desk) -> None:
    agent, first = desk.shop()
    assert desk.c.messages.send(to_number="(202) 555-0171", body="only one")["from_number"] == first.phone_number
    second = desk.c.numbers.buy(agent_id=agent.id)
    desk.c.messages.send(number_id=second.id, to_number=BO, body="hello Bo")
    assert desk.c.messages.send(to_number=BO, body="again")["from_number"] == second.phone_number
    assert desk.c.messages.send(to_number=ADA, body="again")["from_number"] == first.phone_number
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.messages.send(to_number="+12025550199", body="who?")
    assert caught.value.status == 400


def test_nothing_is_sent_to_who_wrote_stop(desk: Desk) -> None:
    agent, number = desk.shop()
    desk.texts(ADA, number.phone_number, "STOP")

    def refused() -> bool:
        try:
            desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="x")
        except AgentPhoneError as error:
            return bool(error.status == 403)
        return False

    until(refused)


def test_a_message_that_is_posted_twice_is_sent_once(desk: Desk) -> None:
    agent, _ = desk.shop()
    body = {"agent_id": agent.id, "to_number": ADA, "body": "once"}
    first = desk.raw("POST", "/v1/messages", json=body, headers={"Idempotency-Key": "k1"})
    again = desk.raw("POST", "/v1/messages", json=body, headers={"Idempotency-Key": "k1"})
    assert first.json() == again.json()
    desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="and more")
    assert [each.body for each in desk.phone(ADA, 2)] == ["once", "and more"]


@row(35)
def test_texts_have_no_reactions(desk: Desk) -> None:
    agent, _ = desk.shop()
    sent = desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="hi")
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.messages.react(sent["id"], "love")
    assert caught.value.status == 400
    with pytest.raises(NotFoundError):
        desk.c.messages.react("msg_none", "love")


@row(36)
def test_conversations_have_the_latest_first_and_page_without_gaps(desk: Desk) -> None:
    agent, number = desk.shop()
    desk.c.webhooks.set(desk.hook())
    for n in range(5):
        desk.texts(ADA, number.phone_number, f"t{n}")
        desk.heard(n + 1)
    desk.c.messages.send(agent_id=agent.id, to_number=BO, body="hello Bo")
    listed = desk.c.conversations.list()
    assert [each.participant for each in listed.data] == [BO, ADA]
    assert (listed.total, listed.has_more) == (2, False)
    assert desk.c.conversations.list(limit=1, offset=1).data[0].participant == ADA
    conversation = listed.data[1]
    assert (conversation.message_count, conversation.last_message_preview, conversation.channel) == (5, "t4", "sms")
    assert (conversation.phone_number, conversation.is_group) == (number.phone_number, False)
    assert [each.body for each in desk.c.conversations.get(conversation.id, message_limit=2).messages] == ["t3", "t4"]
    seen: list[str] = []
    before = None
    while True:
        page = desk.c.conversations.get_messages(conversation.id, limit=2, before=before)
        seen += [each.body for each in page.data]
        if not page.has_more:
            break
        before = page.data[-1].received_at
    assert seen == ["t4", "t3", "t2", "t1", "t0"]
    times = [each.received_at for each in desk.c.conversations.get_messages(conversation.id).data]
    assert all(later > earlier for later, earlier in pairwise(times))
    since = desk.c.conversations.get_messages(conversation.id, after=times[2])
    assert [each.body for each in since.data] == ["t4", "t3"]
    with pytest.raises(NotFoundError):
        desk.c.conversations.get("cv_nothing")


@row(37)
def test_memory_comes_back_with_the_next_event(desk: Desk) -> None:
    _, number = desk.shop()
    secret = desk.c.webhooks.set(desk.hook()).secret
    desk.texts(ADA, number.phone_number, "one")
    first = desk.heard(1)[0].event(secret)
    assert first.conversation_state is None
    changed = desk.c.conversations.update(first.data.conversation_id, metadata={"vip": 1})
    assert changed.metadata == {"vip": 1}
    assert [each.body for each in changed.messages] == ["one"]
    desk.texts(ADA, number.phone_number, "two")
    assert desk.heard(2)[1].event(secret).conversation_state == {"vip": 1}
    desk.raw("PATCH", f"/v1/conversations/{first.data.conversation_id}", json={"metadata": None})
    desk.texts(ADA, number.phone_number, "three")
    assert desk.heard(3)[2].event(secret).conversation_state is None


@row(38)
def test_typing_and_backgrounds_are_answered_on_texts_too(desk: Desk) -> None:
    agent, _ = desk.shop()
    id_ = desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="hi")["conversation_id"]
    assert desk.c.conversations.send_typing(id_) == {"conversationId": id_, "channel": "sms", "status": "unsupported"}
    for headers in ({}, {"Content-Type": "application/json"}):  # other clients send no body at all
        assert desk.raw("POST", f"/v1/conversations/{id_}/typing", headers=headers).status_code == 200
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.conversations.set_background(id_, image_url="https://a.example/x.png")
    assert caught.value.status == 400
    assert desk.c.conversations.delete_background(id_) == {}


@row(39)
def test_conversations_and_messages_of_one_agent_and_one_number(desk: Desk) -> None:
    (first, one), (second, two) = desk.shop(), desk.shop()
    desk.c.messages.send(agent_id=first.id, to_number=ADA, body="from one")
    desk.c.messages.send(agent_id=second.id, to_number=ADA, body="from two")
    desk.c.messages.send(agent_id=second.id, to_number=BO, body="to Bo")
    assert [each.agent_id for each in desk.c.agents.list_conversations(first.id).data] == [first.id]
    assert desk.c.agents.list_conversations(second.id).total == 2
    assert [each.body for each in desk.c.numbers.get_messages(one.id).data] == ["from one"]
    found = desk.c.numbers.get_messages(two.id, limit=1)
    assert ([each.body for each in found.data], found.has_more) == (["to Bo"], True)
    rest = desk.c.numbers.get_messages(two.id, limit=5, before=found.data[0].received_at)
    assert ([each.body for each in rest.data], rest.has_more) == (["from two"], False)
