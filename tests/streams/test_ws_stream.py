"""`WS /ws/stream`: one call's envelopes, or an agent's log with what its calls tell beside it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from omni.gateway.streams.reading import agent_log
from omni.live.speech import BotWord, Hearing, SpeechStarted
from omni.model.entry import BotFinished, BotInterrupted, PromptChanged, ToolAnswered, TurnStarted
from tests.live.line import AGENT, ORG, PATIENCE, Line, begin, started
from tests.streams.tower import Tower, told


def stream(tower: Tower, **params: Any) -> Any:
    return tower.socket("/ws/stream", **{"token": tower.token(), **params})


async def test_a_session_is_sent_as_its_log(tower: Tower) -> None:
    line = await tower.line()
    async with stream(tower, agent=AGENT, session="wa-1") as socket:
        assert told(await socket.until("log.caught_up")) == [(1, "call.started"), (1, "log.caught_up")]
        await line.end()
        assert told(await socket.until("call.summary")) == [(2, "call.ended"), (3, "call.summary")]
        assert await socket.closed() == (1000, "")
    async with stream(tower, agent=AGENT, session="wa-1", after=2) as socket:
        assert told(await socket.until("call.summary")) == [(3, "call.summary")]


async def test_an_agent_is_followed_from_now_on(tower: Tower) -> None:
    await tower.line("wa-1", "ct_1")
    async with stream(tower, agent=AGENT) as socket:
        assert await socket.next() == {"event": "connected", "agent": AGENT}
        assert told([await socket.next()]) == [(1, "log.caught_up")]
        line = await tower.line("wa-2", "ct_2")
        assert told([await socket.next()]) == [(2, "call.started")]
        answer = ToolAnswered(id="t1", name="look", result=1, ms=3, error=True)
        await line.go_on(TurnStarted(turn=1), PromptChanged(prompt="secret"), BotFinished(id="m1"), answer)
        live = [await socket.next() for _ in range(3)]
        await line.end()
        rest = [await socket.next(), await socket.next()]
    about = {"callId": "wa-2", "agent": AGENT}
    assert live == [
        {"event": "turn.start", **about, "ts": 1002.0, "turn": 1, "role": "bot"},
        {"event": "bot.finished", **about, "ts": 1004.0, "messageId": "m1"},
        {
            "event": "tool.result",
            **about,
            "ts": 1005.0,
            "id": "t1",
            "name": "look",
            "result": 1,
            "ms": 3,
            "error": True,
        },
    ]
    assert told(rest[:1]) == [(3, "call.ended")]
    assert (rest[1]["event"], "seq" in rest[1]) == ("call.summary", False)  # one cursor, of the agent's log


async def test_what_a_call_tells_comes_once_and_after_its_beginning(tower: Tower) -> None:
    """Also when so many calls began meanwhile that they are read in pages."""
    async with stream(tower, agent=AGENT) as socket:
        await socket.until("log.caught_up")
        for number in range(1_100):
            await begin(tower.bus, tower.store, f"wa-{number}", f"ct_{number}").append(started())
        line = begin(tower.bus, tower.store, "wa-last", "ct_last")
        await line.go_on(started(), TurnStarted(turn=7))
        frames = await socket.until("turn.start")
        await line.go_on(BotFinished(id="m1"))
        assert (await socket.next())["event"] == "bot.finished"
    assert [frame["seq"] for frame in frames[:-1]] == list(range(1, 1_102))
    assert frames[-2]["data"]["call"] == frames[-1]["callId"] == "wa-last"


async def test_an_agents_log_goes_on_where_the_reader_was(tower: Tower) -> None:
    for number in range(3):
        await tower.line(f"wa-{number}", f"ct_{number}")
    async with stream(tower, agent=AGENT, after=1) as socket:
        _, *frames = await socket.until("log.caught_up")
    assert told(frames) == [(2, "call.started"), (3, "call.started"), (3, "log.caught_up")]


async def test_a_ping_is_answered(tower: Tower) -> None:
    await tower.line()
    for params in ({"agent": AGENT}, {"agent": AGENT, "session": "wa-1"}):
        async with stream(tower, **params) as socket:
            await socket.until("log.caught_up")
            await socket.say(action="ping")
            assert await socket.next() == {"event": "pong"}


async def test_the_agent_of_a_token_for_one_need_not_be_named(tower: Tower) -> None:
    async with stream(tower) as socket:
        assert await socket.next() == {"event": "connected", "agent": AGENT}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"agent": "other"}, 4403),
        ({"session": "wa-unknown"}, 4404),
        ({"agent": AGENT, "after": "x"}, 4400),
        ({"agent": AGENT, "token": "wrt_of.a.page"}, 4401),
    ],
)
async def test_a_refusal_is_a_close_code(tower: Tower, params: dict[str, str], code: int) -> None:
    async with stream(tower, **params) as socket:
        assert (await socket.closed())[0] == code


async def test_a_token_for_several_agents_has_to_name_one(tower: Tower) -> None:
    async with stream(tower, token=tower.token(AGENT, "other")) as socket:
        assert (await socket.closed())[0] == 4400


async def test_verbs_are_not_for_this_socket(tower: Tower) -> None:
    await tower.line()
    async with stream(tower, session="wa-1", token=tower.token(scope="supervise")) as socket:
        await socket.until("log.caught_up")
        await socket.say(verb="end")
        await socket.say(action="ping")
        assert await socket.next() == {"event": "pong"}
    assert (await tower.bus.depth("commands.0")).ready + (await tower.bus.depth("commands.1")).ready == 0


SPEECH = (
    SpeechStarted(turn=1, confidence=0.8, at=5.0),
    Hearing(turn=1, message="u1", text="hel", confidence=0.5),
    BotWord(message="m1", word="Hi", index=0, start=0.0, end=0.2),
)


async def spoken_call(tower: Tower) -> Line:
    line = begin(tower.bus, tower.store, "CA7", "ct_1", channel="phone:+34911222333", transport="phone")
    await line.go_on(started())
    return line


def passing(call: str = "CA7") -> list[dict[str, Any]]:
    about = {"agent": AGENT, "callId": call}
    return [
        {"event": "speech.started", **about, "turnId": 1, "confidence": 0.8, "timestamp": 5.0},
        {"event": "user.speaking", **about, "turnId": 1, "messageId": "u1", "text": "hel", "confidence": 0.5},
        {
            "event": "bot.word", **about, "messageId": "m1", "word": "Hi", "wordIndex": 0, "startTime": 0.0,
            "endTime": 0.2,
        },
    ]  # fmt: skip


@pytest.mark.parametrize("params", [{}, {"session": "CA7"}], ids=["agent", "session"])
async def test_speech_is_shown_as_it_happens(tower: Tower, params: dict[str, str]) -> None:
    line = await spoken_call(tower)
    async with stream(tower, agent=AGENT, **params) as socket:
        await socket.until("log.caught_up")
        await line.tell(line.news((), *SPEECH))
        assert [await socket.next() for _ in SPEECH] == passing()
        await line.go_on(BotInterrupted(id="m1", at_word=1))
        cut = await socket.next()
    name = "type" if params else "event"
    assert cut[name] == "bot.interrupted"


async def test_speech_is_in_no_log(tower: Tower) -> None:
    line = await spoken_call(tower)
    async with tower.socket("/v1/attach", token=tower.token(), call="CA7") as socket:
        await socket.until("log.caught_up")
        await line.tell(line.news((), *SPEECH))
        await line.end()
        assert [frame["type"] for frame in await socket.until("call.summary")] == ["call.ended", "call.summary"]


async def test_an_agents_log_is_read_again_however_much_is_spoken(tower: Tower) -> None:
    """What was told of a call's beginning may have been lost."""
    line = await spoken_call(tower)
    async with tower.hub.follow_agent(ORG, AGENT) as news:
        frames = agent_log(tower.store, ORG, AGENT, news, 0, with_live=True, look_every=0.05)
        async with aclosing(frames):
            first = await anext(frames)
            assert [frame.get("type") for frame in first] == ["call.started", "log.caught_up"]
            await begin(tower.bus, tower.store, "CA8", "ct_2").append(started())  # nobody is told
            seen: list[Any] = []
            async with asyncio.timeout(PATIENCE):
                while "call.started" not in seen:
                    await line.tell(line.news((), SPEECH[0]))
                    seen += [frame.get("type") for frame in await anext(frames)]
