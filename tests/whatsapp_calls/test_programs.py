"""A program that owns an agent: a WhatsApp call is a phone call to it, and it places some itself."""

from __future__ import annotations

from tests.client.program import Program
from tests.webrtc.conftest import KEY
from tests.whatsapp_calls.conftest import ADA, NUMBER, House, OpenHouse


async def program_of(house: House) -> Program:
    program = await Program.connect(house.http, house.url, KEY)
    house.stack.push_async_callback(program.close)
    await program.create("desk")
    return program


async def test_a_call_comes_in_as_one_by_phone_and_what_was_typed_is_heard(open_house: OpenHouse) -> None:
    house = await open_house()
    program = await program_of(house)
    call = await house.rings()
    started = await program.expect("call.started", call_id=house.id_of(call))
    assert (started["transport"], started["from"], started["direction"]) == ("phone", f"+{ADA}", "inbound")
    call.phone.press("7")
    assert (await program.expect("call.dtmf_received"))["digit"] == "7"
    await program.send({"event": "call.hangup", "call_id": house.id_of(call)})
    await house.in_state(call, "over")
    assert call.why == "business"
    await program.expect("call.ended", call_id=house.id_of(call))


async def test_it_calls_somebody_by_the_id_of_its_number(open_house: OpenHouse) -> None:
    house = await open_house()
    program = await program_of(house)
    dial = {"event": "call.dial", "agent_id": "desk", "to": f"+{ADA}", "from": NUMBER, "greeting": "eight nine"}
    await program.send(dial)
    refused = await program.expect("call.ended")
    assert "has not allowed calls" in str(refused)
    house.cloud.calls.permit(NUMBER, ADA)
    await program.send(dial)
    started = await program.expect("call.started")
    assert (started["direction"], started["to"]) == ("outbound", f"+{ADA}")
    [call] = house.cloud.calls.all()
    await house.hears(call, "eight nine")
