"""`GET /v1/calls/{id}/events` and `GET /v1/agents/{slug}/calls`: pages and server-sent events behind one cursor."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from omni.gateway.streams.watching import Pulse
from omni.model.entry import BotFinished, PromptChanged, TurnStarted
from tests.live.line import AGENT, PATIENCE, begin, started
from tests.streams.tower import Event, Tower, told

CALL = "/v1/calls/wa-1/events"
CALLS = f"/v1/agents/{AGENT}/calls"
EVENTS = "text/event-stream"
NOTE = TurnStarted(turn=1)


async def read(tower: Tower, path: str = CALL, **params: Any) -> Any:
    answer = await tower.get(path, token=tower.token(), **params)
    assert answer.status == 200, answer.text
    return answer.body


def ids(events: list[Event]) -> list[tuple[int, str]]:
    return [(event.id, event.name) for event in events]


# --- pages ------------------------------------------------------------------------------------------------------------


async def test_a_call_is_read_page_by_page(tower: Tower) -> None:
    line = await tower.line()
    await line.go_on(PromptChanged(prompt="secret"), NOTE, BotFinished(id="m"))
    first = await read(tower, limit=2)
    assert told(first["entries"]) == [(1, "call.started")]
    assert (first["next"], first["live"]) == (2, True)  # the last that was looked at, not the last that is shown
    second = await read(tower, limit=2, after=2)
    assert told(second["entries"]) == [(3, "turn.start"), (4, "bot.finished")]
    assert await read(tower, limit=2, after=second["next"]) == {"entries": [], "live": True}
    await line.end()
    assert told((await read(tower, after=4))["entries"]) == [(5, "call.ended"), (6, "call.summary")]
    assert (await read(tower))["live"] is False
    assert (await read(tower, after=6)) == {"entries": [], "live": False}


async def test_a_page_reads_as_the_live_log_did(tower: Tower) -> None:
    line = await tower.line()
    async with tower.socket("/v1/attach", token=tower.token(), call="wa-1") as socket:
        frames = await socket.until("log.caught_up")
        await line.go_on(NOTE, BotFinished(id="m"))
        await line.end()
        frames += await socket.until("call.summary")
    assert (await read(tower))["entries"] == [frame for frame in frames if frame["type"] != "log.caught_up"]


async def test_an_agents_log_is_read_page_by_page(tower: Tower) -> None:
    for number in range(3):
        await (await tower.line(f"wa-{number}", f"ct_{number}")).end()
    first = await read(tower, CALLS, limit=4)
    assert [(frame["seq"], frame["type"], frame["data"]["call"]) for frame in first["entries"]] == [
        (1, "call.started", "wa-0"), (2, "call.ended", "wa-0"), (3, "call.started", "wa-1"), (4, "call.ended", "wa-1"),
    ]  # fmt: skip
    assert (first["next"], first["live"]) == (4, True)
    second = await read(tower, CALLS, after=4, limit=4)
    assert [frame["seq"] for frame in second["entries"]] == [5, 6]
    assert "next" not in second


async def test_only_some_types_are_read(tower: Tower) -> None:
    line = await tower.line()
    await line.go_on(NOTE, BotFinished(id="m"))
    await line.end()
    assert told((await read(tower, types="bot.finished, nothing.known"))["entries"]) == [
        (3, "bot.finished"), (4, "call.ended"), (5, "call.summary"),
    ]  # fmt: skip
    assert len((await read(tower, durable="1"))["entries"]) == 5
    assert len((await read(tower, types=""))["entries"]) == 5


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"after": "-1"}, "after"),
        ({"after": "1e3"}, "after"),
        ({"after": "9" * 17}, "after"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"types": "a,,b"}, "types"),
        ({"types": "Call.Ended"}, "types"),
        ({"types": "x" * 65}, "types"),
        ({"types": ",".join(f"t{n}" for n in range(33))}, "types"),
    ],
)
async def test_a_wrong_parameter_is_named(tower: Tower, params: dict[str, str], names: str) -> None:
    await tower.line()
    for path in (CALL, CALLS):
        answer = await tower.get(path, token=tower.token(), **params)
        assert answer.status == 400
        assert answer.body["detail"].startswith(names)
        assert answer.body["error"] == answer.body["detail"]


async def test_who_may_read_what(tower: Tower) -> None:
    await tower.save("other")
    await tower.line()
    other = tower.token("other")
    rival = tower.token(org="rival")
    for path, params, status in (
        (CALL, {}, 401),
        (CALL, {"token": "str_forged"}, 401),
        (CALL, {"token": "cht_of.a.page"}, 401),
        (CALL, {"token": await tower.key()}, 401),  # a key stands in no URL
        (CALL, {"token": other}, 403),
        (CALL, {"token": rival}, 404),
        (CALLS, {"token": other}, 403),
        (CALLS, {"token": tower.token(call="wa-1")}, 403),
        ("/v1/calls/wa-unknown/events", {"token": tower.token()}, 404),
        ("/v1/agents/nobody/calls", {"token": tower.token("nobody")}, 404),
    ):
        for accept in (None, EVENTS):
            answer = await tower.get(path, accept=accept, **params)
            assert (answer.status, bool(answer.body["detail"])) == (status, True), (path, params)
            assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_an_api_key_reads_its_organisations_calls(tower: Tower) -> None:
    await tower.line()
    for org, path, status in (
        ("default", CALL, 200),
        ("default", CALLS, 200),
        ("default", "/v1/agents/Desk/calls", 200),  # as people write it
        ("default", "/v1/agents/nobody/calls", 404),
        ("rival", CALL, 404),
        ("rival", CALLS, 404),
    ):
        headers = {"Authorization": f"Bearer {await tower.key(org)}"}
        assert (await tower.get(path, headers=headers)).status == status, (org, path)
        # the header wins over the query
        assert (await tower.get(path, headers=headers, token=tower.token())).status == status


async def test_pages_of_other_origins_may_read(tower: Tower) -> None:
    for path in (CALL, CALLS):
        async with tower.http.options(tower.url + path) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert "Last-Event-ID" in answer.headers["Access-Control-Allow-Headers"]


# --- server-sent events -----------------------------------------------------------------------------------------------


async def test_a_call_is_streamed_to_its_end(tower: Tower) -> None:
    line = await tower.line()
    await line.go_on(NOTE)
    async with tower.events(CALL, token=tower.token()) as events:
        assert events.answer.headers["Content-Type"] == EVENTS
        assert events.answer.headers["Cache-Control"] == "no-cache"
        assert events.answer.headers["X-Accel-Buffering"] == "no"
        assert events.answer.headers["Access-Control-Allow-Origin"] == "*"
        first = await events.until("log.caught_up")
        assert ids(first) == [(1, "call.started"), (2, "turn.start"), (2, "log.caught_up")]
        assert events.retry == 1000
        assert all(event.data["seq"] == event.id and event.data["type"] == event.name for event in first)
        await line.end()
        assert ids(await events.until("call.summary")) == [(3, "call.ended"), (4, "call.summary")]
        assert await events.next() is None


async def test_a_browser_that_comes_back_goes_on_where_it_was(tower: Tower) -> None:
    line = await tower.line()
    await line.go_on(NOTE, NOTE, NOTE)
    for after, last in ((0, 3), (3, None), (1, 3), (3, 1)):
        async with tower.events(CALL, token=tower.token(), after=after, last=last) as events:
            assert ids(await events.until("log.caught_up")) == [(4, "turn.start"), (4, "log.caught_up")]


async def test_there_is_nothing_to_come_back_to_at_a_sealed_end(tower: Tower) -> None:
    line = await tower.line()
    await line.end()
    for more in ({"after": 3}, {"after": 99}, {"headers": {"Last-Event-ID": "3"}}):
        answer = await tower.get(CALL, accept=EVENTS, token=tower.token(), **more)
        assert (answer.status, answer.text) == (204, "")
    async with tower.events(CALL, token=tower.token(), after=2) as events:
        assert ids(await events.until("call.summary")) == [(3, "call.summary")]


async def test_a_last_event_id_that_is_none_is_passed_over(tower: Tower) -> None:
    line = await tower.line()
    await line.end()
    answer = await tower.get(CALL, accept=EVENTS, token=tower.token(), headers={"Last-Event-ID": "soon"})
    assert answer.status == 200
    assert "id: 3\nevent: call.summary\n" in answer.text


async def test_only_some_types_are_streamed(tower: Tower) -> None:
    line = await tower.line()
    async with tower.events(CALL, token=tower.token(), types="bot.finished") as events:
        assert ids([(await events.next())]) == [(1, "log.caught_up")]  # type: ignore[list-item]
        await line.go_on(NOTE, BotFinished(id="m"))
        await line.end()
        assert ids(await events.until("call.summary")) == [
            (3, "bot.finished"), (4, "call.ended"), (5, "call.summary"),
        ]  # fmt: skip


async def test_an_agents_log_is_streamed_on_and_on(tower: Tower) -> None:
    await tower.line("wa-1", "ct_1")
    async with tower.events(CALLS, token=tower.token(), last=0) as events:
        assert ids(await events.until("log.caught_up")) == [(1, "call.started"), (1, "log.caught_up")]
        two = await tower.line("wa-2", "ct_2")
        await two.end()
        assert ids(await events.until("call.ended")) == [(2, "call.started"), (3, "call.ended")]


async def test_a_beginning_that_nobody_told_of_is_seen_with_the_next(tower: Tower) -> None:
    async with tower.events(CALLS, token=tower.token()) as events:
        await events.until("log.caught_up")
        await begin(tower.bus, tower.store, "wa-1", "ct_1").append(started())
        await tower.line("wa-2", "ct_2")
        assert ids([e for e in [await events.next(), await events.next()] if e]) == [
            (1, "call.started"), (2, "call.started"),
        ]  # fmt: skip


@pytest.mark.parametrize("pulse", [Pulse(ping=0.02, patience=20.0)], indirect=True)
async def test_a_quiet_stream_is_pinged(tower: Tower) -> None:
    line = await tower.line()
    async with tower.events(CALL, token=tower.token()) as events:
        await events.until("log.caught_up")
        reading = asyncio.ensure_future(events.until("turn.start"))
        async with asyncio.timeout(PATIENCE):
            while "ping" not in events.comments:
                await asyncio.sleep(0.01)
        await line.go_on(NOTE)
        assert ids(await reading) == [(2, "turn.start")]


async def test_streams_end_when_the_server_stops_and_go_on_elsewhere(tower: Tower) -> None:
    await tower.line()
    async with tower.events(CALL, token=tower.token()) as call, tower.events(CALLS, token=tower.token()) as agent:
        for events in (call, agent):
            await events.until("log.caught_up")
        await tower.keeper.drain()
        assert [await call.next(), await agent.next()] == [None, None]


@pytest.mark.parametrize("pulse", [Pulse(ping=3600.0, patience=0.2)], indirect=True)
async def test_a_reader_who_takes_nothing_is_cut_off(tower: Tower) -> None:
    line = await tower.line()
    for number in range(200):
        await line.append(BotFinished(id=f"{number}" + "x" * 64_000))
    async with tower.events(CALL, token=tower.token()) as events:
        connection: Any = events.answer.connection
        connection.transport.pause_reading()
        async with asyncio.timeout(PATIENCE):
            while tower.bus.hears("calls:default/desk"):
                await asyncio.sleep(0.01)
        connection.transport.resume_reading()
        with pytest.raises(aiohttp.ClientError):
            await events.until("call.summary")
