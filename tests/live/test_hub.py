"""What following calls promises: in order, nothing twice, nothing missing, whatever happens to the broadcasts."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from omni.bus.base import Bus
from omni.bus.sqlite import SqliteBus
from omni.live.follower import QUEUE
from omni.live.hub import Hub, SlowFollowerError
from omni.live.teller import Teller
from omni.live.told import Answered, Words, calls_topic
from omni.model.entry import CallSummary, Custom, Entry
from omni.model.inbound import Ask
from omni.sqlite import SqliteFile
from omni.store.base import Store
from omni.store.sqlite import SqliteStore
from tests.live.line import AGENT, ORG, OpenHub, OpenLine, begin, following, seqs, started


async def all_of(hub: Hub, call: str, after: int = 0) -> list[int]:
    """Every entry of a call from a cursor on, to its end."""
    found: list[int] = []
    async with asyncio.timeout(20), hub.follow_call(call, after=after) as news:
        async for told in news:
            found += [entry.seq for entry in told.entries]
    return found


# --- a call -----------------------------------------------------------------------------------------------------------


async def test_a_call_is_read_from_its_log_then_marked_then_followed(hub: Hub, open_line: OpenLine) -> None:
    line = await open_line()
    await line.go_on()
    async with hub.follow_call("wa-1") as news:
        assert [entry.seq for entry in (await following(news)).entries] == [1, 2]
        mark = await following(news)
        assert (mark.entries, mark.signals, mark.call, mark.person) == ((), (), "wa-1", "49170")
        await line.go_on()
        assert [entry.seq for entry in (await following(news)).entries] == [3]


async def test_a_call_followed_from_a_cursor_begins_behind_it(hub: Hub, open_line: OpenLine) -> None:
    line = await open_line()
    for _ in range(4):
        await line.go_on()
    await line.end()
    assert await all_of(hub, "wa-1", after=3) == [4, 5, 6, 7]
    assert await all_of(hub, "wa-1", after=6) == [7]
    assert await all_of(hub, "wa-1", after=7) == []


async def test_a_call_ends_with_its_summary(hub: Hub, open_line: OpenLine) -> None:
    line = await open_line()
    async with asyncio.timeout(20), hub.follow_call("wa-1", after=1) as news:
        assert not (await anext(news)).entries
        await line.end()
        assert isinstance((await anext(news)).entries[-1].fact, CallSummary)
        with pytest.raises(StopAsyncIteration):
            await anext(news)


async def test_a_cursor_beyond_the_log_is_its_end(hub: Hub, open_line: OpenLine) -> None:
    line = await open_line()
    async with hub.follow_call("wa-1", after=1_000) as news:
        assert not (await following(news)).entries
        await line.go_on()
        await line.end()
        assert await seqs(news, 4) == [2, 3, 4]
        with pytest.raises(StopAsyncIteration):
            await following(news)
    async with hub.follow_call("wa-1", after=1_000) as news:
        assert not (await following(news)).entries
        with pytest.raises(StopAsyncIteration):
            await following(news)


async def test_nobody_follows_a_call_that_does_not_exist(hub: Hub) -> None:
    with pytest.raises(KeyError):
        async with hub.follow_call("wa-unknown"):
            pass


async def test_what_is_told_while_the_log_is_read_comes_once(hub: Hub, open_line: OpenLine) -> None:
    line = await open_line()
    for _ in range(700):  # more than a page
        await line.append(Custom(name="note"))
    async with hub.follow_call("wa-1") as news:
        first = await following(news)
        for _ in range(300):  # more than a mailbox holds
            await line.go_on()
        rest = await seqs(news, 1001)
    assert [entry.seq for entry in first.entries] + rest == list(range(1, 1002))


class HeldStore(SqliteStore):
    """Keeps what it has read of a log until the test lets go of it."""

    def __init__(self, file: SqliteFile) -> None:
        super().__init__(file)
        self.has_read = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def entries(self, call_id: str, *, after: int = 0, limit: int = 500) -> list[Entry]:
        found = await super().entries(call_id, after=after, limit=limit)
        if limit > 1:
            self.has_read.set()
            await self.may_go_on.wait()
        return found


async def test_what_is_told_in_the_moment_the_log_was_read_comes_before_the_mark(
    bus: Bus, store: Store, tmp_path: Path, open_line: OpenLine
) -> None:
    line = await open_line()
    held = HeldStore(SqliteFile(tmp_path / "store.db"))
    await held.open()
    hub = Hub(bus, held, "desk_held", compare_every=3600)
    await hub.start()
    async with hub.follow_call("wa-1") as news, hub.follow_agent(ORG, AGENT) as prompt:
        first = asyncio.ensure_future(following(news))
        await held.has_read.wait()
        await line.go_on()
        assert [entry.seq for entry in (await following(prompt)).entries] == [2]  # so everybody has heard it
        held.may_go_on.set()
        assert [entry.seq for entry in (await first).entries] == [1]
        assert [entry.seq for entry in (await following(news)).entries] == [2]
        assert not (await following(news)).entries
    await hub.stop()
    await held.close()


async def test_a_broadcast_that_was_lost_is_read_from_the_log(hub: Hub, open_line: OpenLine) -> None:
    line = await open_line()
    async with hub.follow_call("wa-1", after=1) as news:
        await following(news)
        await line.append(Custom(name="untold"), Custom(name="untold"))
        await line.go_on()
        assert await seqs(news, 4) == [2, 3, 4]


async def test_broadcasts_that_come_twice_or_late_are_passed_over(hub: Hub, open_line: OpenLine) -> None:
    line = await open_line()
    async with hub.follow_call("wa-1", after=1) as news:
        await following(news)
        two, three, four = [await line.append(Custom(name="note")) for _ in range(3)]
        for told in (four, two, three, three, four):
            await line.tell(told)
        await line.go_on()
        assert await seqs(news, 5) == [2, 3, 4, 5]


async def test_signals_come_between_the_entries_they_were_told_between(hub: Hub, open_line: OpenLine) -> None:
    line = await open_line()
    async with hub.follow_call("wa-1", after=1) as news:
        await following(news)
        await line.tell(line.news((), Words(id="m", turn=1, text="He")))
        await line.go_on()
        await line.tell(line.news((), Words(id="m", turn=1, text="llo")))
        heard = [await following(news) for _ in range(3)]
    assert [[signal.kind for signal in told.signals] for told in heard] == [["words"], [], ["words"]]
    assert [entry.seq for entry in heard[1].entries] == [2]


async def test_the_last_broadcast_of_a_call_may_be_the_one_that_was_lost(
    open_hub: OpenHub, open_line: OpenLine
) -> None:
    hub = await open_hub(compare_every=0.05)
    line = await open_line()
    async with hub.follow_call("wa-1", after=1) as news:
        await following(news)
        await line.append(Custom(name="untold"))
        assert await seqs(news, 2) == [2]
        await line.append(*line.ending)
        assert await seqs(news, 4) == [3, 4]
        with pytest.raises(StopAsyncIteration):
            await following(news)


async def test_waiting_for_news_may_be_given_up_and_tried_again(hub: Hub, open_line: OpenLine) -> None:
    line = await open_line()
    async with hub.follow_call("wa-1") as news:
        told: list[int] = []
        for turns in range(60):  # given up at every point of reading the log, of filling a gap, and of waiting
            if turns == 20:
                await line.append(Custom(name="untold"))
                await line.go_on()
            if turns == 40:
                await line.go_on()
            waiting = asyncio.ensure_future(anext(news))
            for _ in range(turns % 20):
                await asyncio.sleep(0)
            waiting.cancel()
            try:
                told += [entry.seq for entry in (await waiting).entries]
            except asyncio.CancelledError:
                continue
        await line.go_on()
        if told[-1:] != [5]:
            told += await seqs(news, 5)
    assert told == [1, 2, 3, 4, 5]


# --- an agent, a conversation -----------------------------------------------------------------------------------------


async def test_an_agent_is_followed_from_now_on(hub: Hub, bus: Bus, store: Store, open_line: OpenLine) -> None:
    old = await open_line("wa-1", "ct_1")
    async with hub.follow_agent(ORG, AGENT) as news:
        await old.go_on()
        new = await open_line("wa-2", "ct_2")
        await new.go_on()
        heard = [await following(news) for _ in range(3)]
    assert [(told.call, told.entries[0].seq) for told in heard] == [("wa-1", 2), ("wa-2", 1), ("wa-2", 2)]


async def test_a_follower_of_an_agent_misses_nothing_of_a_call_it_heard_of(hub: Hub, open_line: OpenLine) -> None:
    line = await open_line()
    async with hub.follow_agent(ORG, AGENT) as news:
        await line.go_on()
        await line.append(Custom(name="untold"))
        await line.go_on()
        assert await seqs(news, 4) == [2, 3, 4]


async def test_what_an_agents_calls_last_told_may_get_lost(open_hub: OpenHub, open_line: OpenLine) -> None:
    hub = await open_hub(compare_every=0.05)
    line = await open_line()
    async with hub.follow_agent(ORG, AGENT) as news:
        await line.go_on()
        await line.append(*line.ending)
        assert await seqs(news, 4) == [2, 3, 4]


async def test_other_agents_and_organisations_are_not_heard(hub: Hub, bus: Bus, store: Store) -> None:
    async with hub.follow_agent(ORG, AGENT) as news:
        for number, more in enumerate(({"agent": "other"}, {"org": "rival"}, {})):
            line = begin(bus, store, f"wa-{number}", f"ct_{number}", **more)
            await line.go_on(started())
        assert (await following(news)).call == "wa-2"


async def test_a_conversation_goes_on_in_its_next_call(hub: Hub, open_line: OpenLine) -> None:
    first = await open_line("wa-1", "ct_1")
    async with hub.follow_conversation(ORG, AGENT, first.call.conversation) as news:
        await (await open_line("wa-9", "ct_9")).go_on()
        await first.end()
        second = await open_line("wa-2", "ct_1")
        await second.go_on()
        heard = [await following(news) for _ in range(3)]
    assert [(told.call, [entry.seq for entry in told.entries]) for told in heard] == [
        ("wa-1", [2, 3]),
        ("wa-2", [1]),
        ("wa-2", [2]),
    ]


async def test_a_conversations_lost_broadcasts_are_made_up_for(
    open_hub: OpenHub, bus: Bus, store: Store, open_line: OpenLine
) -> None:
    hub = await open_hub(compare_every=0.05)
    first = await open_line("wa-1", "ct_1")
    async with hub.follow_conversation(ORG, AGENT, first.call.conversation) as news:
        await first.append(Custom(name="untold"))
        assert await seqs(news, 2) == [2]
        await first.append(*first.ending)
        second = begin(bus, store, "wa-2", "ct_1")
        await second.append(started(), Custom(name="untold"))
        assert await seqs(news, 2, "wa-2") == [1, 2]


async def test_a_conversation_that_nobody_began_is_followed(hub: Hub, open_line: OpenLine) -> None:
    async with hub.follow_conversation(ORG, AGENT, f"{ORG}/{AGENT}/whatsapp:100/ct_1") as news:
        await open_line("wa-1", "ct_1")
        assert await seqs(news, 1) == [1]


# --- many -------------------------------------------------------------------------------------------------------------


async def test_ten_thousand_followers_of_one_agent_hear_of_their_own_call_only(hub: Hub, open_line: OpenLine) -> None:
    """Each of them waits, and telling one wakes nobody else."""
    woken: list[int] = []

    async def follow(number: int, has_begun: asyncio.Semaphore) -> None:
        async with hub.follow_conversation(ORG, AGENT, f"{ORG}/{AGENT}/whatsapp:100/ct_{number}") as news:
            has_begun.release()
            async for _ in news:
                woken.append(number)

    has_begun = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(follow(number, has_begun)) for number in range(10_000)]
        for _ in tasks:
            await has_begun.acquire()
        async with hub.follow_agent(ORG, AGENT) as news:
            for number in (17, 4_711, 17):
                line = await open_line(f"wa-{number}-{len(woken)}", f"ct_{number}")
                await line.end()
                assert await seqs(news, 3, line.call.id) == [1, 2, 3]
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
    assert woken == [17, 17, 4_711, 4_711, 17, 17]


async def test_who_falls_behind_is_dropped_and_others_are_not(hub: Hub, open_line: OpenLine) -> None:
    line = await open_line()
    async with hub.follow_call("wa-1", after=1) as slow, hub.follow_agent(ORG, AGENT) as prompt:
        await following(slow)
        for seq in range(2, QUEUE + 4):
            await line.go_on()
            assert await seqs(prompt, seq) == [seq]
        with pytest.raises(SlowFollowerError):
            await following(slow)
        with pytest.raises(SlowFollowerError):
            await following(slow)
    async with hub.follow_call("wa-1", after=1) as again:
        assert await seqs(again, QUEUE + 3) == list(range(2, QUEUE + 4))


async def test_a_topic_is_listened_to_once_and_left_with_its_last_follower(
    hub: Hub, bus: Bus, open_line: OpenLine
) -> None:
    line = await open_line()
    topic = calls_topic(ORG, AGENT)

    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(hub.follow_agent(ORG, AGENT))
            await stack.enter_async_context(hub.follow_call("wa-1"))
        assert len([task for task in asyncio.all_tasks() if topic in task.get_name()]) == 1
    assert not [task for task in asyncio.all_tasks() if topic in task.get_name()]
    if isinstance(bus, SqliteBus):
        assert not bus.hears(topic)
    async with hub.follow_call("wa-1", after=1) as news:
        await following(news)
        await line.go_on()
        assert await seqs(news, 2) == [2]


async def test_following_begun_and_given_up_at_any_moment_leaves_nothing_behind(hub: Hub, open_line: OpenLine) -> None:
    line = await open_line()

    async def follow() -> None:
        async with hub.follow_call("wa-1") as news:
            async for _ in news:
                pass

    for turns in range(40):
        task = asyncio.ensure_future(follow())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert not [task for task in asyncio.all_tasks() if calls_topic(ORG, AGENT) in task.get_name()]
    await line.end()
    assert await all_of(hub, "wa-1") == [1, 2, 3]


async def test_news_end_when_the_hub_stops(open_hub: OpenHub, open_line: OpenLine) -> None:
    hub = await open_hub("desk_2")
    await open_line()
    async with hub.follow_call("wa-1", after=1) as one, hub.follow_agent(ORG, AGENT) as other:
        await following(one)
        await hub.stop()
        for news in (one, other):
            with pytest.raises(StopAsyncIteration):
                await following(news)


async def test_what_nobody_can_read_is_passed_over(hub: Hub, bus: Bus, open_line: OpenLine) -> None:
    line = await open_line()
    async with hub.follow_agent(ORG, AGENT) as news:
        for body in (b"{", b"[]", b"{}", b'{"call": "x", "conversation": "y", "entries": 3}', b"\xff", b"17"):
            await bus.broadcast(calls_topic(ORG, AGENT), body)
        await line.go_on()
        assert await seqs(news, 2) == [2]


# --- asking -----------------------------------------------------------------------------------------------------------


async def test_the_outcome_of_an_input_reaches_who_asked_for_it(hub: Hub, bus: Bus) -> None:
    asked: list[Ask] = []

    async def send(ask: Ask) -> None:
        asked.append(ask)
        if len(asked) == 2:  # answered in another order than asked
            for each in reversed(asked):
                await Teller(bus).answer(each.desk, Answered(id=each.id, data={"for": each.id}))

    one, two = await asyncio.gather(hub.ask(send, 20), hub.ask(send, 20))
    assert [one.data, two.data] == [{"for": asked[0].id}, {"for": asked[1].id}]
    assert (one.id, one.error) == (asked[0].id, None)


async def test_an_outcome_that_comes_before_the_input_is_sent_counts(hub: Hub, bus: Bus) -> None:
    async def send(ask: Ask) -> None:
        await Teller(bus).answer(ask.desk, Answered(id=ask.id, error="call_not_found"))
        async with hub.follow_agent(ORG, AGENT):
            await asyncio.sleep(0)

    assert (await hub.ask(send, 20)).error == "call_not_found"


async def test_an_outcome_that_does_not_come_is_a_timeout(hub: Hub, bus: Bus) -> None:
    asked: list[Ask] = []

    async def send(ask: Ask) -> None:
        asked.append(ask)

    with pytest.raises(TimeoutError):
        await hub.ask(send, 0.01)
    await Teller(bus).answer("desk_1", Answered(id=asked[0].id))  # too late: nobody minds
    await bus.broadcast("desk:desk_1", b"nonsense")

    async def answered(ask: Ask) -> None:
        await Teller(bus).answer(ask.desk, Answered(id=ask.id))

    assert (await hub.ask(answered, 20)).data == {}


async def test_each_process_hears_its_own_outcomes(open_hub: OpenHub, bus: Bus) -> None:
    one, two = await open_hub("desk_1"), await open_hub("desk_2")

    async def send(ask: Ask) -> None:
        await Teller(bus).answer("desk_1", Answered(id=ask.id, error=f"for {ask.desk}"))

    assert (await one.ask(send, 20)).error == "for desk_1"
    with pytest.raises(TimeoutError):
        await two.ask(send, 0.05)


async def test_half_a_character_keeps_nobody_from_hearing(hub: Hub, bus: Bus, open_line: OpenLine) -> None:
    line = await open_line()
    async with hub.follow_agent(ORG, AGENT) as news:
        await line.go_on(Custom(name="note", value="half \ud83d of \U0001f600"))
        assert (await following(news)).entries[0].fact == Custom(name="note", value="half \ufffd of \U0001f600")

    async def send(ask: Ask) -> None:
        await Teller(bus).answer(ask.desk, Answered(id=ask.id, data={"text": "\ud83d"}))

    assert (await hub.ask(send, 20)).data == {"text": "\ufffd"}
