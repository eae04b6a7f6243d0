"""A colleague on the line of a call: they hear both, take it over with their own voice, and hand it back."""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

import aiohttp

from channels.twilio.simulator import Step
from omni.audio.pcm import separate
from omni.model.entry import CallRecorded, UserSaid
from tests.server.shop import until
from tests.voice.speech.office import agent_of, opened, played, wav
from tests.webrtc.caller import Caller
from tests.webrtc.conftest import KEY, House, OpenHouse, desk
from tests.webrtc.speech import heard, spoken, tones

AUTH = {"Authorization": f"Bearer {KEY}"}
RECORDED = {"media": {"recording": True}}
RATE = 8_000
"""Of telephones."""


async def conversation_of(house: House, call: str) -> str:
    async def listed() -> str | None:
        async with house.http.get(f"{house.url}/v1/inbox/conversations", headers=AUTH) as answer:
            rows = (await answer.json())["rows"]
        return next((row["id"] for row in rows if row["call"] == call), None)

    found: str = await until(listed)
    return found


async def does(house: House, conversation: str, act: str, body: Any = None) -> None:
    path = f"{house.url}/v1/inbox/conversations/{conversation}/{act}"
    async with house.http.post(path, json=body or {}, headers=AUTH) as answer:
        assert answer.status < 300, await answer.text()


async def joined(house: House, conversation: str) -> Caller:
    colleague = Caller(house.http, house.url, f"/v1/inbox/conversations/{conversation}/seat")
    house.stack.push_async_callback(colleague.leave)
    await colleague.dial(headers=AUTH)
    await colleague.until(lambda: len(colleague.sound) > 0)
    return colleague


def once(words: list[str]) -> list[str]:
    """A word that broke off on a busy machine counts once."""
    return [word for word, _ in groupby(words)]


async def test_a_colleague_listens_takes_over_by_voice_and_hands_back(open_house: OpenHouse) -> None:
    house = await open_house(desk(audio=RECORDED))
    caller = house.caller()
    await caller.dial(token=await house.token())
    await caller.hears("bot.finished", "welcome")
    conversation = await conversation_of(house, caller.call)
    colleague = await joined(house, conversation)

    caller.say("order")
    await colleague.until(lambda: colleague.words()[-4:] == ["order", "one", "two", "three"])
    colleague.say("nine")
    await colleague.until(lambda: not colleague.microphone.is_saying)
    assert "nine" not in caller.words()

    await does(house, conversation, "take")
    await caller.hears("session.paused")
    colleague.say("eight")
    await caller.until(lambda: "eight" in caller.words())
    caller.say("six")
    await colleague.until(lambda: "six" in colleague.words())
    await caller.hears("user.message", "six")
    answered = len(caller.told("bot.speaking"))

    await does(house, conversation, "release")
    await caller.hears("session.resumed")
    colleague.say("seven")
    caller.say("two")
    await caller.hears("bot.finished", "five")
    assert "seven" not in caller.words()
    assert len(caller.told("bot.speaking")) == answered + 1

    caller.send({"action": "hang_up"})
    await house.ended(caller.call)
    log = await house.log(caller.call)
    assert [e.fact.paused for e in log if isinstance(e.fact, UserSaid)] == [False, True, False]
    [recorded] = [e.fact for e in log if isinstance(e.fact, CallRecorded)]
    wav = b"".join([piece async for piece in house.engines.blobs.read(recorded.blob)])
    left, right = separate(wav[44:])
    assert once(heard(left, recorded.sample_rate)) == ["order", "six", "two"]
    assert once(heard(right, recorded.sample_rate)) == ["welcome", "one", "two", "three", "eight", "five"]
    await until(lambda: colleague.peer.connectionState == "closed")


async def test_nobody_sits_in_on_a_call_that_is_over_or_of_others(open_house: OpenHouse) -> None:
    house = await open_house()
    caller = house.caller()
    await caller.dial(token=await house.token())
    await caller.hears("call.started")
    conversation = await conversation_of(house, caller.call)
    path = f"{house.url}/v1/inbox/conversations/{conversation}/seat"
    async with house.http.post(path, json={"sdp": "v=0"}) as answer:
        assert answer.status == 401
    async with house.http.post(path, json={"sdp": "v=0"}, headers=AUTH) as answer:
        assert (answer.status, "must have sound" in await answer.text()) == (409, True)
    caller.send({"action": "hang_up"})
    await house.ended(caller.call)
    async with house.http.post(path, json={"sdp": "v=0"}, headers=AUTH) as answer:
        assert answer.status == 409


async def test_a_telephone_call_is_taken_over_by_browser_and_both_hear_each_other(tmp_path: Path) -> None:
    agent = agent_of(audio=RECORDED, greeting="welcome", script=[{"when": "(?s).*", "say": "one two three"}])
    async with (
        opened(tmp_path, agent, speech=tones(), api_key=KEY) as office,
        aiohttp.ClientSession() as http,
        AsyncExitStack() as stack,
    ):
        house = House(office.server, office.engines, http, stack)
        words = Step(wav=wav(spoken("order", RATE)), after_silence=0.4)
        phone = office.calls([words])
        call = await office.call(phone)
        await office.logged(phone, "bot.finished")
        conversation = await conversation_of(house, call.id)
        colleague = await joined(house, conversation)
        await colleague.until(lambda: colleague.words()[-3:] == ["one", "two", "three"])
        await does(house, conversation, "take")
        await office.logged(phone, "handoff.active")
        colleague.say("eight")
        await until(lambda: "eight" in heard(played(phone), RATE))
        phone.caller.say(wav(spoken("six", RATE)))
        await colleague.until(lambda: "six" in colleague.words())
        await does(house, conversation, "hang-up")
        await office.over(phone)
        left, right = await office.recorded(phone)
        assert once(heard(left, RATE)) == ["order", "six"]
        assert once(heard(right, RATE)) == ["welcome", "one", "two", "three", "eight"]
        await colleague.leave()
