"""The list, its counts, one conversation and what was said in it, as a colleague reads them."""

from __future__ import annotations

from typing import Any

from tests.inbox.conftest import Hire
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, ECHO, agent_of

BRUNO = "447700900123"
HUMAN = {"when": "human", "say": "One moment, please.", "handoff": True}


async def test_a_conversation_is_listed_with_what_was_said_last(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row(lambda row: row["last"]["from"] == "bot")
    call = await shop.call()
    assert row["call"] == call.id
    assert (row["agent"], row["transport"], row["state"], row["handler"]) == ("echo", "whatsapp", "open", "bot")
    assert row["contact"]["address"] == ADA
    assert row["last"]["text"] == "You said: hello"
    assert (row["unread"], row["labels"], row["assignee"], row["case"]) == (1, [], None, 0)
    assert row["window_closes_at"] > row["started_at"]
    counts = await tess.get("/counts")
    assert counts["counts"] == [
        {
            "number": 1,
            "handler": "bot",
            "transport": "whatsapp",
            "agent": "echo",
            "assignee": None,
            "snoozed": False,
        }
    ]


async def test_the_list_is_filtered_and_paged(open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded, agent_of(script=[HUMAN, ECHO]))
    tess = await hire(shop)
    people = [f"4477009001{n:02}" for n in range(5)]
    for who in people:
        shop.say("hello", who)
        await shop.answers(1, who)
    shop.say("a human, please", BRUNO)
    await shop.answers(1, BRUNO)
    waiting = await tess.row(lambda row: row["handler"] == "nobody")
    assert waiting["contact"]["address"] == BRUNO
    assert [row["id"] for row in await tess.rows("?handler=nobody,human")] == [waiting["id"]]
    assert [row["id"] for row in await tess.rows("?order=waiting")] == [waiting["id"]]
    assert await tess.rows("?agent=other") == []
    assert await tess.rows("?transport=chat") == []
    assert await tess.rows("?state=ended") == []
    assert len(await tess.rows("?state=all&assignee=none")) == 6
    seen: list[str] = []
    next_ = ""
    while True:
        page = await tess.get(f"/conversations?limit=2&before={next_}")
        seen += [row["id"] for row in page["rows"]]
        if page["next"] is None:
            break
        next_ = page["next"]
    assert len(seen) == len(set(seen)) == 6


async def test_wrong_questions_are_answered_with_a_sentence(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    for path, field in (
        ("/conversations?state=gone", "state"),
        ("/conversations?handler=dog", "handler"),
        ("/conversations?order=oldest", "order"),
        ("/conversations?limit=0", "limit"),
        ("/conversations?before=xyz", "before"),
        (f"/conversations/{row['id']}/items?before=xyz", "before"),
        (f"/conversations/{row['id']}/items?after=xyz", "after"),
        (f"/conversations/{row['id']}/items?limit=1000", "limit"),
    ):
        answer = await tess.ask("GET", path)
        assert (answer.status, answer.body["error"]["field"]) == (422, field), path
    for path in ("/conversations/cv_nothing", "/conversations/wa-1/items", "/conversations/cv_ZGVmYXVsdC9hL2IvYw"):
        assert (await tess.ask("GET", path)).status == 404
    async with shop.http.get(f"{shop.url}/v1/inbox/conversations") as answer:
        assert answer.status == 401
        assert answer.headers["Cache-Control"] == "no-store"


async def test_one_conversation_tells_who_it_is_with_and_what_may_be_sent(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    one = await tess.get(f"/conversations/{row['id']}")
    assert {"kind": "wa_id", "value": ADA} in one["contact"]["identities"]
    assert one["contact"]["paused"] is False
    assert (one["can_template"], one["agent_paused"], one["presence"]) == (True, False, [])
    assert (one["limits"]["text"], one["limits"]["files"]["document"]) == (4096, 100 * 1024 * 1024)
    agents = await tess.get("/agents")
    assert agents["agents"] == [
        {"slug": "echo", "name": "echo", "paused": False, "brain": "script", "transports": ["whatsapp"]}
    ]


async def test_what_was_said_has_its_deliveries_and_no_addressing(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    tess = await hire(shop)
    shop.say("hello")
    await shop.delivered("read", 1)
    row = await tess.row()
    items = await tess.items(row["id"])
    kinds = [item["type"] for item in items]
    assert kinds[0] == "call.started"
    assert kinds.index("user.message") < kinds.index("bot.message")
    (said,) = await tess.items(row["id"], "user.message")
    assert (said["text"], said["parts"]) == ("hello", [{"type": "text", "text": "hello"}])
    (answered,) = await tess.items(row["id"], "bot.message")
    assert answered["delivery"]["state"] == "read"
    assert answered["delivery"]["provider_ids"]
    assert "identities" not in str(items)
    assert len({item["id"] for item in items}) == len(items)


async def test_older_items_come_by_the_cursor(open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    for n in range(4):
        shop.say(f"message {n}")
        await shop.answers(n + 1)
    await shop.quiet()
    row = await tess.row()
    whole = [item["id"] for item in await tess.items(row["id"])]
    seen: list[str] = []
    page = await tess.get(f"/conversations/{row['id']}/items?limit=3")
    while True:
        seen = [item["id"] for item in page["items"]] + seen
        if page["before"] is None:
            break
        page = await tess.get(f"/conversations/{row['id']}/items?limit=3&before={page['before']}")
    assert seen == whole
    page = await tess.get(f"/conversations/{row['id']}/items?limit=3")
    assert (await tess.get(f"/conversations/{row['id']}/items?after={page['after']}"))["items"] == []
