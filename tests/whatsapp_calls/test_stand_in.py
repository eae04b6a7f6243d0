"""The stand-in's calls over its control API, as somebody without a test drives it."""

from __future__ import annotations

import io
import wave

from tests.webrtc.speech import heard, spoken
from tests.whatsapp_calls.conftest import ADA, RATE, OpenHouse


def wav(pcm: bytes, rate: int = RATE) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(pcm)
    return out.getvalue()


async def test_a_call_is_made_spoken_in_heard_and_ended(open_house: OpenHouse) -> None:
    house = await open_house()
    calls = f"{house.graph}/control/calls"
    async with house.http.post(calls, json={"from": ADA}) as answer:
        assert answer.status == 201
        made = await answer.json()
    [call] = house.cloud.calls.all()
    await house.hears(call, "welcome")
    one = f"{calls}/{made['id']}"
    async with house.http.post(f"{one}/sound", data=wav(spoken("order", RATE))) as answer:
        assert answer.status == 202
    await house.hears(call, "one two three")
    async with house.http.get(f"{one}/sound") as answer:
        with wave.open(io.BytesIO(await answer.read())) as sound:
            assert "three" in heard(sound.readframes(sound.getnframes()), sound.getframerate())
    async with house.http.get(calls) as answer:
        [shown] = (await answer.json())["calls"]
    assert (shown["state"], shown["actions"]) == ("accepted", ["pre_accept", "accept"])
    async with house.http.post(one, json={"action": "hang_up"}) as answer:
        assert (await answer.json())["state"] == "over"
    assert (await house.ended(house.id_of(call))).reason == "hangup"


async def test_a_wrong_request_is_answered_with_a_sentence(open_house: OpenHouse) -> None:
    house = await open_house()
    call = await house.rings(posts=False)
    calls = f"{house.graph}/control/calls"
    for path, body, status in (
        (calls, b'{"from": "nobody"}', 400),
        (f"{calls}/wacid.none", b'{"action": "hang_up"}', 404),
        (f"{calls}/{call.id}", b'{"action": "dance"}', 400),
        (f"{calls}/{call.id}/sound", wav(spoken("order", 8000), 8000), 400),
    ):
        async with house.http.post(path, data=body) as answer:
            assert (answer.status, "error" in await answer.json()) == (status, True), path
    async with house.http.put(f"{house.graph}/control/call-plan", json={"answers": "decline"}) as answer:
        assert (await answer.json())["answers"] == "decline"
    house.cloud.reset()
    assert house.cloud.calls.all() == []
