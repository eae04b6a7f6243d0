"""Numbers: taken from the operator's inventory, attached, moved, tagged, released."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from agentphone import AgentPhoneError, NotFoundError

from tests.agentphone.house import POOL, Desk, House
from tests.agentphone.house import desk as open_desk
from tests.agentphone.rows import row


@row(12)
def test_a_number_is_bought_for_an_agent(desk: Desk) -> None:
    agent = desk.c.agents.create(name="Shop")
    number = desk.c.numbers.buy(country="US", agent_id=agent.id, external_id="shop-7")
    assert number.phone_number in POOL
    assert (number.agent_id, number.country, number.status, number.external_id) == (agent.id, "US", "active", "shop-7")
    assert (number.type, number.outbound_sms, number.whatsapp_enabled) == ("sms", "enabled", False)
    assert desk.c.agents.get(agent.id).numbers[0].phone_number == number.phone_number


@row(13)
def test_there_is_a_sentence_when_none_is_left(desk: Desk) -> None:
    assert desk.c.numbers.buy(country="CA", area_code="416").phone_number == POOL[2]
    for wanted in ({"country": "CA"}, {"country": "DE"}, {"country": "US", "area_code": "212"}):
        with pytest.raises(AgentPhoneError) as caught:
            desk.c.numbers.buy(**wanted)
        assert caught.value.status == 409
        assert caught.value.message.startswith("no number is left")
    raw = desk.raw("POST", "/v1/numbers", json={"country": "DE"}).json()
    assert raw["error"]["code"] == "VALIDATION_ERROR_NUMBER_LIMIT"
    assert len({desk.c.numbers.buy().phone_number for _ in range(2)}) == 2
    with pytest.raises(AgentPhoneError):
        desk.c.numbers.buy()


def test_two_organisations_never_have_one_number(house: House, desk: Desk) -> None:
    with open_desk(house, "sync") as other:
        mine, theirs = desk.c.numbers.buy(), other.c.numbers.buy()
        assert mine.phone_number != theirs.phone_number
        with pytest.raises(NotFoundError):
            desk.c.numbers.get(theirs.id)
        assert desk.c.numbers.list().total == 1


@row(14)
def test_what_is_available_and_what_a_number_is(desk: Desk) -> None:
    found = desk.c.numbers.available(area_code="415", limit=2)
    assert [each.phone_number for each in found] == list(POOL[:2])
    assert found[0].area_code == "415"
    assert desk.c.numbers.available(area_code="415", limit=1)[0].phone_number == POOL[0]
    looked_up = desk.c.numbers.lookup(["+12025550100", "+4930100200"])
    assert [(each.phone_number, each.country) for each in looked_up] == [("+12025550100", "US"), ("+4930100200", "DE")]


@row(15)
def test_a_tag_and_an_end_are_kept(desk: Desk) -> None:
    number = desk.c.numbers.buy()
    ends = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    changed = desk.c.numbers.update(number.id, external_id="x7", expires_at=ends)
    for each in (changed, desk.c.numbers.get(number.id), desk.c.numbers.list().data[0]):
        assert each.external_id == "x7"
        assert abs(datetime.fromisoformat(each.expires_at).timestamp() - time.time() - 86_400) < 60
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.numbers.update(number.id, expires_at="2020-01-01T00:00:00Z")
    assert caught.value.status == 400


@row(16)
def test_a_number_comes_to_an_agent_and_leaves_it(desk: Desk) -> None:
    agent, number = desk.c.agents.create(name="Shop"), desk.c.numbers.buy()
    attached = desk.c.agents.attach_number(agent.id, number.id)
    assert attached["agentId"] == agent.id
    assert attached["number"]["phoneNumber"] == number.phone_number
    assert [each.id for each in desk.c.agents.get(agent.id).numbers] == [number.id]
    assert desk.c.agents.detach_number(agent.id, number.id) == {"success": True}
    assert desk.c.agents.get(agent.id).numbers == []
    kept = desk.c.numbers.get(number.id)
    assert (kept.status, kept.agent_id) == ("active", None)
    with pytest.raises(NotFoundError):
        desk.c.agents.detach_number(agent.id, number.id)
    with pytest.raises(NotFoundError):
        desk.c.agents.attach_number(agent.id, "num_1")


@row(17)
def test_a_number_of_another_agent_moves(desk: Desk) -> None:
    first, number = desk.shop()
    second = desk.c.agents.create(name="Second")
    desk.c.agents.attach_number(second.id, number.id)
    assert desk.c.agents.get(first.id).numbers == []
    assert desk.c.agents.get(second.id).numbers[0].id == number.id
    assert desk.c.numbers.get(number.id).agent_id == second.id
    desk.c.messages.send(agent_id=second.id, to_number="+12025550171", body="moved")
    assert desk.phone("+12025550171")[0].sender == number.phone_number


@row(18)
def test_a_released_number_is_gone_but_remembered(desk: Desk) -> None:
    agent, number = desk.shop()
    assert desk.c.numbers.release(number.id) == {
        "success": True, "phoneNumber": number.phone_number, "status": "released",
    }  # fmt: skip
    assert desk.c.numbers.list().data == []
    assert desk.c.agents.get(agent.id).numbers == []
    assert desk.c.numbers.get(number.id).status == "released"
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.numbers.release(number.id)
    assert caught.value.status == 400
    with pytest.raises(AgentPhoneError):
        desk.c.agents.attach_number(agent.id, number.id)
    assert desk.c.numbers.buy().status == "active"  # it is in stock again


@row(19)
def test_a_number_has_a_contact_card(desk: Desk) -> None:
    number = desk.c.numbers.buy()
    with pytest.raises(NotFoundError):
        desk.c.numbers.get_contact_card(number.id)
    card = desk.c.numbers.set_contact_card(number.id, first_name="Ada", last_name="Shop")
    assert card == {"firstName": "Ada", "lastName": "Shop", "displayName": "Ada Shop", "hasAvatar": False}
    assert desk.c.numbers.get_contact_card(number.id) == card
    assert desk.c.numbers.delete_contact_card(number.id) == {}
    assert desk.c.numbers.delete_contact_card(number.id) == {}
