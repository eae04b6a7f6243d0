"""A message in, the answer out: what a person who writes to the business is promised."""

from __future__ import annotations

from typing import Any

from channels.whatsapp.simulator import StatusPlan, WebhookPlan
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, ECHO, agent_of, until

BRUNO = "447700900123"


async def test_a_text_is_answered_and_written_down(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    said = shop.say("hello")
    assert await shop.answers(1) == ["You said: hello"]
    await shop.delivered("read")
    log = await shop.log()
    assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
    types = [entry.fact.type for entry in log]
    assert types == ["call.started", "user.message", "turn.start", "bot.speaking", "bot.finished", "turn.end"]
    assert log[1].fact.provider_id == said
    call = await shop.call()
    assert (call.user_messages, call.bot_messages, call.handler, call.is_open) == (1, 1, "bot", True)


async def test_one_person_is_answered_in_the_order_they_wrote(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    for number in range(1, 4):
        shop.say(f"message {number}")
        await shop.answers(number)
    assert await shop.answers(3) == [f"You said: message {number}" for number in range(1, 4)]
    assert len(await shop.calls()) == 1


async def test_many_people_have_conversations_of_their_own(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    people = [f"1202555{number:04}" for number in range(1000, 1040)]
    for who in people:
        shop.say(f"I am {who}", who)
    for who in people:
        assert await shop.answers(1, who) == [f"You said: I am {who}"]
    assert len(await shop.calls()) == len(people)


async def test_a_webhook_delivered_twice_acts_once(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine, simulator={"webhooks": WebhookPlan(duplicates=1.0)})
    shop.say("hello")
    await shop.answers(1)
    shop.say("again")
    await shop.answers(2)
    await shop.quiet()
    assert shop.simulator.webhooks.counts.delivered >= 4
    assert await shop.answers(2) == ["You said: hello", "You said: again"]
    assert len(await shop.logged("user.message")) == 2


async def test_batches_that_share_a_post_reach_everybody_once(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    plan = WebhookPlan(batch_max=50, batch_ms=20, duplicates=0.5, jitter_ms=40, retry_ms=(20,) * 20)
    shop = await open_shop(embedded, simulator={"webhooks": plan})
    people = [f"1202556{number:04}" for number in range(60)]
    for who in people:
        shop.say(f"I am {who}", who)
    for who in people:
        await shop.answers(1, who)
    await shop.quiet()
    assert {who: len(shop.simulator.sent(to=who)) for who in people} == dict.fromkeys(people, 1)


async def test_a_long_answer_arrives_in_pieces_in_order(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    sentence = "This is one of many sentences. "
    shop = await open_shop(engine, agent_of(script=[{"when": ".*", "say": sentence * 300}]))
    shop.say("tell me everything")
    pieces = await shop.answers(3)
    assert all(len(piece) <= 4096 for piece in pieces)
    assert all(piece.endswith("sentences.") for piece in pieces)
    assert " ".join(pieces) == (sentence * 300).strip()
    (delivery,) = await shop.delivered("read")
    assert delivery.pieces == 3
    assert [receipt.state for receipt in delivery.receipts] == ["read"] * 3


async def test_messages_in_quick_succession_are_one_question(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine, agent_of(debounce_ms=1500))
    for word in ("I", "have", "a question"):
        shop.say(word)
        await shop.simulator.webhooks.idle()
    assert await shop.answers(1) == ["You said: I\nhave\na question"]
    await shop.quiet()
    assert len(shop.simulator.sent()) == 1
    assert len(await shop.logged("user.message", 3)) == 3


async def test_a_newer_message_restarts_an_answer_with_both_texts(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    slowly = {"when": "^first$", "say": "Too late", "wait_ms": 60_000}
    shop = await open_shop(engine, agent_of(script=[slowly, ECHO]))
    shop.say("first")
    await until(lambda: shop.events("typing"))  # the brain is at work
    shop.say("second")
    assert await shop.answers(1) == ["You said: first\nsecond"]
    await shop.quiet()
    assert len(shop.simulator.sent()) == 1
    (ended,) = await shop.logged("turn.end")
    assert len(ended.answers) == 2


async def test_a_person_sees_blue_ticks_and_typing_while_the_bot_thinks(
    open_shop: OpenShop, engine: dict[str, Any]
) -> None:
    slowly = {"when": "slow", "say": "At last", "wait_ms": 1_500}
    shop = await open_shop(engine, agent_of(script=[slowly, ECHO]))
    asked = shop.say("slow")
    (typing, *_) = await until(lambda: shop.events("typing"))
    assert typing["to"] == ADA
    assert not shop.simulator.sent()
    assert shop.events("read")[0]["message_id"] == asked
    assert await shop.answers(1) == ["At last"]


async def test_an_instant_answer_marks_as_read_without_typing(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    asked = shop.say("quick")
    await shop.answers(1)
    (read,) = await until(lambda: shop.events("read"))
    assert read["message_id"] == asked
    assert not shop.events("typing")


async def test_who_asked_for_no_read_receipts_gets_none(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded, agent_of(channel={"read_receipts": False}))
    shop.say("quick")
    await shop.answers(1)
    await shop.delivered("read")
    await shop.server.stop()
    assert not shop.events("read")


async def test_statuses_out_of_order_and_twice_end_at_read(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    plan = StatusPlan(sent_ms=5, delivered_ms=25, read_ms=45, shuffle=True, duplicates=1.0)
    shop = await open_shop(engine, simulator={"statuses": plan, "seed": 3})
    for number in range(1, 5):
        shop.say(f"message {number}")
        await shop.answers(number)
    await shop.delivered("read", 4)
    await until(lambda: len(shop.events("status")) >= 4 * 6)
    await shop.quiet()
    for delivery in await shop.delivered("read", 4):
        (receipt,) = delivery.receipts
        assert delivery.state == receipt.state == "read"
        assert None not in (receipt.sent_at, receipt.delivered_at, receipt.read_at)


async def test_a_hidden_number_is_answered_by_its_user_id(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    shop.simulator.people.put(
        type(shop.simulator.people.meet(BRUNO))(BRUNO, "Bruno", "GB.13491208655302741918", "bruno", phone_hidden=True)
    )
    shop.say("hello", BRUNO)
    (sent,) = await shop.arrived(1, BRUNO)
    assert sent.body["text"]["body"] == "You said: hello"
    assert sent.body.get("to") is None
    assert "GB.13491208655302741918" in str(sent.body)


async def test_a_greeting_and_a_goodbye_frame_a_call(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    farewell = {"when": "bye", "say": "See you!", "end": True}
    shop = await open_shop(embedded, agent_of(greeting="Welcome!", script=[farewell, ECHO]))
    shop.say("hello")
    assert await shop.answers(2) == ["Welcome!", "You said: hello"]
    first = await shop.call()
    shop.say("bye")
    assert (await shop.answers(3))[2] == "See you!"
    await until(lambda: _is_over(shop, first.id))
    shop.say("me again")
    assert (await shop.answers(5))[3:] == ["Welcome!", "You said: me again"]
    assert len(await shop.calls()) == 2


async def _is_over(shop: Any, call: str) -> bool:
    return not (await shop.engines.store.call(call)).is_open


async def test_what_was_said_before_a_restart_is_not_said_again(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    shop.say("before")
    await shop.answers(1)
    await shop.restart()
    shop.say("after")
    assert await shop.answers(2) == ["You said: before", "You said: after"]
    assert len(await shop.calls()) == 1


async def test_a_turn_cut_by_a_stop_is_answered_by_the_next_process(
    open_shop: OpenShop, engine: dict[str, Any]
) -> None:
    slowly = {"when": "slow", "say": "Here it is", "wait_ms": 2_500}
    shop = await open_shop(engine, agent_of(script=[slowly]))
    shop.say("slow")
    await until(lambda: shop.events("typing"))
    await shop.restart()
    assert await shop.answers(1) == ["Here it is"]
    await shop.quiet()
    assert len(shop.simulator.sent()) == 1
