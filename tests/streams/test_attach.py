"""`WS /v1/attach`: a log from a cursor on, and nothing twice or missing however often the reader comes back."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from omni.gateway.streams.sockets import FRAMES_AT_ONCE
from omni.gateway.streams.watching import Pulse
from omni.live.follower import QUEUE
from omni.model.entry import BotFinished, Custom, HumanWhispered, PromptChanged, TurnStarted
from tests.live.line import AGENT, ORG, PATIENCE, begin, started
from tests.streams.tower import Socket, Tower, told

NOTE = TurnStarted(turn=1)


async def attach(tower: Tower, **params: Any) -> Any:
    return tower.socket("/v1/attach", **{"token": tower.token(), **params})


# --- a call -----------------------------------------------------------------------------------------------------------


async def test_who_joins_late_reads_the_log_and_then_what_comes(tower: Tower) -> None:
    line = await tower.line()
    await line.go_on(NOTE)
    async with await attach(tower, call="wa-1") as socket:
        assert told(await socket.until("log.caught_up")) == [
            (1, "call.started"),
            (2, "turn.start"),
            (2, "log.caught_up"),
        ]
        await line.go_on(BotFinished(id="m1"))
        assert told([await socket.next()]) == [(3, "bot.finished")]
        await line.end()
        assert told(await socket.until("call.summary")) == [(4, "call.ended"), (5, "call.summary")]
        assert await socket.closed() == (1000, "")


async def test_an_envelope_has_exactly_seven_keys(tower: Tower) -> None:
    line = await tower.line()
    async with await attach(tower, call="wa-1") as socket:
        first, mark = await socket.until("log.caught_up")
        await line.end()
        ended, _ = await socket.until("call.summary")
    for frame in (first, mark, ended):
        assert list(frame) == ["seq", "ts", "call", "agent", "type", "ephemeral", "data"]
        assert (frame["call"], frame["agent"]) == ("wa-1", AGENT)
    assert first["data"] == {"direction": "inbound", "from": "49170", "to": "100", "channel": "whatsapp"}
    assert (mark["seq"], mark["data"], mark["ephemeral"]) == (1, {"seq": 1}, True)
    assert ended["data"] == {"reason": "idle", "duration": 1.0}


async def test_a_reader_who_comes_back_again_and_again_misses_and_repeats_nothing(tower: Tower) -> None:
    """It is cut off after any number of frames, and goes on from the last entry it has, while the call goes on."""
    line, chance = await tower.line(), random.Random(7)
    seen: list[int] = []

    async def write() -> None:
        for number in range(120):
            await line.go_on(TurnStarted(turn=number), BotFinished(id=f"m{number}"))
            await asyncio.sleep(0)
        await line.end()

    async def read() -> None:
        while True:
            async with await attach(tower, call="wa-1", after=seen[-1] if seen else 0) as socket:
                for _ in range(chance.randint(1, 40)):
                    frame = await socket.next()
                    if frame["type"] != "log.caught_up":
                        seen.append(frame["seq"])
                    if frame["type"] == "call.summary":
                        return

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(write())
        group.create_task(read())
    assert seen == list(range(1, 244))


async def test_a_cursor_at_the_end_gets_the_mark_only(tower: Tower) -> None:
    line = await tower.line()
    await line.go_on(NOTE)
    async with await attach(tower, call="wa-1", after=2) as socket:
        assert told([await socket.next()]) == [(2, "log.caught_up")]
    await line.end()
    async with await attach(tower, call="wa-1", after=4) as socket:
        assert told([await socket.next()]) == [(4, "log.caught_up")]
        assert await socket.closed() == (1000, "")


async def test_what_is_not_for_observers_is_a_hole_in_the_numbers(tower: Tower) -> None:
    line = await tower.line()
    await line.go_on(PromptChanged(prompt="the secret recipe"))
    async with await attach(tower, call="wa-1") as socket:
        assert told(await socket.until("log.caught_up")) == [(1, "call.started"), (1, "log.caught_up")]
        await line.go_on(PromptChanged(prompt="another"))
        await line.go_on(NOTE)
        assert told([await socket.next()]) == [(4, "turn.start")]


async def test_the_person_is_not_told_what_is_whispered_about_them(tower: Tower) -> None:
    line = await tower.line()
    await line.go_on(HumanWhispered(text="careful", by="eva"), NOTE)
    own = tower.token(scope="participate", call="wa-1")
    async with await attach(tower, call="wa-1", token=own) as socket:
        assert told(await socket.until("log.caught_up"))[:-1] == [(1, "call.started"), (3, "turn.start")]
    async with await attach(tower, call="wa-1") as socket:
        assert (2, "supervisor.whispered") in told(await socket.until("log.caught_up"))


async def test_entries_that_are_gone_are_a_gap_with_what_is_known(tower: Tower) -> None:
    line = await tower.line()
    for number in range(5):
        await line.go_on(TurnStarted(turn=number))
    await tower.store._file.write(lambda db: db.execute("DELETE FROM entries WHERE seq BETWEEN 2 AND 4"))
    async with await attach(tower, call="wa-1", after=1) as socket:
        gap, five, six, mark = await socket.until("log.caught_up")
        assert told([gap, five, six, mark]) == [
            (4, "log.gap"), (5, "turn.start"), (6, "turn.start"), (6, "log.caught_up"),
        ]  # fmt: skip
        assert (gap["data"]["from"], gap["data"]["resume_from"], gap["ephemeral"]) == (2, 5, True)
        assert {"phase": "active", "live": True, "handoff": None, "messages": []}.items() <= gap["data"][
            "snapshot"
        ].items()
        await line.go_on(NOTE)
        assert told([await socket.next()]) == [(7, "turn.start")]
    async with await attach(tower, call="wa-1", after=4) as socket:
        assert told([await socket.next()]) == [(5, "turn.start")]


async def test_a_slow_reader_is_let_go_and_the_call_does_not_wait(tower: Tower) -> None:
    line = await tower.line()
    async with await attach(tower, call="wa-1", after=1) as socket:
        await socket.until("log.caught_up")
        connection: Any = socket.ws._response.connection  # type: ignore[union-attr]
        connection.transport.pause_reading()
        for number in range(QUEUE + 80):  # 64 kB each: more than the sockets of both sides hold
            await line.go_on(Custom(name=f"n{number}", id="x" * 64_000))
            await asyncio.sleep(0)
        connection.transport.resume_reading()
        assert await socket.closed() == (1013, "slow_consumer")


@pytest.mark.parametrize("pulse", [Pulse(ping=3600.0, patience=0.2)], indirect=True)
async def test_a_reader_who_takes_nothing_for_long_is_let_go(tower: Tower) -> None:
    line = await tower.line()
    for number in range(200):
        await line.append(Custom(name=f"n{number}", id="x" * 64_000))
    async with await attach(tower, call="wa-1") as socket:
        connection: Any = socket.ws._response.connection  # type: ignore[union-attr]
        connection.transport.pause_reading()
        async with asyncio.timeout(PATIENCE):
            while tower.bus.hears(f"calls:{ORG}/{AGENT}") is False:  # until it follows
                await asyncio.sleep(0.01)
            while tower.bus.hears(f"calls:{ORG}/{AGENT}"):  # until it was let go
                await asyncio.sleep(0.01)
        connection.transport.resume_reading()
        assert await socket.closed() == (1013, "slow_consumer")


@pytest.mark.parametrize("pulse", [Pulse(ping=0.02, patience=20.0)], indirect=True)
async def test_a_quiet_socket_is_pinged(tower: Tower) -> None:
    await tower.line()
    async with await attach(tower, call="wa-1", after=1) as socket:
        async with asyncio.timeout(PATIENCE):
            while json.loads((await socket.ws.receive()).data) != {"type": "ping"}:
                pass


# --- an agent ---------------------------------------------------------------------------------------------------------


async def test_an_agents_log_has_the_beginnings_and_ends_of_its_calls(tower: Tower) -> None:
    one = await tower.line("wa-1", "ct_1")
    async with await attach(tower, agent=AGENT) as socket:
        first, mark = await socket.until("log.caught_up")
        two = await tower.line("wa-2", "ct_2")
        await one.go_on(NOTE)
        await one.end()
        await two.end()
        rest = [await socket.next() for _ in range(3)]
    assert told([first, mark, *rest]) == [
        (1, "call.started"), (1, "log.caught_up"), (2, "call.started"), (3, "call.ended"), (4, "call.ended"),
    ]  # fmt: skip
    assert [frame["data"]["call"] for frame in (first, *rest)] == ["wa-1", "wa-2", "wa-1", "wa-2"]
    assert {frame["call"] for frame in (first, mark, *rest)} == {None}
    assert rest[1]["data"] == {"call": "wa-1", "reason": "idle", "duration": 1.0}


async def test_an_agents_log_goes_on_from_a_cursor(tower: Tower) -> None:
    for number in range(600):  # more than a page
        await begin(tower.bus, tower.store, f"wa-{number}", f"ct_{number}").append(started())
    async with await attach(tower, agent=AGENT, after=4) as socket:
        frames = await socket.until("log.caught_up")
    assert [frame["seq"] for frame in frames] == [*range(5, 601), 600]


async def test_beginnings_that_are_gone_are_a_gap_in_an_agents_log(tower: Tower) -> None:
    for number in range(4):
        await tower.line(f"wa-{number}", f"ct_{number}")
    await tower.store._file.write(lambda db: db.execute("DELETE FROM milestones WHERE number < 3"))
    async with await attach(tower, agent=AGENT) as socket:
        frames = await socket.until("log.caught_up")
    assert told(frames) == [(2, "log.gap"), (3, "call.started"), (4, "call.started"), (4, "log.caught_up")]
    assert frames[0]["data"] == {"from": 1, "resume_from": 3}


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, 4400),
        ({"call": "wa-1", "agent": AGENT}, 4400),
        ({"call": "wa-1", "after": "-1"}, 4400),
        ({"call": "wa-1", "after": "soon"}, 4400),
        ({"call": "wa-1", "after": "9" * 20}, 4400),
        ({"call": "wa-1", "token": ""}, 4401),
        ({"call": "wa-1", "token": "str_forged.token"}, 4401),
        ({"call": "wa-1", "token": "pk_a_key_in_a_url"}, 4401),
        ({"call": "wa-unknown"}, 4404),
        ({"call": "x" * 5000}, 4404),
        ({"agent": "nobody"}, 4403),
    ],
)  # fmt: skip
async def test_a_refusal_is_a_close_code(tower: Tower, params: dict[str, str], code: int) -> None:
    await tower.line()
    async with await attach(tower, **params) as socket:
        found, reason = await socket.closed()
        assert found == code
        assert reason


async def test_who_may_attach_to_what(tower: Tower) -> None:
    """Spec, scope matrix: the organisation first (nothing is said to exist), then the agents, then the one call."""
    await tower.save("other")
    await tower.save(AGENT, org="rival")
    await tower.line("wa-1", "ct_1")
    await tower.line("wa-2", "ct_2")
    await begin(tower.bus, tower.store, "wa-3", "ct_3", agent="other").go_on(started())
    both = tower.token(AGENT, "other")
    rules: list[tuple[str, dict[str, str], int]] = [
        (tower.token(), {"call": "wa-1"}, 0),
        (tower.token(), {"call": "wa-3"}, 4403),
        (tower.token(), {"agent": "other"}, 4403),
        (both, {"call": "wa-3"}, 0),
        (both, {"agent": "other"}, 0),
        (tower.token(call="wa-1"), {"call": "wa-1"}, 0),
        (tower.token(call="wa-1"), {"call": "wa-2"}, 4403),
        (tower.token(call="wa-1"), {"agent": AGENT}, 4403),
        (tower.token(scope="participate"), {"call": "wa-1"}, 4403),
        (tower.token(scope="participate"), {"agent": AGENT}, 4403),
        (tower.token(scope="participate", call="wa-1"), {"call": "wa-1"}, 0),
        (tower.token(scope="participate", call="wa-1"), {"call": "wa-2"}, 4403),
        (tower.token(org="rival"), {"call": "wa-1"}, 4404),
        (tower.token("gone"), {"agent": "gone"}, 4404),
    ]
    for token, params, code in rules:
        async with await attach(tower, token=token, **params) as socket:
            if code:
                assert (await socket.closed())[0] == code, params
            else:
                assert (await socket.until("log.caught_up"))[-1]["type"] == "log.caught_up"


async def test_a_browser_token_opens_no_log_and_is_not_used_up(tower: Tower) -> None:
    await tower.line()
    chat = tower.access.tokens.mint("chat", ORG, (AGENT,))
    async with await attach(tower, call="wa-1", token=chat) as socket:
        assert (await socket.closed())[0] == 4401
    await tower.access.tokens.consume(tower.access.tokens.open(chat, "chat"))


async def test_an_api_key_sees_its_organisation(tower: Tower) -> None:
    await tower.line()
    for org, code in ((ORG, None), ("rival", 4404)):
        headers = {"Authorization": f"Bearer {await tower.key(org)}"}
        async with tower.socket("/v1/attach", headers=headers, call="wa-1") as socket:
            if code is None:
                await socket.until("log.caught_up")
            else:
                assert (await socket.closed())[0] == code
    async with tower.socket("/v1/attach", headers={"Authorization": "Bearer pk_wrong"}, call="wa-1") as socket:
        assert (await socket.closed())[0] == 4401


@pytest.mark.parametrize("pulse", [Pulse(ping=0.02, patience=20.0)], indirect=True)
async def test_a_key_that_is_revoked_sees_nothing_more(tower: Tower) -> None:
    await tower.line()
    headers = {"Authorization": f"Bearer {await tower.key()}"}
    async with tower.socket("/v1/attach", headers=headers, call="wa-1") as socket:
        await socket.until("log.caught_up")
        [key] = await tower.access.keys.of(ORG)
        await tower.access.keys.revoke(ORG, key.id)
        assert (await socket.closed())[0] == 4401


async def test_readers_are_sent_away_when_the_server_stops(tower: Tower) -> None:
    await tower.line()
    sockets: list[Socket] = []
    async with await attach(tower, call="wa-1") as one, await attach(tower, agent=AGENT) as other:
        for socket in (one, other):
            await socket.until("log.caught_up")
            sockets.append(socket)
        await tower.keeper.drain()
        for socket in sockets:
            assert (await socket.closed())[0] == 1001


async def test_what_a_watcher_says_that_means_nothing_is_passed_over(tower: Tower) -> None:
    line = await tower.line()
    async with await attach(tower, call="wa-1") as socket:
        await socket.until("log.caught_up")
        for said in ("{", "[]", "17", '"verb"', "null", '{"type":"pong"}', "[" * 50_000):
            await socket.ws.send_str(said)
        await socket.ws.send_bytes(b"\x00")
        await line.go_on(NOTE)
        assert told([await socket.next()]) == [(2, "turn.start")]


async def test_a_frame_that_is_too_long_closes_its_socket_only(tower: Tower) -> None:
    line = await tower.line()
    async with await attach(tower, call="wa-1") as shouting, await attach(tower, call="wa-1") as quiet:
        for socket in (shouting, quiet):
            await socket.until("log.caught_up")
        await shouting.ws.send_str("x" * 70_000)
        assert (await shouting.closed())[0] == 1009
        await line.go_on(NOTE)
        assert told([await quiet.next()]) == [(2, "turn.start")]


@pytest.mark.parametrize("pulse", [Pulse(ping=3600.0, patience=20.0, flood=0.2)], indirect=True)
async def test_who_floods_is_read_slower_then_closed_and_others_are_not(tower: Tower) -> None:
    line = await tower.line()
    async with await attach(tower, call="wa-1") as flooding, await attach(tower, call="wa-1") as quiet:
        for socket in (flooding, quiet):
            await socket.until("log.caught_up")
        for _ in range(500):
            await flooding.say(verb="dance")
        frames = [await flooding.next() for _ in range(FRAMES_AT_ONCE)]
        assert {frame["type"] for frame in frames} == {"error"}
        await line.go_on(NOTE)
        assert told([await quiet.next()]) == [(2, "turn.start")]
        assert (await flooding.closed())[0] == 1008
