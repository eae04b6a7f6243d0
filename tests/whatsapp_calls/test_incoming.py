"""Somebody calls a WhatsApp number: they hear the bot, it hears them, and either side hangs up."""

from __future__ import annotations

from typing import Any

import pytest

from omni.model.entry import CallStarted, UserSaid
from omni.model.message import Message
from tests.webrtc.caller import Caller
from tests.webrtc.conftest import KEY
from tests.whatsapp_calls.conftest import ADA, House, OpenHouse, desk


async def test_the_bot_takes_the_call_greets_hears_and_answers(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings()
    await house.hears(call, "welcome")
    assert call.actions == ["pre_accept", "accept"]
    assert call.early == 0, "nothing is sent before the call is accepted"
    house.says(call, "order")
    await house.hears(call, "one two three")
    id_ = house.id_of(call)
    finished = await house.logged(id_, "bot.finished", 2)
    house.cloud.calls.hang_up(call)
    ended = await house.ended(id_)
    assert (ended.transport, ended.reason, ended.id[:4]) == ("whatsapp_call", "hangup", "wac-")
    facts = [entry.fact for entry in await house.log(ended.id)]
    [started] = [fact for fact in facts if isinstance(fact, CallStarted)]
    assert (started.from_, started.direction) == (f"+{ADA}", "inbound")
    assert [fact.text for fact in facts if isinstance(fact, UserSaid)] == ["order"]
    assert [fact.text for fact in finished] == ["welcome", "one two three"]


async def test_the_bot_hangs_up(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings()
    await house.hears(call, "welcome")
    house.says(call, "thanks")
    await house.in_state(call, "over")
    assert (call.why, call.actions) == ("business", ["pre_accept", "accept", "terminate"])
    assert (await house.ended(house.id_of(call))).reason == "completed"


async def test_a_telephone_that_is_gone_ends_the_call_and_the_platform_is_told(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings()
    await house.hears(call, "welcome")
    await call.phone.close()
    ended = await house.ended(house.id_of(call))
    assert ended.reason == "hangup"
    await house.in_state(call, "over")
    assert call.why == "business"


async def test_who_writes_and_calls_is_one_person_and_the_call_knows_what_was_written(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.user_says("order", wa_id=ADA)
    await house.cloud.wait_sent(2)
    call = await house.rings()
    await house.hears(call, "welcome")
    id_ = house.id_of(call)
    spoken, written = await house.call(id_), await house.written()
    assert spoken.contact == written.contact
    [started] = await house.logged(id_, "call.started")
    assert "(on WhatsApp)\nYou: welcome\nCustomer: order\nYou: one two three" in started.recap
    # What is written while they speak belongs to the call.
    house.cloud.user_says("two", wa_id=ADA)
    [wrote] = await house.logged(id_, "user.wrote")
    assert (wrote.text, wrote.beside) == ("two", written.id)
    house.says(call, "thanks")
    await house.in_state(call, "over")
    assert len(house.cloud.sent()) == 2, "it was answered in the call alone"
    # And what was said is known where they write next.
    [line] = [fact for fact in await house.logged(id_, "user.message") if isinstance(fact, UserSaid)]
    assert line.text == "thanks"


async def test_an_incoming_call_opens_the_service_window(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings()
    await house.hears(call, "welcome")
    written = await house.written()
    assert written.window_closes_at is not None
    [notice] = [one for one in await house.logged(written.id, "custom") if one.name == "call.connect"]
    assert "session" not in notice.value, "the description of a call that is carried here is nobody else's"


async def test_a_colleague_takes_the_call_over_and_hands_it_back(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings()
    await house.hears(call, "welcome")
    spoken = await house.call(house.id_of(call))
    await house.commands.pause(spoken, "ann")
    await house.logged(spoken.id, "handoff.active")
    await house.commands.send(spoken, "ann", Message.of("eight nine"))
    await house.hears(call, "eight nine")
    house.says(call, "order")
    await house.logged(spoken.id, "user.message")
    await house.commands.resume(spoken, "ann")
    await house.logged(spoken.id, "handoff.released")
    house.says(call, "order")
    await house.hears(call, "one two three")


async def test_a_call_may_be_for_a_person_whose_number_is_hidden(open_house: OpenHouse) -> None:
    house = await open_house()
    body = {"wa_id": ADA, "name": "Ada", "username": "ada.q", "phone_hidden": True}
    async with house.http.post(f"{house.graph}/control/people", json=body) as answer:
        person = await answer.json()
    call = await house.rings()
    await house.hears(call, "welcome")
    [started] = await house.logged(house.id_of(call), "call.started")
    assert started.from_ == person["user_id"]


async def test_a_number_without_calls_lets_it_ring_and_notes_it(open_house: OpenHouse) -> None:
    quiet: dict[str, Any] = {**desk().model_dump(mode="python")["channels"][0], "calls": False}
    house = await open_house(desk(channels=[quiet]), waits=False)
    call = await house.rings()
    written = await house.written()
    [notice] = await house.logged(written.id, "custom")
    assert (notice.name, call.actions) == ("call.connect", [])


async def test_two_calls_at_once_are_two_conversations(open_house: OpenHouse) -> None:
    house = await open_house()
    first, second = await house.rings(), await house.rings()
    await house.hears(first, "welcome")
    await house.hears(second, "welcome")
    one, two = await house.call(house.id_of(first)), await house.call(house.id_of(second))
    assert one.contact == two.contact
    assert one.conversation != two.conversation


@pytest.mark.rabbitmq
@pytest.mark.mongodb
async def test_a_voice_worker_of_its_own_takes_what_a_gateway_is_told(
    rabbitmq_url: str, rabbitmq_prefix: str, mongo_url: str, open_house: OpenHouse
) -> None:
    house: House = await open_house(
        roles=("gateway", "session", "voice", "voice"),
        bus_url=rabbitmq_url,
        bus_prefix=rabbitmq_prefix.rstrip("."),
        store_url=mongo_url,
    )
    call = await house.rings(times=3)
    await house.hears(call, "welcome")
    house.says(call, "order")
    await house.hears(call, "one two three")
    assert call.actions == ["pre_accept", "accept"]
    house.cloud.calls.hang_up(call)
    assert (await house.ended(house.id_of(call))).reason == "hangup"


async def test_pressed_keys_are_heard_beside_the_sound(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings()
    await house.hears(call, "welcome")
    assert "telephone-event/8000" in call.answer
    call.phone.press("42#")
    id_ = house.id_of(call)
    pressed = await house.logged(id_, "call.dtmf_received", 3)
    assert [one.digit for one in pressed] == ["4", "2", "#"]
    house.says(call, "order")
    await house.hears(call, "one two three")


async def test_a_colleague_is_on_the_line_by_browser_and_speaks_when_they_have_the_call(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings()
    await house.hears(call, "welcome")
    headers, listed = {"Authorization": f"Bearer {KEY}"}, f"{house.url}/v1/inbox/conversations"
    async with house.http.get(listed, headers=headers) as answer:
        [row] = [one for one in (await answer.json())["rows"] if one["transport"] == "whatsapp_call"]
    colleague = Caller(house.http, house.url, f"/v1/inbox/conversations/{row['id']}/seat")
    house.stack.push_async_callback(colleague.leave)
    await colleague.dial(headers=headers)
    await colleague.until(lambda: len(colleague.sound) > 0)
    house.says(call, "order")
    await colleague.until(lambda: colleague.words()[-4:] == ["order", "one", "two", "three"])
    async with house.http.post(f"{listed}/{row['id']}/take", json={}, headers=headers) as answer:
        assert answer.status < 300, await answer.text()
    await house.logged(house.id_of(call), "handoff.active")
    colleague.say("eight")
    await house.hears(call, "eight")


async def test_the_bot_writes_to_whom_it_speaks_with(open_house: OpenHouse) -> None:
    rules = [
        {"when": "order", "tool": "send_message", "arguments": {"text": "two"}, "say": "three"},
        {"when": "(?s).*", "say": "five"},
    ]
    house = await open_house(desk(script=rules, tools=[{"name": "send_message", "builtin": "send_message"}]))
    call = await house.rings()
    await house.hears(call, "welcome")
    house.says(call, "order")
    [sent] = await house.cloud.wait_sent(1)
    assert (sent.wa_id, sent.body["text"]) == (ADA, {"body": "two", "preview_url": False})
    await house.hears(call, "three")
