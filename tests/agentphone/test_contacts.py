"""Contacts, and what their numbers can do."""

from __future__ import annotations

import pytest
from agentphone import AgentPhoneError, NotFoundError

from tests.agentphone.house import ADA, BO, Desk
from tests.agentphone.rows import row


@row(40)
def test_a_contact_is_made_found_changed_and_removed(desk: Desk) -> None:
    made = desk.c.contacts.create(
        phone_number="+1 (202) 555-0171", name="Ada", email="ada@a.example", notes="likes tea"
    )
    assert made.phone_number == ADA
    assert made.created_at[:4] == made.updated_at[:4] >= "2024"
    assert desk.c.contacts.get(made.id) == made
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.contacts.create(phone_number=ADA, name="Ada again")
    assert caught.value.status == 409
    changed = desk.c.contacts.update(made.id, name="Ada L.", notes="")
    assert (changed.name, changed.email, changed.notes) == ("Ada L.", "ada@a.example", None)
    bo = desk.c.contacts.create(phone_number=BO, name="Bo")
    assert [each.id for each in desk.c.contacts.list().data] == [bo.id, made.id]
    for search in ("ada", "0171", "L.", "a.example"):
        assert [each.id for each in desk.c.contacts.list(search=search).data] == [made.id]
    assert desk.c.contacts.list(limit=1).has_more
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.contacts.update(bo.id, phone_number=ADA)
    assert caught.value.status == 409
    assert desk.c.contacts.update(bo.id, phone_number="+12025550188").phone_number == "+12025550188"
    assert desk.c.contacts.delete(made.id) == {}
    with pytest.raises(NotFoundError):
        desk.c.contacts.get(made.id)
    assert desk.raw("POST", "/v1/contacts", json={"phoneNumber": ADA, "name": "Ada"}).status_code == 201


def test_a_person_who_talked_with_us_loses_their_entry_and_not_their_conversation(desk: Desk) -> None:
    agent, _ = desk.shop()
    desk.c.messages.send(agent_id=agent.id, to_number=ADA, body="hi")
    made = desk.c.contacts.create(phone_number=ADA, name="Ada")
    assert desk.c.contacts.delete(made.id) == {}
    assert desk.c.contacts.list().data == []
    assert desk.conversation().participant == ADA


@row(41)
def test_capabilities_keep_the_plus(desk: Desk) -> None:
    desk.shop()
    found = desk.c.contacts.get_capabilities(ADA)
    assert found["phoneNumber"] == ADA
    assert (found["capabilities"]["sms"], found["capabilities"]["imessage"]) == (True, False)
    assert found["checkedAt"]
    assert desk.raw("GET", f"/v1/contacts/capabilities?phone_number={ADA}").json()["phoneNumber"] == ADA
