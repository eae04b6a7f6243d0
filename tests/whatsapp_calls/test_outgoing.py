"""An agent calls somebody on WhatsApp: whether it may, what becomes of the call, and who it was with."""

from __future__ import annotations

from typing import Any

import pytest

from channels.whatsapp.simulator import FaultRule
from channels.whatsapp.simulator.calls.call import SimulatedCall
from channels.whatsapp.simulator.calls.calls import CallPlan
from tests.whatsapp_calls.conftest import ADA, NUMBER, WHATSAPP, House, OpenHouse, desk

LINE = f"whatsapp_call:{NUMBER}"


async def dials(house: House, **more: Any) -> tuple[int, Any]:
    wanted = {"agent_id": "desk", "phone_number": f"+{ADA}", "channel_id": LINE, **more}
    return await house.post("/v1/calls", wanted)


async def dialled(house: House) -> tuple[SimulatedCall, str]:
    """A call that the platform has taken, and its id with us."""
    status, told = await dials(house)
    assert status == 201, told
    [call] = house.cloud.calls.all()
    assert told["id"] == house.id_of(call)
    return call, told["id"]


async def test_who_has_allowed_it_is_called_and_speaks_with_the_bot(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.calls.permit(NUMBER, ADA)
    call, id_ = await dialled(house)
    await house.hears(call, "welcome")
    assert call.early == 0, "nothing is sent before they have taken the call"
    house.says(call, "order")
    await house.hears(call, "one two three")
    shown = await house.call(id_)
    assert (shown.transport, shown.direction, shown.channel) == ("whatsapp_call", "outbound", LINE)
    kinds = [entry.fact.type for entry in await house.log(id_)]
    assert kinds.index("call.ringing") < kinds.index("call.started")
    house.says(call, "thanks")
    await house.in_state(call, "over")
    assert (call.why, call.actions) == ("business", ["terminate"])
    assert (await house.ended(id_)).reason == "completed"


async def test_they_hang_up(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.calls.permit(NUMBER, ADA)
    call, id_ = await dialled(house)
    await house.hears(call, "welcome")
    house.cloud.calls.hang_up(call)
    assert (await house.ended(id_)).reason == "hangup"


async def test_the_description_may_come_with_the_answer_and_twice(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.calls.plan = CallPlan(early=False, duplicates=2)
    house.cloud.calls.permit(NUMBER, ADA)
    call, _ = await dialled(house)
    await house.hears(call, "welcome")
    house.says(call, "order")
    await house.hears(call, "one two three")


async def test_who_has_not_allowed_it_is_not_called_and_the_refusal_says_what_to_do(open_house: OpenHouse) -> None:
    house = await open_house()
    status, told = await dials(house)
    assert status == 409
    sentence = told["error"]["message"]
    assert "has not allowed calls" in sentence
    assert "call_permission_request" in sentence
    assert house.cloud.calls.all() == []


async def test_permission_is_asked_for_and_given_and_then_they_are_called(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.user_says("order", wa_id=ADA)
    await house.cloud.wait_sent(2)
    asked = {"type": "call_permission_request", "body": "May we call you about your order?"}
    wanted = {"agent_id": "desk", "channel_id": f"whatsapp:{NUMBER}", "to": f"+{ADA}", "interactive": asked}
    status, told = await house.post("/v1/messages", wanted)
    assert status in (200, 201, 202), told
    *_, sent = await house.cloud.wait_sent(3)
    assert sent.body["interactive"] == {
        "type": "call_permission_request",
        "action": {"name": "call_permission_request"},
        "body": {"text": "May we call you about your order?"},
    }
    written = await house.written()
    [notice] = await house.logged(written.id, "custom")
    assert (notice.name, notice.value["response"]) == ("call_permission", "accept")
    contact = await house.engines.store.contact(written.contact)
    assert contact is not None
    assert contact.attributes["call_permission"] == "accept"
    call, id_ = await dialled(house)
    await house.hears(call, "welcome")
    assert (await house.call(id_)).contact == written.contact


async def test_a_rule_asks_and_is_not_asked_twice_a_day(open_house: OpenHouse) -> None:
    rules = [
        {"when": "call me", "say": "one", "show": {"type": "call_permission_request", "body": "May we call you?"}},
        {"when": "(?s).*", "say": "five"},
    ]
    house = await open_house(desk(script=rules))
    house.cloud.user_says("call me", wa_id=ADA)
    *_, sent = await house.cloud.wait_sent(3)
    assert sent.body["interactive"]["type"] == "call_permission_request"
    written = await house.written()
    await house.logged(written.id, "custom")
    house.cloud.user_says("call me", wa_id=ADA)
    [failed] = await house.logged(written.id, "delivery.failed")
    assert "too often" in failed.reason


async def test_who_refuses_is_not_called(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.user_permits(ADA, False)
    status, _ = await dials(house)
    assert status == 409


async def test_they_decline(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.calls.plan = CallPlan(answers="decline", ring_ms=0)
    house.cloud.calls.permit(NUMBER, ADA)
    _, id_ = await dialled(house)
    assert (await house.ended(id_)).reason == "busy"


async def test_nobody_takes_it_and_the_platform_gives_up(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.calls.plan = CallPlan(answers="ring")
    house.cloud.calls.permit(NUMBER, ADA)
    call, id_ = await dialled(house)
    await house.logged(id_, "call.ringing")
    house.cloud.calls.hang_up(call)
    assert (await house.ended(id_)).reason == "no_answer"


async def test_the_platform_cannot_reach_them(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.calls.plan = CallPlan(answers="ring")
    house.cloud.calls.permit(NUMBER, ADA)
    call, id_ = await dialled(house)
    house.cloud.calls.fail(call, 138021)
    assert (await house.ended(id_)).reason == "failed"


async def test_a_call_that_rings_is_taken_back(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.calls.plan = CallPlan(answers="ring")
    house.cloud.calls.permit(NUMBER, ADA)
    call, id_ = await dialled(house)
    await house.logged(id_, "call.ringing")
    status, _ = await house.post(f"/v1/calls/{id_}/end", {})
    assert status == 200
    await house.in_state(call, "over")
    assert call.why == "business"


async def test_what_the_platform_refuses_is_told_in_its_words(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.calls.permit(NUMBER, ADA)
    house.cloud.add_fault(FaultRule(kind="error", on="calls", code=138013))
    status, told = await dials(house)
    assert (status, "does not offer it in its country" in told["error"]["message"]) == (409, True)
    house.cloud.add_fault(FaultRule(kind="error", on="calls", code=131055))
    status, told = await dials(house)
    assert (status, "to SIP" in told["error"]["message"]) == (409, True)


async def test_a_number_without_calls_calls_nobody(open_house: OpenHouse) -> None:
    house = await open_house(desk(channels=[{**WHATSAPP, "calls": False}, {"kind": "webrtc"}]))
    status, told = await dials(house)
    assert status == 422
    assert "calls: true" in told["error"]["message"]


@pytest.mark.rabbitmq
@pytest.mark.mongodb
async def test_a_voice_worker_of_its_own_places_the_call_and_hears_what_a_gateway_is_told(
    rabbitmq_url: str, rabbitmq_prefix: str, mongo_url: str, open_house: OpenHouse
) -> None:
    house = await open_house(
        roles=("gateway", "session", "voice", "voice"),
        bus_url=rabbitmq_url,
        bus_prefix=rabbitmq_prefix.rstrip("."),
        store_url=mongo_url,
    )
    house.cloud.calls.permit(NUMBER, ADA)
    call, id_ = await dialled(house)
    await house.hears(call, "welcome")
    house.says(call, "order")
    await house.hears(call, "one two three")
    house.cloud.calls.hang_up(call)
    assert (await house.ended(id_)).reason == "hangup"
