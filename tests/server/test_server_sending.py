"""What the business sends, and what it does when the provider refuses, stumbles or keeps silent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from channels.whatsapp.simulator import FaultRule, Rules
from omni.model.message import Media, MediaKind, Message, Template
from tests.server.conftest import OpenShop
from tests.server.shop import ECHO, Shop, agent_of, until

BRUNO = "447700900123"
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489") + b"pixels" * 500
DAY = 24 * 3600

BUTTONS = {"type": "buttons", "body": "Which one?", "buttons": [{"id": "a", "title": "A"}, {"id": "b", "title": "B"}]}
MENU = {
    "type": "list",
    "body": "The card",
    "button": "Open",
    "sections": [{"title": "Drinks", "rows": [{"id": "r1", "title": "Tea", "description": "3.50"}]}],
}
LINK = {"type": "link", "body": "Have a look", "label": "Open", "url": "https://example.com/card"}


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _refused(shop: Shop, who: str | None = None) -> Any:
    lost = await (shop.logged("delivery.failed") if who is None else shop.logged("delivery.failed", who=who))
    await shop.quiet()
    return lost


# what can be sent


async def test_the_bot_shows_buttons_lists_and_links(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    rules = [{"when": name, "show": show} for name, show in (("b", BUTTONS), ("l", MENU), ("u", LINK))]
    shop = await open_shop(embedded, agent_of(script=rules))
    for number, word in enumerate(("b", "l", "u"), 1):
        shop.say(word)
        await shop.arrived(number)
    buttons, menu, link = [sent.body["interactive"] for sent in await shop.arrived(3)]
    assert [button["reply"]["id"] for button in buttons["action"]["buttons"]] == ["a", "b"]
    assert menu["action"]["sections"][0]["rows"][0]["title"] == "Tea"
    assert link["type"] == "cta_url"
    assert link["action"]["parameters"]["url"] == "https://example.com/card"


async def test_several_messages_of_one_answer_keep_their_order(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine, agent_of(script=[{"when": ".*", "say": ["one", "two", "three"]}]))
    shop.say("count")
    assert await shop.answers(3) == ["one", "two", "three"]


async def test_a_file_from_the_blobs_is_uploaded_and_shown(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    shop.say("hello")
    await shop.answers(1)
    blob = await shop.engines.blobs.put("a-picture", _one(PNG), mime="image/png", max_bytes=1_000_000)
    picture = Media(kind=MediaKind.IMAGE, blob=blob.key, mime="image/png", sha256=blob.sha256, caption="Look")
    await shop.commands.send(await shop.call(), "tess", Message(parts=(picture,)))
    sent = (await shop.arrived(2))[1]
    assert sent.body["image"]["caption"] == "Look"
    assert shop.simulator.media.find(sent.body["image"]["id"]).content == PNG


async def test_a_reply_quotes_the_message_it_answers(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    asked = shop.say("hello")
    await shop.answers(1)
    await shop.commands.send(await shop.call(), "tess", Message.of("About this one", reply_to=asked))
    assert (await shop.arrived(2))[1].body["context"]["message_id"] == asked


async def test_a_person_on_our_side_sends_a_template(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    shop.say("hello")
    await shop.answers(1)
    body = {"type": "body", "parameters": [{"type": "text", "text": "Ada"}]}
    template = Template(name="conversation_follow_up", language="en_US", components=(body,))
    await shop.commands.send(await shop.call(), "tess", Message(parts=(template,)))
    sent = (await shop.arrived(2))[1]
    assert sent.type == "template"
    assert sent.shown["body"].startswith("Hello Ada")


# the window


async def test_nothing_free_is_sent_when_the_window_is_closed(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    shop.say("hello from last week", timestamp=int(shop.simulator.now()) - 7 * DAY)
    (lost,) = await _refused(shop)
    assert lost.code == "window_closed"
    assert not shop.simulator.sent()
    assert not shop.simulator.stats.requests.get("messages")


async def test_with_a_template_for_it_a_closed_window_gets_the_template(
    open_shop: OpenShop, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine, agent_of(channel={"closed_window_template": "hello_world/en_US"}))
    shop.say("hello from last week", timestamp=int(shop.simulator.now()) - 7 * DAY)
    (sent,) = await shop.arrived(1)
    assert sent.body["template"]["name"] == "hello_world"


@pytest.mark.parametrize("told", ["sync", "async"])
async def test_a_window_the_provider_finds_closed_is_told_and_not_tried_again(
    open_shop: OpenShop, embedded: dict[str, Any], told: Any
) -> None:
    shop = await open_shop(embedded, simulator={"rules": Rules(window_failure=told)})
    shop.simulator.add_fault(FaultRule(kind="window_closed"))
    shop.say("hello")
    (lost,) = await _refused(shop)
    assert (lost.code, lost.provider_code) == ("window_closed", 131047)
    assert len(shop.simulator.sent()) == (0 if told == "sync" else 1)
    shop.say("again")  # and this opens it
    await until(lambda: any(sent.body["text"]["body"] == "You said: again" for sent in shop.simulator.sent()))


async def test_a_window_found_closed_late_gets_the_template_instead(
    open_shop: OpenShop, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(
        embedded,
        agent_of(channel={"closed_window_template": "hello_world/en_US"}),
        simulator={"rules": Rules(window_failure="sync")},
    )
    shop.simulator.add_fault(FaultRule(kind="window_closed", type="text"))
    shop.say("hello")
    (sent,) = await shop.arrived(1)
    assert sent.type == "template"


# refusals and stumbles


async def test_a_person_who_cannot_be_reached_is_told_once(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    shop.simulator.add_fault(FaultRule(kind="async_failure"))
    shop.say("hello")
    (lost,) = await _refused(shop)
    assert lost.provider_code == 131026
    assert len(shop.simulator.sent()) == 1
    (delivery,) = await shop.delivered("failed")
    assert delivery.error.provider_code == 131026


async def test_too_many_to_one_person_slow_only_that_person(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    shop.simulator.add_fault(FaultRule(kind="pair_rate_limited", to=BRUNO, times=2))
    shop.say("hello", BRUNO)
    await until(lambda: shop.simulator.stats.errors[131056] >= 1)
    shop.say("hello")
    assert await shop.answers(1) == ["You said: hello"]
    assert not shop.simulator.sent(to=BRUNO)  # it still waits
    assert await shop.answers(1, BRUNO) == ["You said: hello"]
    assert shop.simulator.stats.errors[131056] == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "server_error"},
        {"kind": "transient"},
        {"kind": "html_502"},
        {"kind": "reset"},
        {"kind": "garbage"},
        {"kind": "rate_limited", "retry_after": 1},
        {"kind": "slow", "ms": 300},
    ],
    ids=lambda fault: fault["kind"],
)
async def test_what_passes_is_tried_again_until_it_arrives(
    open_shop: OpenShop, embedded: dict[str, Any], fault: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.simulator.add_fault(FaultRule.model_validate({**fault, "times": 2}))
    shop.say("hello")
    assert await shop.answers(1) == ["You said: hello"]
    await shop.delivered("read")
    await shop.quiet()
    assert len(shop.simulator.sent()) == 1
    assert not await shop.engines.bus.dead_letters()


async def test_a_temporary_failure_told_by_a_status_is_tried_again(
    open_shop: OpenShop, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    shop.simulator.add_fault(FaultRule(kind="async_failure", code=131000))
    shop.say("hello")
    await shop.arrived(2)
    await shop.delivered("read")
    first, second = shop.simulator.sent()
    assert first.body["text"] == second.body["text"]


async def test_a_line_that_breaks_after_acceptance_may_double_and_is_counted(
    open_shop: OpenShop, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    shop.simulator.add_fault(FaultRule(kind="accept_then_reset"))
    shop.say("hello")
    await shop.arrived(1)
    (delivery,) = await shop.delivered("read")
    await shop.quiet()
    arrived = len(shop.simulator.sent())
    (delivery,) = await shop.delivered("read")
    assert arrived in (1, 2)
    assert arrived == 1 + delivery.unclear
    assert len({sent.tracker for sent in shop.simulator.sent()}) == 1


async def test_a_status_settles_a_send_whose_answer_was_lost(open_shop: OpenShop, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded, settle_wait=25)
    shop.simulator.add_fault(FaultRule(kind="accept_then_reset"))
    shop.say("hello")
    (delivery,) = await shop.delivered("read")
    assert delivery.unclear == 0
    await shop.quiet()
    assert len(shop.simulator.sent()) == 1


async def test_a_broken_token_holds_everything_and_loses_nothing(
    open_shop: OpenShop, embedded: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    shop = await open_shop(embedded, agent_of(script=[ECHO]), probe_every=0.2)
    shop.simulator.add_fault(FaultRule(kind="auth", times=None))
    shop.simulator.add_fault(FaultRule(kind="auth", on="number", times=None))
    people = [f"1202557{number:04}" for number in range(8)]
    for who in people:
        shop.say(f"I am {who}", who)
    await until(lambda: "on hold, messages are kept" in caplog.text)
    await until(lambda: "stay on hold" in caplog.text)
    assert not shop.simulator.sent()
    shop.simulator.faults.clear()
    for who in people:
        assert await shop.answers(1, who) == [f"You said: I am {who}"]
    assert len(shop.simulator.sent()) == len(people)
    assert caplog.text.count("messages are kept") == 1


async def test_a_number_over_its_rate_slows_down_and_sends_everything(
    open_shop: OpenShop, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded, simulator={"rules": Rules(rate_limits=True, numbers_per_second=20)})
    people = [f"1202558{number:04}" for number in range(30)]
    for who in people:
        shop.say("hello", who)
    for who in people:
        await shop.answers(1, who)
    await shop.quiet()
    assert len(shop.simulator.sent()) == len(people)
