"""One inbox, every channel: visitors of the web chat, and what WhatsApp takes once its window is closed."""

from __future__ import annotations

import time
from typing import Any

from tests.chat.conftest import OpenChat, open_chat
from tests.chat.pages import agent_of as chat_agent
from tests.inbox.conftest import Hire
from tests.inbox.test_api_files import _upload, png
from tests.server.conftest import OpenShop
from tests.server.shop import agent_of, until

__all__ = ["open_chat"]

DAY = 86_400.0
SLOW = {"when": "slow", "say": "Too late", "wait_ms": 60_000}


async def test_a_visitor_and_a_colleague_talk_and_see_each_other_type(open_chat: OpenChat, hire: Hire) -> None:
    chat = await open_chat()
    tess = await hire(chat)
    visitor = await chat.visitor()
    await visitor.says("m1", "hello")
    await visitor.hears("bot")
    row = await tess.row()
    assert (row["transport"], row["window_closes_at"]) == ("chat", None)
    page = await tess.look_on()
    await page.say(type="open", conversation=row["id"], after=None)
    await page.heard(lambda frame: frame["type"] == "caught_up")
    await visitor.send("typing", on=True)
    typed = await page.heard(lambda frame: frame["type"] == "typing" and frame["who"] == "user")
    assert typed["on"] is True
    await tess.post(f"/conversations/{row['id']}/notes", {"text": "for us alone"})
    await page.say(type="typing", conversation=row["id"], on=True)
    seen = await visitor.sees("chat.typing")
    assert (seen.get("from") or seen.get("who"), seen["on"]) == ("human", True)
    await tess.send(row["id"], {"text": "Tess here"})
    assert (await visitor.hears("human"))["text"] == "Tess here"
    picture = (await _upload(tess, row["id"], png(), "image/png", "plan.png")).body["id"]
    await tess.send(row["id"], {"files": [picture], "text": "the plan"})
    shown = await visitor.hears("human")
    assert "plan" in str(shown)
    assert "for us alone" not in str(visitor.frames)
    sent = await until(lambda: _sent(tess, row["id"]))
    assert [item["delivery"]["state"] for item in sent] == ["sent", "sent"]


async def _sent(who: Any, conversation: str) -> Any:
    found = await who.items(conversation, "human.message")
    return found if len(found) == 2 and all(item["delivery"]["state"] == "sent" for item in found) else None


async def test_a_takeover_in_the_middle_of_the_bots_words_ends_them(open_chat: OpenChat, hire: Hire) -> None:
    chat = await open_chat(chat_agent(script=[SLOW]))
    tess = await hire(chat)
    visitor = await chat.visitor()
    await visitor.says("m1", "slow")
    row = await tess.row(lambda row: row["unread"] == 1)
    assert (await tess.post(f"/conversations/{row['id']}/take")).body["handled_by"] == tess.id
    await tess.send(row["id"], {"text": "Tess here"})
    assert (await visitor.hears("human"))["text"] == "Tess here"
    assert "Too late" not in str(visitor.frames)
    assert not await tess.items(row["id"], "bot.message")


async def test_when_the_window_is_closed_a_template_goes(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    account = "318450992714406"
    shop = await open_shop(embedded, agent_of(channel={"waba_id": account}), simulator={"waba_id": account})
    tess = await hire(shop)
    shop.say("long ago", timestamp=int(time.time() - 2 * DAY))
    row = await tess.row(lambda row: row["last"]["from"] is not None)
    listed = (await tess.get(f"/conversations/{row['id']}/templates"))["templates"]
    follow_up = next(one for one in listed if one["name"] == "conversation_follow_up")
    assert [variable["name"] for variable in follow_up["variables"]] == ["1"]
    wanted = {"name": follow_up["name"], "language": follow_up["language"]}
    assert (await tess.send(row["id"], {"template": wanted})).body["error"]["field"] == "template"
    sent = await tess.send(row["id"], {"template": {**wanted, "values": {"1": "Ada"}}})
    assert sent.status == 202
    arrived = await until(lambda: [one for one in shop.simulator.sent() if one.type == "template"])
    assert arrived[0].body["template"]["name"] == "conversation_follow_up"
    (said,) = await tess.told(row["id"], "human.message")
    assert "Ada" in said["text"]
    assert said["parts"][0]["type"] == "template"


async def test_a_channel_that_does_not_name_its_account_says_how_to_mend_it(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    answer = await tess.ask("GET", f"/conversations/{row['id']}/templates")
    assert (answer.status, answer.error) == (409, "setup")
    assert "waba_id" in answer.body["error"]["message"]


async def test_whatsapp_shows_that_a_colleague_types(open_shop: OpenShop, hire: Hire, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    await shop.quiet()
    row = await tess.row()
    before = len(shop.events("typing"))
    for _ in range(3):
        assert (await tess.post(f"/conversations/{row['id']}/typing", {"on": True})).status == 202
    await until(lambda: len(shop.events("typing")) > before)
    await shop.quiet()
    assert len(shop.events("typing")) == before + 1
