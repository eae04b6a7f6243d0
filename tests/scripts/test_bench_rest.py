"""What the section "rest" shows was answered, was answered rightly, and was as deep as it says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

import pytest
from aiohttp import web
from benchmark.rest import PAGE, check_page, deep_places
from benchmark.rest_load import LOOK_EVERY, Load, Question
from benchmark.rest_town import began_at, number_at, stored_calls
from benchmark.server import BenchError
from benchmark.wire import Client

CALLS = 10_000
Answer = Callable[[int], web.Response]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[int]:
    """A server's port; `answer` is told how many requests came before."""
    numbers = count()

    async def handle(_: web.Request) -> web.Response:
        return answer(next(numbers))

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def loaded(answer: Answer, *, most: int, look: Callable[[int, Any], None] = lambda _, __: None) -> Load:
    request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with answering(answer) as port, Client(port, 4) as client:
        load = Load(client, Question("GET", lambda _: request, 200, look), count(), most, 30.0)
        await load.run(4)
    return load


async def test_a_load_asks_as_often_as_it_was_told_and_takes_the_time_of_each() -> None:
    load = await loaded(lambda _: web.json_response({}), most=37)
    assert len(load.took) == 37
    assert min(load.took) > 0


async def test_one_refusal_among_many_answers_is_no_figure() -> None:
    def answer(number: int) -> web.Response:
        return web.Response(status=429 if number == 20 else 200, text="{}")

    with pytest.raises(BenchError, match="answered 429"):
        await loaded(answer, most=100)


async def test_a_wrong_answer_is_no_figure() -> None:
    def look(number: int, answer: Any) -> None:
        if answer["number"] > LOOK_EVERY:
            raise BenchError(f"the answer to {number} is wrong")

    with pytest.raises(BenchError, match="is wrong"):
        await loaded(lambda number: web.json_response({"number": number}), most=10 * LOOK_EVERY, look=look)


async def test_a_server_that_went_away_is_no_figure() -> None:
    stack = AsyncExitStack()
    question = Question("GET", lambda _: b"GET / HTTP/1.1\r\n\r\n", 200, lambda _, __: None)
    async with answering(lambda _: web.json_response({})) as port:
        client = await stack.enter_async_context(Client(port, 4))
    async with stack:
        with pytest.raises(BenchError, match="answered 0"):
            await Load(client, question, count(), 100, 30.0).run(4)


def page(first: int, size: int = PAGE, *, has_more: bool = True) -> dict[str, Any]:
    numbers = range(first, first - size, -1)
    return {"data": [{"started_at": began_at(number)} for number in numbers], "has_more": has_more}


def test_stored_calls_tell_by_their_beginning_which_they_are() -> None:
    calls = [call for call, _, _ in stored_calls(300)]
    assert [number_at(call.started_at) for call in calls] == list(range(300))
    assert len({call.id for call in calls}) == 300
    assert not any(call.is_open for call in calls)


def test_calls_of_a_conversation_follow_each_other_and_the_last_is_the_newest() -> None:
    places: dict[str, list[tuple[int, bool]]] = {}
    for call, nth, is_newest in stored_calls(230):
        places.setdefault(call.conversation, []).append((nth, is_newest))
    for of_one in places.values():
        assert [nth for nth, _ in of_one] == list(range(1, len(of_one) + 1))
        assert [is_newest for _, is_newest in of_one] == [False] * (len(of_one) - 1) + [True]


def test_deep_pages_are_whole_and_behind_nine_tenths_of_all_calls() -> None:
    for calls in (2_000, 1_000_000):
        places = deep_places(calls)
        assert len(set(places)) > 1
        assert max(places) <= calls // 10
        assert min(places) > PAGE  # something comes after the page


def test_a_deep_page_holds_the_calls_right_behind_its_place() -> None:
    check_page(page(899), CALLS, behind=900)
    for wrong in (page(CALLS - 1), page(898), page(899, 99), page(899, has_more=False)):
        with pytest.raises(BenchError):
            check_page(wrong, CALLS, behind=900)


def test_a_first_page_begins_with_the_newest_call() -> None:
    check_page(page(CALLS - 1), CALLS)
    check_page(page(CALLS + 50), CALLS)  # calls of the run itself are newer than all that was stored
    for wrong in (page(899), page(CALLS - 1, 99), page(CALLS - 1, 0)):
        with pytest.raises(BenchError):
            check_page(wrong, CALLS)
