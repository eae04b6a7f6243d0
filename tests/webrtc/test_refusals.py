"""Whoever may not call is told why, and nothing is left of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from channels.webrtc import door, line
from tests.server.shop import until
from tests.webrtc.conftest import KEY, House, OpenHouse, desk


async def posted(house: House, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    async with house.http.post(f"{house.url}/webrtc/offer", json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def offer_of(house: House) -> str:
    caller = house.caller()
    await caller.peer.setLocalDescription(await caller.peer.createOffer())
    return str(caller.peer.localDescription.sdp)


def without_sound(sdp: str) -> str:
    return sdp.replace("m=audio", "m=video")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without_sound, "must have sound"),
        (lambda sdp: sdp.replace("a=sendrecv", "a=recvonly"), "sends no sound"),
        (lambda sdp: sdp.replace("opus/48000/2", "speex/16000"), "no Opus"),
        (lambda sdp: "hello", "no session description"),
        (lambda sdp: "v=0\r\n", "must have sound"),
        (lambda sdp: sdp.replace("a=fingerprint", "a=finger"), "no fingerprint"),
        (lambda sdp: sdp + "x" * 60_000, "characters"),
        (lambda sdp: sdp.replace("a=setup:actpass", "a=setup:nonsense"), "cannot be answered"),
    ],
)
async def test_an_offer_that_is_no_good_is_a_400_with_a_sentence(open_house: OpenHouse, change: Any, says: str) -> None:
    house = await open_house()
    sdp = change(await offer_of(house))
    status, told = await posted(house, {"sdp": sdp, "type": "offer", "agent": "desk"}, **house.own_page)
    assert status == 400
    assert says in told["detail"]


@pytest.mark.parametrize("body", [[], "x", {"type": "offer"}, {"sdp": 1}, {"sdp": "v=0", "type": "answer"}])
async def test_a_body_that_is_no_offer_is_a_400(open_house: OpenHouse, body: Any) -> None:
    house = await open_house()
    status, told = await posted(house, body)
    assert (status, isinstance(told["detail"], str)) == (400, True)


async def test_an_offer_that_is_too_large_is_a_413(open_house: OpenHouse) -> None:
    house = await open_house()
    status, _ = await posted(house, {"sdp": "v=0" + "x" * 200_000})
    assert status == 413


async def test_a_forged_foreign_or_used_token_is_refused(open_house: OpenHouse) -> None:
    house = await open_house()
    sdp = await offer_of(house)
    token = await house.token()
    assert (await posted(house, {"sdp": sdp, "token": token[:-2] + "xx"}))[0] == 401
    async with house.http.get(
        f"{house.url}/chat/token", params={"agent_id": "desk"}, headers={"Authorization": f"Bearer {KEY}"}
    ) as answer:
        chat = (await answer.json())["token"]
    status, told = await posted(house, {"sdp": sdp, "token": chat})
    assert (status, "chat token" in told["detail"]) == (401, True)
    assert (await posted(house, {"sdp": sdp}))[0] == 401
    await house.caller().dial(token=token)
    status, told = await posted(house, {"sdp": sdp, "token": token})
    assert (status, "used before" in told["detail"]) == (401, True)


async def test_a_bad_offer_does_not_use_its_token_up(open_house: OpenHouse) -> None:
    house = await open_house()
    token = await house.token()
    assert (await posted(house, {"sdp": "no", "token": token}))[0] == 400
    await house.caller().dial(token=token)


async def test_a_foreign_page_may_not_call_and_an_allowed_one_may(open_house: OpenHouse) -> None:
    house = await open_house()
    sdp = await offer_of(house)
    body = {"sdp": sdp, "agent": "desk"}
    assert (await posted(house, body, Origin="https://evil.example"))[0] == 403
    assert (await posted(house, body))[0] == 403
    assert (await posted(house, {**body, "agent": "nobody"}, **house.own_page))[0] == 404
    await house.caller().dial(agent="desk", headers={"Origin": "https://shop.example"})


async def test_a_flood_of_offers_meets_a_429_with_a_time(open_house: OpenHouse) -> None:
    house = await open_house()
    body = {"sdp": "no", "agent": "desk"}
    answers = [await posted(house, body, **house.own_page) for _ in range(12)]
    assert [status for status, _ in answers] == [400] * 10 + [429] * 2
    async with house.http.post(f"{house.url}/webrtc/offer", json=body, headers=house.own_page) as answer:
        assert int(answer.headers["Retry-After"]) > 0


async def test_callers_who_never_connect_are_capped_and_given_up(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "MOST_UNCONNECTED", 2)
    monkeypatch.setattr(line, "CONNECT_SECONDS", 0.5)
    house = await open_house()
    answers = [await (await house.caller().offer(token=await house.token())).json() for _ in range(3)]
    assert ["sdp" in one for one in answers] == [True, True, False]
    assert answers[2]["code"] == "busy"

    async def can_call() -> bool:
        return (await house.caller().offer(token=await house.token())).status == 200

    await until(can_call)
    assert await house.engines.store.call(answers[0]["call_id"]) is None


async def test_a_full_server_and_one_without_voice_say_so(open_house: OpenHouse) -> None:
    house = await open_house(max_calls=0)
    status, told = await posted(house, {"sdp": await offer_of(house), "agent": "desk"}, **house.own_page)
    assert (status, told["code"]) == (503, "busy")


async def test_a_server_without_voice_says_so_at_once(open_house: OpenHouse) -> None:
    house = await open_house(desk(channels=[{"kind": "chat"}]))
    body = {"sdp": await offer_of(house), "agent": "desk"}
    status, told = await posted(house, body, Origin="https://shop.example")
    assert (status, told["code"]) == (503, "nobody")
    assert "no voice worker" in told["detail"]
    async with house.http.get(f"{house.url}/call/desk") as answer:
        assert answer.status == 404


async def test_every_page_may_read_refusals_and_servers(open_house: OpenHouse) -> None:
    house = await open_house(ice_servers="stun:stun.example.com:3478, turn:turn.example.com:3478?transport=udp")
    async with house.http.options(f"{house.url}/webrtc/offer", headers={"Origin": "https://evil.example"}) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    async with house.http.get(f"{house.url}/webrtc/ice-servers") as answer:
        servers = (await answer.json())["iceServers"]
    assert servers == [
        {"urls": ["stun:stun.example.com:3478"]},
        {"urls": ["turn:turn.example.com:3478?transport=udp"]},
    ]


async def test_the_page_runs_nothing_of_anybody_elses(open_house: OpenHouse) -> None:
    house = await open_house(desk(name='<b>"Desk"</b>'))
    async with house.http.get(f"{house.url}/call/desk") as answer:
        text, policy = await answer.text(), answer.headers["Content-Security-Policy"]
    assert "<b>" not in text
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy


async def test_two_offers_with_one_token_make_one_call(open_house: OpenHouse) -> None:
    house = await open_house()
    token, sdps = await house.token(), [await offer_of(house) for _ in range(2)]
    answers = await asyncio.gather(*(posted(house, {"sdp": sdp, "token": token}) for sdp in sdps))
    assert sorted(status for status, _ in answers) == [200, 401]


async def test_no_secret_and_no_offer_is_in_a_refusal(open_house: OpenHouse) -> None:
    house = await open_house(ice_servers="turn:turn.example.com", turn_secret="the-turn-secret-of-this-test")
    async with house.http.get(f"{house.url}/webrtc/ice-servers") as answer:
        text = await answer.text()
    assert "the-turn-secret" not in text
    assert '"credential"' in text
