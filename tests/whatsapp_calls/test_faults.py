"""What goes wrong around a WhatsApp call: nobody is harmed by it, and nothing is left behind."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from channels.whatsapp.calling import line
from channels.whatsapp.simulator import FaultRule
from channels.whatsapp.simulator.calls import webhooks
from channels.whatsapp.simulator.calls.calls import CallPlan
from omni.app import voice_services, whatsapp_calls
from omni.model.queues import end_of
from tests.server.shop import until
from tests.whatsapp_calls.conftest import ADA, NUMBER, House, OpenHouse


async def is_well(house: House) -> None:
    """The next call is one like any other."""
    call = await house.rings()
    await house.hears(call, "welcome")
    house.cloud.calls.hang_up(call)
    await house.ended(house.id_of(call))


async def test_a_webhook_that_comes_twice_is_one_call(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.calls.plan = CallPlan(duplicates=3)
    call = await house.rings()
    await house.hears(call, "welcome")
    house.cloud.calls.hang_up(call)
    await house.ended(house.id_of(call))
    house.cloud.calls.tell(call)
    await house.cloud.webhooks.idle()
    assert call.actions.count("accept") == 1
    assert len(await house.calls("whatsapp_call")) == 1
    await is_well(house)


async def test_a_call_whose_end_is_told_before_its_beginning_is_not_taken(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings(posts=False)
    house.cloud.calls.hang_up(call)
    await house.cloud.webhooks.idle()
    house.cloud.calls.tell(call)
    await house.cloud.webhooks.idle()
    await house.cloud.calls.until(lambda: call.actions)
    assert call.actions == ["reject"], "nobody tried to take it"
    assert await house.calls("whatsapp_call") == []
    await is_well(house)


async def test_a_caller_who_hangs_up_while_the_call_is_taken(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.add_fault(FaultRule(kind="slow", on="calls", type="accept", ms=400))
    call = await house.rings()
    await house.in_state(call, "pre_accepted")
    house.cloud.calls.hang_up(call)

    async def is_known() -> bool:
        return bool(await house.engines.store.leases(end_of(house.id_of(call)), now=time.time()))

    await until(is_known)
    await is_well(house)
    assert house.id_of(call) not in [one.id for one in await house.calls("whatsapp_call")]


async def test_an_acceptance_that_the_platform_refuses_ends_the_call(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.add_fault(FaultRule(kind="error", on="calls", type="accept", code=138004))
    call = await house.rings()
    await house.in_state(call, "over")
    assert call.actions == ["pre_accept", "terminate"]
    await is_well(house)


async def test_what_only_saves_time_may_fail(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.add_fault(FaultRule(kind="server_error", on="calls", type="pre_accept"))
    call = await house.rings()
    await house.hears(call, "welcome")
    assert call.actions == ["accept"]


async def test_an_acceptance_that_fails_for_a_moment_is_tried_again(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.add_fault(FaultRule(kind="transient", on="calls", type="accept"))
    call = await house.rings()
    await house.hears(call, "welcome")
    assert call.actions == ["pre_accept", "accept"]


async def test_a_graph_that_hangs_ends_the_call_and_no_other(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.whatsapp.calling.api.SECONDS", 0.5)
    house = await open_house()
    house.cloud.add_fault(FaultRule(kind="accept_then_hang", on="calls", type="accept"))
    call = await house.rings()
    await house.in_state(call, "over")
    assert call.why == "business"
    await is_well(house)


@pytest.mark.parametrize("sdp", ["", "v=0", "nonsense\r\n" * 50, "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"])
async def test_a_call_that_nobody_could_hear_is_rejected(sdp: str, open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings(sdp=sdp)
    await house.in_state(call, "over")
    assert (call.why, call.actions) == ("rejected", ["reject"])
    assert await house.calls("whatsapp_call") == []
    await is_well(house)


async def test_an_offer_without_sound_is_rejected(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings(posts=False)
    house.cloud.calls.tell(call, sdp=call.offer.replace("a=sendrecv", "a=inactive"))
    await house.in_state(call, "over")
    assert call.why == "rejected"


async def test_an_offer_that_looks_well_and_is_not_is_rejected(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings(posts=False)
    house.cloud.calls.tell(call, sdp=call.offer.replace("a=fingerprint:sha-256 ", "a=fingerprint:sha-256 zz"))
    await house.in_state(call, "over")
    await is_well(house)


async def test_the_end_of_a_call_that_nobody_knows(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings(posts=False)
    house.cloud.calls.hang_up(call, times=2)
    await house.cloud.webhooks.idle()
    assert house.cloud.webhooks.counts.statuses == {"200": house.cloud.webhooks.counts.posted}
    await is_well(house)


async def test_a_call_of_an_hour_ago_rings_no_more(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings(posts=False)
    value: Any = webhooks.connect(call, "12025550142", call.offer, time.time() - 3600)
    house.cloud.post_value(
        {"messaging_product": "whatsapp", "metadata": house.cloud.webhooks.metadata(NUMBER), **value}, "calls"
    )
    await house.written()
    await is_well(house)
    assert call.actions == []


async def test_nothing_is_acted_on_that_the_platform_did_not_sign(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings(posts=False)
    value = webhooks.connect(call, "12025550142", call.offer, time.time())
    head = {"messaging_product": "whatsapp", "metadata": house.cloud.webhooks.metadata(NUMBER)}
    body = {"value": {**head, **value}, "field": "calls", "signature": "wrong"}
    async with house.http.post(f"{house.graph}/control/webhooks", json=body) as answer:
        assert answer.status == 202
    await until(lambda: house.cloud.webhooks.counts.statuses.get("403"))
    house.cloud.webhooks.forget()
    await is_well(house)
    assert call.actions == []


async def test_a_call_that_was_taken_and_has_no_sound_is_ended(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "EARLY_SECONDS", 0.1)
    monkeypatch.setattr(line, "CONNECT_SECONDS", 0.3)
    house = await open_house()
    call = await house.rings(posts=False)
    nowhere = "\r\n".join(one for one in call.offer.split("\r\n") if not one.startswith("a=candidate:"))
    house.cloud.calls.tell(call, sdp=nowhere.replace("a=ice-pwd:", "a=ice-pwd:x"))
    await house.in_state(call, "over")
    assert call.actions == ["pre_accept", "accept", "terminate"]
    monkeypatch.undo()


async def test_a_busy_worker_has_the_call_rejected(open_house: OpenHouse) -> None:
    house = await open_house(max_calls=1)
    first = await house.rings()
    await house.hears(first, "welcome")
    second = await house.rings()
    await house.in_state(second, "over")
    assert (second.why, second.actions) == ("rejected", ["reject"])


async def test_a_worker_that_is_drained_takes_no_more_and_keeps_what_it_has(open_house: OpenHouse) -> None:
    house = await open_house()
    first = await house.rings()
    await house.hears(first, "welcome")
    voice = house.servers[0]._voice
    assert voice is not None
    draining = asyncio.create_task(voice.drain())
    await until(lambda: voice._is_ending)
    house.says(first, "order")
    await house.hears(first, "one two three")
    house.cloud.calls.hang_up(first)
    await draining


async def test_without_a_voice_worker_the_caller_is_told_and_the_log_says_why(
    rabbitmq_url: str,
    rabbitmq_prefix: str,
    mongo_url: str,
    open_house: OpenHouse,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(whatsapp_calls, "SECONDS", 0.3)
    house = await open_house(
        roles=("gateway", "session"),
        waits=False,
        bus_url=rabbitmq_url,
        bus_prefix=rabbitmq_prefix.rstrip("."),
        store_url=mongo_url,
    )
    call = await house.rings()
    await house.in_state(call, "over")
    assert call.actions == ["reject"]
    assert "no voice worker runs; start one with omni serve --role voice" in caplog.text


async def test_the_answer_of_whom_we_call_may_be_rubbish(open_house: OpenHouse) -> None:
    house = await open_house()
    house.cloud.calls.plan = CallPlan(answers="ring", early=False)
    house.cloud.calls.permit(NUMBER, ADA)
    wanted = {"agent_id": "desk", "phone_number": f"+{ADA}", "channel_id": f"whatsapp_call:{NUMBER}"}
    status, told = await house.post("/v1/calls", wanted)
    assert status == 201
    [call] = house.cloud.calls.all()
    call.answer = "v=0\r\nnonsense\r\n"
    house.cloud.calls.accept(call)
    assert (await house.ended(told["id"])).reason in ("failed", "busy", "canceled")
    await house.in_state(call, "over")


async def test_a_graph_that_hangs_while_we_call_refuses_the_call(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.whatsapp.calling.api.SECONDS", 0.4)
    house = await open_house()
    house.cloud.calls.permit(NUMBER, ADA)
    house.cloud.add_fault(FaultRule(kind="hang", on="calls"))
    wanted = {"agent_id": "desk", "phone_number": f"+{ADA}", "channel_id": f"whatsapp_call:{NUMBER}"}
    status, told = await house.post("/v1/calls", wanted)
    assert (status, "did not answer in time" in told["error"]["message"]) == (409, True)


async def test_a_server_without_webrtc_says_what_it_needs(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = voice_services.importlib.util.find_spec
    monkeypatch.setattr(
        voice_services.importlib.util, "find_spec", lambda name: None if name == "aiortc" else found(name)
    )
    house = await open_house()
    call = await house.rings()
    await house.in_state(call, "over")
    assert call.actions == ["reject"]
    assert "pip install 'omni-server[webrtc]'" in caplog.text
    wanted = {"agent_id": "desk", "phone_number": f"+{ADA}", "channel_id": f"whatsapp_call:{NUMBER}"}
    status, told = await house.post("/v1/calls", wanted)
    assert (status, "pip install 'omni-server[webrtc]'" in told["error"]["message"]) == (409, True)
