"""No word of the bot after a person took over, and back to the bot when they give the conversation back."""

from __future__ import annotations

from typing import Any

from channels.whatsapp.simulator import FaultRule
from omni.model.message import Message
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, ECHO, agent_of, until

BRUNO = "447700900123"
SLOW = {"when": "slow", "say": "Too late", "wait_ms": 60_000}


async def test_a_takeover_cuts_the_bot_in_the_middle_of_an_answer(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine, agent_of(script=[SLOW, ECHO]))
    shop.say("slow")
    await until(lambda: shop.events("typing"))  # the brain is at work
    await shop.commands.pause(await shop.call(), "tess")
    await shop.logged("handoff.active")
    await shop.commands.send(await shop.call(), "tess", Message.of("Tess here"))
    assert await shop.answers(1) == ["Tess here"]
    shop.say("are you a robot?")
    assert (await shop.logged("user.message", 2))[1].paused
    await shop.quiet()
    await shop.server.stop()
    assert [sent.body["text"]["body"] for sent in shop.simulator.sent()] == ["Tess here"]


async def test_replies_that_wait_to_be_sent_are_withdrawn_at_a_takeover(
    open_shop: OpenShop, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine, agent_of(script=[{"when": ".*", "say": [f"part {n}" for n in range(1, 7)]}]))
    fault = shop.simulator.add_fault(FaultRule(kind="slow", ms=700, times=None))
    shop.say("talk")
    await shop.arrived(1)  # the second is on its way, four more wait
    call = await shop.call()
    await shop.commands.pause(call, "tess")
    await shop.logged("handoff.active")
    await until(lambda: _is_settled(shop, call.id))
    arrived = len(shop.simulator.sent())
    assert arrived < 6
    shop.simulator.faults.remove(fault)
    await shop.commands.send(call, "tess", Message.of("Tess here"))
    texts = await shop.answers(arrived + 1)
    await shop.quiet()
    await shop.server.stop()
    assert texts == [f"part {n}" for n in range(1, arrived + 1)] + ["Tess here"]
    assert len(shop.simulator.sent()) == arrived + 1


async def _is_settled(shop: Any, call: str) -> bool:
    deliveries = await shop.engines.store.deliveries(call)
    return bool(deliveries) and all(one.is_settled for one in deliveries)


async def test_a_person_sends_through_the_same_deliveries(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    shop.say("hello")
    await shop.answers(1)
    await shop.commands.send(await shop.call(), "tess", Message.of("Tess here"))
    assert (await shop.answers(2))[1] == "Tess here"
    deliveries = await shop.delivered("read", 2)
    assert [one.origin for one in deliveries] == ["bot", "human"]
    (said,) = await shop.logged("supervisor.said")
    assert (said.by, said.text) == ("tess", "Tess here")
    assert (await shop.call()).handler == "human"


async def test_given_back_the_bot_answers_again_and_knows_the_note(
    open_shop: OpenShop, embedded: dict[str, Any], llm: Any
) -> None:
    shop = await open_shop(embedded, agent_of(brain="llm", script=[]), llm_base_url=llm.base_url)
    shop.say("hello")
    await shop.answers(1)
    call = await shop.call()
    await shop.commands.pause(call, "tess")
    await shop.logged("handoff.active")
    shop.say("my table, please")
    await shop.logged("user.message", 2)
    await shop.commands.send(call, "tess", Message.of("Table 4 is yours"))
    await shop.answers(2)
    await shop.commands.resume(call, "tess", "They have table 4 at eight")
    (released,) = await shop.logged("handoff.released")
    assert released.note == "They have table 4 at eight"
    shop.say("thank you")
    await until(lambda: "thank you" in str(llm.requests[-1]["messages"][-1]))
    read = str(llm.requests[-1]["messages"])
    assert "They have table 4 at eight" in read
    assert "Table 4 is yours" in read
    assert "my table, please" in read


async def test_what_was_written_to_a_person_is_not_answered_by_the_bot_afterwards(
    open_shop: OpenShop, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    shop.say("hello")
    await shop.answers(1)
    call = await shop.call()
    await shop.commands.pause(call, "tess")
    await shop.logged("handoff.active")
    shop.say("for Tess only")
    await shop.logged("user.message", 2)
    await shop.commands.resume(call, "tess")
    await shop.logged("handoff.released")
    shop.say("for the bot")
    assert await shop.answers(2) == ["You said: hello", "You said: for the bot"]
    await shop.quiet()
    assert len(shop.simulator.sent()) == 2


async def test_the_bot_hands_over_and_is_silent_until_somebody_comes(
    open_shop: OpenShop, embedded: dict[str, Any]
) -> None:
    human = {"when": "human", "say": "One moment, please.", "handoff": True}
    shop = await open_shop(embedded, agent_of(script=[human, ECHO]))
    shop.say("a human, please")
    assert await shop.answers(1) == ["One moment, please."]
    await shop.logged("handoff.requested")
    await until(lambda: _waits(shop))
    shop.say("still there?")
    assert (await shop.logged("user.message", 2))[1].paused
    await shop.quiet()
    assert len(shop.simulator.sent()) == 1


async def _waits(shop: Any) -> bool:
    call = await shop.call()
    return call.handler == "nobody" and call.waiting_since is not None


async def test_a_paused_agent_is_silent_everywhere_until_it_is_resumed(
    open_shop: OpenShop, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine, agent_of(script=[SLOW, ECHO]))
    shop.say("slow")
    await until(lambda: shop.events("typing"))
    assert await shop.commands.pause_agent("default", "echo", "tess", paused=True)
    await until(lambda: _agent_is_known_paused(shop))
    shop.say("anybody?", BRUNO)
    assert (await shop.logged("user.message", who=BRUNO))[0].paused
    await shop.commands.pause_agent("default", "echo", "tess", paused=False)
    await until(lambda: _agent_is_known_paused(shop, False))
    await shop.quiet()
    assert not shop.simulator.sent()
    shop.say("and now?", BRUNO)
    assert await shop.answers(1, BRUNO) == ["You said: and now?"]


async def _agent_is_known_paused(shop: Any, paused: bool = True) -> bool:
    """Every partition has taken the command."""
    await shop.quiet()
    return (await shop.engines.store.agent("default", "echo")).is_paused is paused


async def test_a_paused_person_is_left_alone_and_others_are_answered(
    open_shop: OpenShop, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    shop.say("hello")
    await shop.answers(1)
    contact = await shop.engines.store.contact((await shop.call()).contact)
    await shop.commands.pause_person(contact, "echo", "tess", paused=True)
    await until(lambda: _is_paused(shop, contact.id, True))
    shop.say("hello?")
    assert (await shop.logged("user.message", 2))[1].paused
    shop.say("and me?", BRUNO)
    assert await shop.answers(1, BRUNO) == ["You said: and me?"]
    await shop.commands.pause_person(contact, "echo", "tess", paused=False)
    await until(lambda: _is_paused(shop, contact.id, False))
    shop.say("back?")
    assert await shop.answers(2) == ["You said: hello", "You said: back?"]
    assert len(shop.simulator.sent(to=ADA)) == 2


async def _is_paused(shop: Any, contact: str, paused: bool) -> bool:
    return (await shop.engines.store.contact(contact)).is_paused is paused
