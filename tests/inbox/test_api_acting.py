"""Taking conversations over and giving them back: one colleague at a time, and not a word of the bot in between."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.inbox.conftest import Hire
from tests.server.conftest import OpenShop
from tests.server.shop import ECHO, agent_of, until

SLOW = {"when": "slow", "say": "Too late", "wait_ms": 60_000}


async def test_a_takeover_while_the_bot_writes_lets_nothing_of_it_through(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine, agent_of(script=[SLOW, ECHO]))
    tess = await hire(shop)
    shop.say("slow")
    await until(lambda: shop.events("typing"))  # the brain is at work
    row = await tess.row()
    taken = await tess.post(f"/conversations/{row['id']}/take")
    assert (taken.status, taken.body["handled_by"]) == (202, tess.id)
    shop.say("are you a robot?")
    await shop.logged("user.message", 2)
    assert (await tess.send(row["id"], {"text": "Tess here"})).status == 202
    assert await shop.answers(1) == ["Tess here"]
    await shop.quiet()
    assert len(shop.simulator.sent()) == 1
    row = await tess.row(lambda row: row["last"]["from"] == "human")
    assert (row["handler"], row["handled_by"], row["assignee"]) == ("human", tess.id, tess.id)


async def test_a_second_colleague_learns_who_has_it_and_sees_it_live(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    tess, sam = await hire(shop), await hire(shop, "sam")
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    page = await sam.look_on()
    assert (await tess.post(f"/conversations/{row['id']}/take")).status == 202
    assert (await page.row(lambda row: row["handler"] == "human"))["handled_by"] == tess.id
    for answer in (
        await sam.post(f"/conversations/{row['id']}/take"),
        await sam.send(row["id"], {"text": "me too"}),
        await sam.post(f"/conversations/{row['id']}/release"),
        await sam.post(f"/conversations/{row['id']}/end"),
    ):
        assert (answer.status, answer.error, answer.body["handled_by"]) == (409, "taken", tess.id)
    stolen = await sam.post(f"/conversations/{row['id']}/take", {"steal": True})
    assert (stolen.status, stolen.body["handled_by"]) == (202, sam.id)
    assert [one["id"] for one in await sam.rows("?assignee=me")] == [row["id"]]  # not left among what is Tess's
    assert (await tess.send(row["id"], {"text": "still me"})).error == "taken"
    await shop.quiet()
    assert len(shop.simulator.sent()) == 1


async def test_of_colleagues_who_take_it_at_once_one_has_it(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    team = [await hire(shop, name) for name in ("tess", "sam", "ada", "bo")]
    shop.say("hello")
    await shop.answers(1)
    row = await team[0].row()
    answers = await asyncio.gather(*(one.post(f"/conversations/{row['id']}/take") for one in team))
    holder = (await shop.call()).handled_by
    for one, answer in zip(team, answers, strict=True):
        assert answer.status == (202 if one.id == holder else 409)
        assert answer.body["handled_by"] == holder
    assert len(await shop.logged("handoff.active")) == 1


async def test_handed_back_with_a_note_the_bot_knows_it(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any], llm: Any
) -> None:
    shop = await open_shop(embedded, agent_of(brain="llm", script=[]), llm_base_url=llm.base_url)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    await tess.post(f"/conversations/{row['id']}/take")
    await tess.post(f"/conversations/{row['id']}/notes", {"text": "colleagues only: difficult person"})
    await tess.send(row["id"], {"text": "Table 4 is yours"})
    await shop.answers(2)
    back = await tess.post(f"/conversations/{row['id']}/release", {"note": "They have table 4"})
    assert (back.status, back.body["handler"], back.body["handled_by"]) == (202, "bot", None)
    shop.say("thank you")
    await until(lambda: "thank you" in str(llm.requests[-1]["messages"][-1]))
    read = str(llm.requests[-1]["messages"])
    assert "They have table 4" in read
    assert "Table 4 is yours" in read
    assert "difficult person" not in read
    await shop.quiet()
    assert "difficult person" not in str([sent.body for sent in shop.simulator.sent()])


async def test_resolved_and_reopened(open_shop: OpenShop, hire: Hire, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    path = f"/conversations/{row['id']}"
    ended = await tess.post(f"{path}/end")
    assert (ended.status, ended.body["open"]) == (202, False)
    assert (await tess.post(f"{path}/end")).status == 202  # it is so already
    (row,) = await tess.rows("?state=ended")
    assert (row["state"], row["reason"]) == ("ended", "resolved")
    for verb, body in (("whisper", {"text": "psst"}), ("release", None), ("snooze", {"until": row["started_at"] * 2})):
        assert (await tess.post(f"{path}/{verb}", body)).error in ("changed", "invalid"), verb
    again = await tess.post(f"{path}/reopen")
    assert (again.status, again.body["open"], again.body["handled_by"]) == (202, True, tess.id)
    assert again.body["call"] != row["call"]
    kinds = [item["type"] for item in await tess.items(row["id"])]
    assert [kind for kind in kinds if kind in ("resolved", "reopened")] == ["resolved", "reopened"]
    assert kinds.count("call.started") == 2


async def test_a_message_into_an_ended_conversation_begins_the_next(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    await tess.post(f"/conversations/{row['id']}/end")
    assert (await tess.send(row["id"], {"text": "one thing more"})).status == 202
    assert (await shop.answers(2))[1] == "one thing more"
    assert (await tess.row())["handled_by"] == tess.id


async def test_whispers_reach_the_bot_and_not_the_customer(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any], llm: Any
) -> None:
    shop = await open_shop(embedded, agent_of(brain="llm", script=[]), llm_base_url=llm.base_url)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    assert (await tess.post(f"/conversations/{row['id']}/whisper", {"text": "offer a discount"})).status == 202
    await tess.told(row["id"], "whisper")
    shop.say("well?")
    await shop.answers(2)
    assert "offer a discount" in str(llm.requests[-1]["messages"])
    assert "offer a discount" not in str([sent.body for sent in shop.simulator.sent()])


async def test_a_person_and_an_agent_are_paused(open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    tess, boss = await hire(shop), await hire(shop, "boss", role="admin")
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    page = await tess.look_on()
    assert (await tess.post(f"/conversations/{row['id']}/pause-contact", {"paused": True})).status == 202
    assert (await page.row(lambda row: row["contact"]["paused"]))["id"] == row["id"]
    shop.say("nobody answers this")
    await shop.logged("user.message", 2)
    assert (await tess.post(f"/conversations/{row['id']}/pause-contact", {"paused": False})).status == 202
    shop.say("but this")
    assert (await shop.answers(2))[1] == "You said: but this"
    assert (await tess.post("/agents/echo/pause")).error == "forbidden"
    assert (await boss.post("/agents/nobody/pause")).status == 404
    assert (await boss.post("/agents/echo/pause")).status == 202
    await page.heard(lambda frame: frame["type"] == "agents" and frame["agents"][0]["paused"])
    assert (await boss.post("/agents/echo/resume")).status == 202


async def test_what_is_done_is_written_down_without_what_was_said(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess, boss = await hire(shop), await hire(shop, "boss", role="admin")
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    path = f"/conversations/{row['id']}"
    await tess.post(f"{path}/take")
    await tess.send(row["id"], {"text": "a secret word"})
    await tess.post(f"{path}/notes", {"text": "a secret word"})
    await tess.post(f"{path}/whisper", {"text": "a secret word"})
    await tess.post(f"{path}/release", {"note": "a secret word"})
    found = (await boss.get("/audit"))["records"]
    done = [record["action"] for record in found if record["actor"] == tess.id]
    assert done == [f"conversation.{verb}" for verb in ("release", "whisper", "note", "send", "take")]
    assert {record["target"] for record in found if record["actor"] == tess.id} == {row["id"]}
    assert "secret word" not in str(found)
