"""A brain that is cut says nothing more, at whatever step of its end the cut finds it."""

import asyncio
import time

import pytest

from omni.live.told import Signal
from omni.model.agent import Agent, ScriptRule
from omni.model.call import conversation_key
from omni.model.contact import Contact
from omni.model.delivery import Recipient
from omni.model.entry import Entry, UserSaid
from omni.model.ids import new_call_id, new_id
from omni.model.message import Message
from sessions.brains.script import ScriptBrain
from sessions.fold import fold
from sessions.preparing import Barrier
from sessions.prompt import render
from sessions.state import CallState
from sessions.steps import Around, Happening, LiveTurn
from sessions.thinking import Thinking
from sessions.world import World

AGENT = Agent(slug="echo", brain="script", script=(ScriptRule(when=".*", say="You said: {{ text }}"),))


def heard():
    state = CallState(
        id="wa-1",
        org="default",
        agent="echo",
        channel="whatsapp:1",
        transport="whatsapp",
        conversation=conversation_key("default", "echo", "whatsapp:1", "ct_1"),
        contact="ct_1",
        home="home",
    )
    said = UserSaid(id="msg_1", text="hi", provider_id="wamid.1", at=1.0, message=Message.of("hi"))
    return fold(state, Entry(seq=1, ts=1.0, call="wa-1", agent="echo", fact=said))


@pytest.mark.parametrize("steps", range(12))
async def test_a_cut_brain_reports_nothing_whenever_the_cut_comes(steps):
    brain = ScriptBrain()
    world = World(
        store=None,
        bus=None,
        agents=None,
        brains=lambda agent: brain,
        run_tool=None,
        partitions=1,
        clock=time.time,
        new_id=new_id,
        new_call_id=new_call_id,
        render=render,
        typing_after=60,
    )
    reports = []
    turn = LiveTurn(number=1, phase="generating", first_at=1.0, due=1.0, answers=("msg_1",))
    state = heard()
    around = Around(
        now=1.0,
        agent=AGENT,
        contact=Contact(id="ct_1", home="home", identities=()),
        new_id=new_id,
        recipient=Recipient(identities=()),
    )

    async def tell(signal: Signal) -> None:
        raise AssertionError("nobody looks on")

    def report(happening: Happening, accepted: object) -> None:
        reports.append(happening)

    thinking = Thinking(world, turn, lambda: (state, around), report, tell, Barrier())
    thinking.start()
    for _ in range(steps):
        await asyncio.sleep(0)
    before = list(reports)
    task = thinking.cancel("the user continued")
    if task is not None:
        await asyncio.wait([task])
    assert reports == before
    await brain.close()
