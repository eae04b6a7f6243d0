"""A call whose model works while a program is connected: it prepares turns, runs tools, and pages see words come."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from omni.bus.base import Outgoing
from omni.bus.sqlite import SqliteBus
from omni.live.told import Answered, Preparing, PreparingExpired, Signal, Told, Words
from omni.model.agent import Agent
from omni.model.behaviour import LlmSettings, Overrides, Tool
from omni.model.call import Call
from omni.model.contact import Identity, IdentityKind, Sender
from omni.model.entry import BotSaid, Entry, ToolAnswered, ToolCalled, TurnEnded, TurnStarted
from omni.model.ids import new_call_id, new_id
from omni.model.inbound import Ask, Configure, EditHistory, ToolResult, ToolResults, TurnReady, UserMessage, pack
from omni.model.message import Message
from omni.model.queues import commands_for, every_queue, inbound_for
from omni.outgoing.http import OutgoingHttp
from omni.sqlite import SqliteFile
from omni.store.base import CallFilter
from omni.store.sqlite import SqliteStore
from sessions.book import Book
from sessions.brains.choose import Brains
from sessions.brains.endpoint import LlmDefaults
from sessions.commands import Commands
from sessions.preparing import Barrier
from sessions.prompt import render
from sessions.rules.program import OFFER_EVERY
from sessions.tools import ToolRunner
from sessions.world import World
from workers.session import SessionWorker

VISITOR = Sender(identities=(Identity(kind=IdentityKind.VISITOR, value="v1"),), routing="chat:default:v1")
LOOK = Tool(name="look", description="Look something up.")


async def until(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := condition()):
            await asyncio.sleep(0.001)
        return found


class Room:
    """One agent with a model, a worker, and what is told of its calls. `since` is when its program connected."""

    def __init__(self, path: Path, model: str) -> None:
        self.file = SqliteFile(path, sync="normal")
        self.store = SqliteStore(self.file)
        self.bus = SqliteBus(self.file)
        self.model = model
        self.since: float | None = 1.0
        self.told: list[Told] = []
        self.answers: list[Answered] = []
        self._keys = itertools.count()

    async def open(self, **agent: Any) -> None:
        await self.store.open()
        await self.bus.open()
        await self.bus.declare(every_queue(1))
        settings = LlmSettings(model="m", retries=0)
        await self.store.save_agent(
            Agent.model_validate({"slug": "desk", "brain": "llm", "llm": settings, "debounce_ms": 0, **agent})
        )
        self.book = Book(self.store, self.bus)
        await self.book.refresh()
        self.commands = Commands(self.store, self.bus, 1)
        self.brains = Brains(LlmDefaults(base_url=self.model, api_key=None, model="m"))
        self.http = OutgoingHttp()
        self.tools = ToolRunner(self.http)
        world = World(
            store=self.store,
            bus=self.bus,
            agents=self.book,
            brains=self.brains.brain_for,
            run_tool=self.tools.run,
            partitions=1,
            clock=time.time,
            new_id=new_id,
            new_call_id=new_call_id,
            render=render,
            tell=self._tell,
            answer=self._answer,
            program_since=lambda org, slug: self.since,
        )
        self.worker = SessionWorker(world, sweep=60)
        await self.worker.start()

    async def close(self) -> None:
        await self.worker.stop(0.2)
        await self.brains.close()
        await self.http.close()
        await self.bus.close()
        await self.store.close()

    async def _tell(self, told: Told) -> None:
        self.told.append(told)

    async def _answer(self, desk: str, answered: Answered) -> None:
        self.answers.append(answered)

    async def say(self, text: str) -> None:
        number = next(self._keys)
        heard = UserMessage(
            key=f"chat:{number}",
            agent="desk",
            channel="chat",
            at=time.time(),
            sender=VISITOR,
            provider_id=f"p{number}",
            sent_at=time.time(),
            message=Message.of(text),
        )
        await self.bus.publish([Outgoing(inbound_for(VISITOR.routing, 1).name, pack((heard,)), heard.key)])

    async def call(self) -> Call:
        found = await self.store.calls(CallFilter(org="default"))
        assert len(found) == 1
        return found[0]

    def entries(self, *types: type) -> list[Any]:
        return [e.fact for told in self.told for e in told.entries if isinstance(e.fact, types)]

    def signals(self, *types: type) -> list[Any]:
        return [signal for told in self.told for signal in told.signals if isinstance(signal, types)]

    def log(self) -> list[Entry]:
        return [entry for told in self.told for entry in told.entries]


@pytest.fixture
async def room(tmp_path: Path, llm: Any) -> AsyncIterator[Room]:
    room = Room(tmp_path / "room.db", llm.base_url)
    yield room
    await room.close()


async def test_what_is_told_is_the_whole_log_in_order(room: Room) -> None:
    await room.open()
    for text in ("one", "two"):
        ended = len(room.entries(TurnEnded))
        await room.say(text)
        await until(lambda ended=ended: len(room.entries(TurnEnded)) > ended)
    stored = await room.store.entries((await room.call()).id)
    assert room.log() == stored


async def test_words_are_told_under_the_id_they_are_logged_with(room: Room, llm: Any, reply: Any) -> None:
    llm.will(reply.says("Hel", "lo ", "there"))
    await room.open()
    await room.say("hi")
    await until(lambda: room.entries(BotSaid))
    words = room.signals(Words)
    assert words
    assert {word.id for word in words} == {room.entries(BotSaid)[0].id}
    assert "Hello there".startswith("".join(word.text for word in words))


async def test_words_of_an_answer_that_broke_off_are_void(room: Room, llm: Any, reply: Any) -> None:
    llm.will(reply.says("Hal", finish=None, then="cut"), reply.says("Hello"))
    await room.open(llm=LlmSettings(model="m", retries=1))
    await room.say("hi")
    await until(lambda: room.entries(BotSaid))
    words = room.signals(Words)
    assert [word.void for word in words][:2] == [False, True]
    assert words[0].id == words[1].id
    assert room.entries(BotSaid)[0].text == "Hello"


async def test_a_program_prepares_the_turn_before_the_model_reads(room: Room, llm: Any) -> None:
    await room.open(prompt="You serve {{ tier }} customers.", preparing_ms=5_000)
    await room.say("hi")
    opened, preparing = await until(lambda: len(room.signals(Preparing)) == 2 and room.signals(Preparing))
    assert (opened.turn, opened.budget_ms) == (0, 0)
    assert (preparing.turn, preparing.budget_ms) == (1, 5_000)
    call = await room.call()
    ask = Ask(desk="d", id="r1")
    await room.commands.issue(EditHistory(**room.commands.head(call), act="vars", vars={"tier": "gold"}, ask=ask))
    await room.commands.issue(TurnReady(**room.commands.head(call), turn=1))
    await until(lambda: room.entries(TurnEnded))
    assert llm.requests[0]["messages"][0]["content"] == "You serve gold customers."
    assert [answered.id for answered in room.answers] == ["r1"]


async def test_a_program_that_does_not_prepare_costs_its_budget_and_no_more(room: Room, llm: Any) -> None:
    await room.open(preparing_ms=20)
    await room.say("hi")
    await until(lambda: room.entries(TurnEnded))
    assert [expired.turn for expired in room.signals(PreparingExpired)] == [1]
    assert len(llm.requests) == 1


async def test_nobody_is_asked_to_prepare_when_no_program_is_connected(room: Room) -> None:
    room.since = None
    await room.open(preparing_ms=5_000)
    await room.say("hi")
    await until(lambda: room.entries(TurnEnded))
    assert not room.signals(Preparing)


async def results(room: Room, *values: tuple[str, JsonValue], **flags: Any) -> None:
    """Bring results as the program would, under the round that the log names."""
    called = await until(lambda: len(room.entries(ToolCalled)) >= len(values) and room.entries(ToolCalled))
    call = await room.call()
    for (id_, value), tool in zip(values, called, strict=True):
        assert tool.round is not None
        await room.commands.issue(
            ToolResults(
                **room.commands.head(call), round=tool.round, results=(ToolResult(id=id_, result=value, **flags),)
            )
        )


async def test_a_program_runs_the_tools_it_declared(room: Room, llm: Any, reply: Any) -> None:
    llm.will(reply.calls(("look", '{"q": "order"}'), ids=["t1"]), reply.says("It arrives today."))
    await room.open(tools=(LOOK,), preparing_ms=0)
    await room.say("where is it?")
    await results(room, ("t1", {"eta": "today"}))
    await until(lambda: room.entries(TurnEnded))
    assert llm.requests[1]["messages"][-1] == {"role": "tool", "content": '{"eta": "today"}', "tool_call_id": "t1"}
    assert room.entries(ToolCalled)[0].args == {"q": "order"}
    assert room.entries(BotSaid)[0].text == "It arrives today."


async def test_only_the_first_result_counts_and_strangers_are_nobodys(room: Room, llm: Any, reply: Any) -> None:
    llm.will(reply.calls(("look", "{}"), ids=["t1"]), reply.says("ok"))
    await room.open(tools=(LOOK,), preparing_ms=0)
    await room.say("look")
    called = (await until(lambda: room.entries(ToolCalled)))[0]
    head = room.commands.head
    call = await room.call()
    wrong = ToolResults(**head(call), round="other", results=(ToolResult(id="t1", result="wrong"),))
    right = ToolResults(
        **head(call),
        round=called.round,
        results=(ToolResult(id="t9", result="?"), ToolResult(id="t1", result="first")),
    )
    late = ToolResults(**head(call), round=called.round, results=(ToolResult(id="t1", result="second"),))
    for command in (wrong, right, late):
        await room.commands.issue(command)
    await until(lambda: room.entries(TurnEnded))
    assert [answered.result for answered in room.entries(ToolAnswered)] == ["first"]


async def test_a_final_result_wants_no_further_answer(room: Room, llm: Any, reply: Any) -> None:
    llm.will(reply.calls(("look", "{}"), ids=["t1"]))
    await room.open(tools=(LOOK,), preparing_ms=0)
    await room.say("look")
    await results(room, ("t1", "done"), is_final=True)
    ended = await until(lambda: room.entries(TurnEnded))
    assert ended[0].outcome == "silent"
    assert len(llm.requests) == 1


async def test_a_passing_result_is_for_one_answer_only(room: Room, llm: Any, reply: Any) -> None:
    llm.will(reply.calls(("look", "{}"), ids=["t1"]), reply.says("ok"), reply.says("again"))
    await room.open(tools=(LOOK,), preparing_ms=0)
    await room.say("look")
    await results(room, ("t1", "a secret"), passing=True)
    await until(lambda: room.entries(TurnEnded))
    await room.say("and now?")
    await until(lambda: len(room.entries(TurnEnded)) == 2)
    assert "a secret" in str(llm.requests[1]["messages"])
    assert "a secret" not in str(llm.requests[2]["messages"])
    assert "look" not in str(llm.requests[2]["messages"][1:-1])


async def test_a_tool_without_a_program_to_run_it_is_an_error_the_model_reads(room: Room, llm: Any, reply: Any) -> None:
    room.since = None
    llm.will(reply.calls(("look", "{}"), ids=["t1"]), reply.says("sorry"))
    await room.open(tools=(LOOK,))
    await room.say("look")
    await until(lambda: room.entries(TurnEnded))
    assert llm.requests[1]["messages"][-1]["content"].startswith("Error: ")
    assert room.entries(ToolCalled)[0].round is None


async def test_a_tool_whose_program_leaves_is_an_error_at_once(room: Room, llm: Any, reply: Any) -> None:
    llm.will(reply.calls(("look", "{}"), ids=["t1"]), reply.says("sorry"))
    await room.open(tools=(LOOK,), preparing_ms=0)
    await room.say("look")
    await until(lambda: room.entries(ToolCalled))
    room.since = None
    await until(lambda: room.entries(TurnEnded))
    assert "has gone" in llm.requests[1]["messages"][-1]["content"]


async def test_a_worker_that_stops_does_not_wait_for_programs(room: Room) -> None:
    await room.open(brain="client")
    await room.say("hello")
    await until(lambda: room.entries(TurnStarted))
    async with asyncio.timeout(20):
        await room.worker.stop(grace=3600)


async def test_a_question_about_a_call_that_has_ended_is_answered(room: Room) -> None:
    await room.open()
    await room.say("hi")
    await until(lambda: room.entries(TurnEnded))
    call = await room.call()
    await room.commands.end(call, "ann")
    await room.commands.issue(EditHistory(**room.commands.head(call), act="get", ask=Ask(desk="d", id="r1")))
    await until(lambda: room.answers)
    assert room.answers == [Answered(id="r1", error="call_not_found")]


async def test_the_history_is_read_with_its_prompt(room: Room) -> None:
    await room.open(prompt="Be kind.", preparing_ms=0)
    await room.say("hi")
    await until(lambda: room.entries(TurnEnded))
    call = await room.call()
    await room.commands.issue(EditHistory(**room.commands.head(call), act="get", ask=Ask(desk="d", id="r1")))
    await until(lambda: room.answers)
    messages = room.answers[0].data["messages"]
    assert isinstance(messages, list)
    assert [message["role"] for message in messages if isinstance(message, dict)] == ["system", "user", "assistant"]
    assert room.answers[0].data["count"] == 3


async def test_the_history_is_read_as_it_was_before_what_was_asked_next(room: Room) -> None:
    await room.open()
    await room.say("hi")
    await until(lambda: room.entries(TurnEnded))
    call = await room.call()
    asked = [
        EditHistory(**room.commands.head(call), act=act, ask=Ask(desk="d", id=act))  # type: ignore[arg-type]
        for act in ("get", "clear")
    ]
    await room.bus.publish([Outgoing(commands_for(call.home, 1).name, pack(asked), "both")])
    await until(lambda: len(room.answers) == 2)
    assert [(answered.id, answered.data["count"]) for answered in room.answers] == [("get", 2), ("clear", 0)]


async def configure(room: Room, brain: Any) -> None:
    call = await room.call()
    await room.commands.issue(Configure(**room.commands.head(call), overrides=Overrides(brain=brain)))


async def test_what_a_program_was_asked_a_model_answers_at_once_when_the_call_is_given_to_it(
    room: Room, llm: Any, reply: Any
) -> None:
    llm.will(reply.says("the model's"))
    await room.open(brain="client", preparing_ms=0)
    await room.say("hi")
    await until(lambda: room.entries(TurnStarted))
    await configure(room, "llm")
    async with asyncio.timeout(OFFER_EVERY / 2):
        await until(lambda: room.entries(TurnEnded))
    assert [said.text for said in room.entries(BotSaid)] == ["the model's"]


async def test_a_model_answers_what_it_was_preparing_for_when_the_call_is_given_to_the_program(
    room: Room, llm: Any, reply: Any
) -> None:
    llm.will(reply.says("the model's"))
    await room.open(preparing_ms=5_000)
    await room.say("hi")
    await until(lambda: len(room.signals(Preparing)) == 2)
    await configure(room, "client")
    await room.commands.issue(TurnReady(**room.commands.head(await room.call()), turn=1))
    await until(lambda: room.entries(TurnEnded))
    assert [said.text for said in room.entries(BotSaid)] == ["the model's"]
    await room.say("and now?")
    started = await until(lambda: [fact for fact in room.entries(TurnStarted) if fact.offered])
    assert started[0].text == "and now?"


async def test_a_turn_that_was_cut_while_it_told_of_itself_holds_up_no_other() -> None:
    """Its goodbye may take a moment, and the next turn waits for the program by then."""
    barrier = Barrier()
    agent = Agent(slug="desk", preparing_ms=5_000)
    may_go = asyncio.Event()
    is_telling = asyncio.Event()

    async def slowly(signal: Signal) -> None:
        try:
            is_telling.set()
            await asyncio.Event().wait()
        finally:
            await may_go.wait()

    async def at_once(signal: Signal) -> None:
        is_telling.set()

    cut = asyncio.create_task(barrier.wait(1, agent, slowly))
    await is_telling.wait()
    cut.cancel()
    is_telling.clear()
    next_ = asyncio.create_task(barrier.wait(2, agent, at_once))
    await is_telling.wait()
    may_go.set()
    await asyncio.wait([cut])
    assert not next_.done()
    barrier.lift(2)
    async with asyncio.timeout(2):
        await next_
