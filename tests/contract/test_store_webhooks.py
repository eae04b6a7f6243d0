"""Webhooks in the store: endpoints, what is still to be told, and deliveries in their order, in every engine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from omni.model.call import Call
from omni.model.webhook import WebhookAttempt, WebhookDelivery, WebhookEndpoint, attempted, replayed
from omni.store.base import SeqConflictError, Store, VersionConflictError
from omni.store.webhooks import WebhookFilter, WebhookTally

NOW = 1_000_000.0


def endpoint(id_: str = "wh_1", **more: Any) -> WebhookEndpoint:
    return WebhookEndpoint.model_validate({"id": id_, "url": "https://a.example/x", "secret": "whsec_s", **more})


def delivery(seq: int, lane: str = "wa-1", *, to: str = "wh_1", **more: Any) -> WebhookDelivery:
    return WebhookDelivery.model_validate(
        {
            "id": f"{to}-{lane}-{seq}",
            "endpoint": to,
            "agent": "echo",
            "call": lane,
            "lane": lane,
            "seq": seq,
            "event": "message.received",
            "body": '{"é": "\U0001f600"}',
            "created_at": NOW + seq,
            "since": NOW + seq,
            **more,
        }
    )


def answered(status: int, now: float = NOW) -> Any:
    attempt = WebhookAttempt(at=now, ms=5, status=status, reply="hé")
    return lambda each: attempted(each, attempt, now, lambda: 0.5)


async def due(store: Store, now: float = NOW, to: str = "wh_1", limit: int = 64) -> list[str]:
    return [each.id for each in await store.due_webhooks(to, now, limit=limit)]


async def marked(store: Store, make: Any, call: Call, count: int = 1, *, tells: bool = True) -> Call:
    step: Any = make.step(call, count=count)
    await store.append(replace(step, tells=tells))
    return step.call  # type: ignore[no-any-return]


async def test_an_endpoint_is_kept_with_its_secret_and_by_version(store: Store) -> None:
    assert await store.webhooks() == []
    first = await store.save_webhook(endpoint(created_at=2.0, agent="echo", events=("call.ended",)))
    other = await store.save_webhook(endpoint("wh_2", created_at=1.0, org="rival"))
    assert first.version == 1
    found = await store.webhook("wh_1")
    assert found == first
    assert found.secret.get_secret_value() == "whsec_s"
    assert await store.webhooks() == [other, first]
    assert await store.webhooks("default") == [first]
    second = await store.save_webhook(first.model_copy(update={"url": "https://b.example"}))
    for stale in (first, endpoint(), endpoint("wh_9", version=3)):
        with pytest.raises(VersionConflictError):
            await store.save_webhook(stale)
    assert await store.webhook("wh_1") == second
    assert not await store.remove_webhook("rival", "wh_1")
    assert await store.remove_webhook("default", "wh_1")
    assert not await store.remove_webhook("default", "wh_1")
    assert await store.webhook("wh_1") is None


async def test_agentphone_endpoints_are_one_of_each_scope_and_omnis_any_number(store: Store) -> None:
    for n, agent in enumerate((None, "echo", "desk")):
        await store.save_webhook(endpoint(f"wh_{n}", agent=agent, dialect="agentphone"))
        with pytest.raises(VersionConflictError):
            await store.save_webhook(endpoint(f"wh_{n}b", agent=agent, dialect="agentphone"))
        await store.save_webhook(endpoint(f"wh_{n}c", agent=agent))
        await store.save_webhook(endpoint(f"wh_{n}d", agent=agent))
    await store.save_webhook(endpoint("wh_r", org="rival", dialect="agentphone"))
    assert await store.remove_webhook("default", "wh_1")
    await store.save_webhook(endpoint("wh_1b", agent="echo", dialect="agentphone"))
    moved = await store.webhook("wh_2")
    assert moved is not None
    with pytest.raises(VersionConflictError):
        await store.save_webhook(moved.model_copy(update={"agent": "echo"}))


async def test_of_several_who_claim_a_scope_one_gets_it(two_stores: tuple[Store, Store], make: Any) -> None:
    saves = [two_stores[n % 2].save_webhook(endpoint(f"wh_{n}", dialect="agentphone")) for n in range(6)]
    assert sorted(await make.outcomes(saves)) == ["VersionConflictError"] * 5 + ["ok"]


async def test_what_an_append_tells_is_there_until_it_is_told(store: Store, make: Any) -> None:
    call = await marked(store, make, make.call("wa-1", party="p"), 2)
    call = await marked(store, make, call, tells=False)
    call = await marked(store, make, call, 3)
    await marked(store, make, make.call("wa-2", party="q"), tells=False)
    assert [entry.seq for entry in await store.untold("wa-1")] == [1, 2, 4, 5, 6]
    assert await store.untold("wa-1", limit=1) == (await store.untold("wa-1"))[:2]
    assert await store.untold("wa-1") == [e for e in await store.entries("wa-1") if e.seq != 3]
    assert await store.untold("wa-2") == await store.untold("wa-none") == []
    assert await store.untold_calls(5_000.0) == ["wa-1"]
    assert await store.untold_calls(1_000.0) == []
    assert await store.tell("wa-1", 3, [delivery(1), delivery(2)], now=NOW) == 2
    assert [entry.seq for entry in await store.untold("wa-1")] == [4, 5, 6]
    assert await store.tell("wa-1", 6, [], now=NOW) == 0
    assert await store.untold_calls(5_000.0) == []
    call = await marked(store, make, call)
    assert [entry.seq for entry in await store.untold("wa-1")] == [7]


async def test_an_append_that_is_refused_tells_nothing(store: Store, make: Any) -> None:
    call = await marked(store, make, make.call("wa-1", party="p"), tells=False)
    await marked(store, make, call, tells=False)
    with pytest.raises(SeqConflictError):
        await marked(store, make, call)
    assert await store.untold("wa-1") == []


async def test_a_delivery_is_inserted_once_and_due_in_the_order_of_its_lane(store: Store) -> None:
    rows = [delivery(1), delivery(2), delivery(3), delivery(1, "wa-2"), delivery(1, to="wh_2")]
    assert await store.tell("wa-1", 3, rows, now=NOW) == 5
    assert await store.tell("wa-1", 3, [*rows, delivery(4)], now=NOW + 5) == 1
    assert await store.webhook_work() == {"wh_1": NOW, "wh_2": NOW}
    assert await due(store, NOW - 1) == []
    assert sorted(await due(store)) == ["wh_1-wa-1-1", "wh_1-wa-2-1"]
    assert len(await due(store, limit=1)) == 1
    stored = await store.webhook_delivery("wh_1-wa-1-1")
    assert stored is not None
    assert stored.model_copy(update={"next_at": None, "version": 0}) == delivery(1)
    done = await store.change_webhook_delivery("wh_1-wa-1-1", answered(204), now=NOW + 9)
    assert done is not None
    assert (done.state, done.attempt_count, done.finished_at) == ("success", 1, NOW)
    assert done == await store.webhook_delivery("wh_1-wa-1-1")
    assert sorted(await due(store, NOW + 9)) == ["wh_1-wa-1-2", "wh_1-wa-2-1"]
    assert await due(store, NOW + 8) == ["wh_1-wa-2-1"]


async def test_a_delivery_that_is_tried_again_holds_its_lane_until_it_is_given_up(store: Store) -> None:
    await store.tell("wa-1", 3, [delivery(1), delivery(2)], now=NOW)
    waiting = await store.change_webhook_delivery("wh_1-wa-1-1", answered(503), now=NOW)
    assert waiting is not None
    assert waiting.next_at == NOW + 5
    assert waiting.state == "pending"
    assert await due(store, NOW + 4) == []
    await store.tell("wa-1", 4, [delivery(3)], now=NOW + 4)
    assert await due(store, NOW + 6) == ["wh_1-wa-1-1"]
    assert await store.webhook_work() == {"wh_1": NOW + 5}
    await store.change_webhook_delivery("wh_1-wa-1-1", answered(404), now=NOW + 6)
    assert await due(store, NOW + 6) == ["wh_1-wa-1-2"]


async def test_a_change_that_says_nothing_changes_nothing(store: Store) -> None:
    await store.tell("wa-1", 1, [delivery(1)], now=NOW)
    before = await store.webhook_delivery("wh_1-wa-1-1")
    assert await store.change_webhook_delivery("wh_1-wa-1-1", lambda each: None, now=NOW) == before
    assert await store.change_webhook_delivery("wh_none", answered(200), now=NOW) is None
    assert await store.webhook_delivery("wh_1-wa-1-1") == before


async def test_changes_of_several_processes_are_all_there(two_stores: tuple[Store, Store]) -> None:
    await two_stores[0].tell("wa-1", 1, [delivery(1)], now=NOW)
    changes = [two_stores[n % 2].change_webhook_delivery("wh_1-wa-1-1", answered(500), now=NOW) for n in range(8)]
    await asyncio.gather(*changes)
    found = await two_stores[0].webhook_delivery("wh_1-wa-1-1")
    assert found is not None
    assert found.attempt_count == found.tries == 8


async def test_who_inserts_while_another_finishes_leaves_no_lane_stuck(two_stores: tuple[Store, Store]) -> None:
    telling, sending = two_stores
    await telling.tell("wa-1", 1, [delivery(1)], now=NOW)
    for seq in range(1, 25):
        await asyncio.gather(
            telling.tell("wa-1", seq + 1, [delivery(seq + 1)], now=NOW),
            sending.change_webhook_delivery(f"wh_1-wa-1-{seq}", answered(200), now=NOW),
        )
        assert await due(telling) == [f"wh_1-wa-1-{seq + 1}"]


@pytest.mark.parametrize("after", range(1, 40, 3))
async def test_who_dies_while_telling_leaves_what_can_be_done_again(engine: Any, make: Any, after: int) -> None:
    store, dying = await engine.store(), await engine.store()
    await marked(store, make, make.call("wa-1", party="p"), 2)
    await make.cut_off(dying.tell("wa-1", 2, [delivery(1), delivery(2)], now=NOW), after)
    await dying.close()
    if await store.untold("wa-1"):
        await store.tell("wa-1", 2, [delivery(1), delivery(2)], now=NOW)
    page = await store.webhook_deliveries(WebhookFilter("default"))
    assert [each.seq for each in page.items] == [2, 1]
    assert await due(store) == ["wh_1-wa-1-1"]


@pytest.mark.parametrize("after", range(1, 30, 3))
async def test_who_dies_while_finishing_one_holds_up_no_lane_for_good(engine: Any, make: Any, after: int) -> None:
    store, dying = await engine.store(), await engine.store()
    await store.tell("wa-1", 2, [delivery(1), delivery(2)], now=NOW)
    await make.cut_off(dying.change_webhook_delivery("wh_1-wa-1-1", answered(200), now=NOW), after)
    await dying.close()
    await store.mend_webhooks("wh_1", now=NOW)
    first = await store.webhook_delivery("wh_1-wa-1-1")
    assert await due(store) == [f"wh_1-wa-1-{1 if first.state == 'pending' else 2}"]


async def test_a_replayed_delivery_goes_beside_its_call(store: Store) -> None:
    await store.tell("wa-1", 3, [delivery(1), delivery(2)], now=NOW)
    await store.change_webhook_delivery("wh_1-wa-1-1", answered(200), now=NOW)
    await store.change_webhook_delivery("wh_1-wa-1-2", answered(503), now=NOW)
    again = await store.change_webhook_delivery("wh_1-wa-1-1", lambda each: replayed(each, NOW + 1), now=NOW + 1)
    assert again is not None
    assert await due(store, NOW + 1) == ["wh_1-wa-1-1"]
    await store.change_webhook_delivery("wh_1-wa-1-1", answered(200), now=NOW + 1)
    assert await due(store, NOW + 9) == ["wh_1-wa-1-2"]


async def test_what_is_pending_is_given_up_by_age_or_altogether(store: Store) -> None:
    await store.tell("wa-1", 3, [delivery(1), delivery(2), delivery(3), delivery(1, to="wh_2")], now=NOW)
    assert await store.give_up_webhooks("wh_1", "nobody answered", now=NOW + 50, since=NOW + 2) == 1
    gone = await store.webhook_delivery("wh_1-wa-1-1")
    assert gone is not None
    assert (gone.state, gone.finished_at, gone.next_at) == ("failed", NOW + 50, None)
    assert gone.last is not None
    assert gone.last.error == "nobody answered"
    assert await due(store, NOW + 50) == ["wh_1-wa-1-2"]
    assert await store.give_up_webhooks("wh_1", "removed", now=NOW + 60) == 2
    assert await store.give_up_webhooks("wh_1", "removed", now=NOW + 60) == 0
    assert await due(store, NOW + 99) == []
    assert await due(store, NOW + 99, to="wh_2") == ["wh_2-wa-1-1"]


async def test_giving_much_up_lets_other_writes_in_between(store: Store) -> None:
    crowd = 3_000
    await store.tell("wa-1", crowd, [delivery(n, f"wa-{n % 50}") for n in range(crowd)], now=NOW)
    giving_up = asyncio.create_task(store.give_up_webhooks("wh_1", "removed", now=NOW + 1))
    others = 0
    while not giving_up.done():
        await store.drop_lease("webhook:wh_none", "nobody")
        others += not giving_up.done()
    assert await giving_up == crowd
    assert others >= 3
    assert await store.webhook_work() == {}


async def test_deliveries_are_listed_and_counted_by_what_they_are(store: Store) -> None:
    rows = [delivery(n, created_at=NOW + 3_600 * n, event="call.ended" if n == 4 else "message.sent") for n in range(5)]
    rows += [delivery(1, to="wh_2", agent="desk", dialect="agentphone"), delivery(1, to="wh_3", org="rival")]
    await store.tell("wa-1", 5, rows, now=NOW)
    await store.change_webhook_delivery("wh_1-wa-1-0", answered(200), now=NOW)
    await store.change_webhook_delivery("wh_1-wa-1-1", answered(400), now=NOW)

    async def ids(limit: int = 50, offset: int = 0, **more: Any) -> list[str]:
        page = await store.webhook_deliveries(WebhookFilter("default", **more), limit=limit, offset=offset)
        assert offset or len(page.items) == min(page.total, limit)
        return [each.id.removeprefix("wh_").replace("-wa-1-", ".") for each in page.items]

    assert await ids() == ["1.4", "1.3", "1.2", "1.1", "2.1", "1.0"]
    assert await ids(limit=2, offset=1) == ["1.3", "1.2"]
    assert await ids(endpoint="wh_1", state="pending") == ["1.4", "1.3", "1.2"]
    assert await ids(agent="desk") == await ids(dialect="agentphone") == ["2.1"]
    assert await ids(event="call.ended") == ["1.4"]
    assert await ids(since=NOW + 3_600, until=NOW + 3 * 3_600) == ["1.2", "1.1"]
    hour = int(NOW // 3_600)
    assert await store.webhook_tallies(WebhookFilter("default", since=NOW + 3_600)) == [
        WebhookTally("message.sent", "failed", int((NOW + 3_600) // 3_600), 1),
        WebhookTally("message.sent", "pending", int((NOW + 7_200) // 3_600), 1),
        WebhookTally("message.sent", "pending", int((NOW + 10_800) // 3_600), 1),
        WebhookTally("call.ended", "pending", int((NOW + 14_400) // 3_600), 1),
    ]
    first = await store.webhook_tallies(WebhookFilter("default", endpoint="wh_1", until=NOW + 1))
    assert first == [WebhookTally("message.sent", "success", hour, 1)]


async def test_finished_deliveries_are_forgotten_and_pending_ones_kept(store: Store) -> None:
    await store.tell("wa-1", 9, [delivery(n, f"wa-{n}") for n in range(6)], now=NOW)
    for n in range(4):
        await store.change_webhook_delivery(f"wh_1-wa-{n}-{n}", answered(200, NOW + n), now=NOW)
    assert await store.forget_webhooks(NOW + 3, limit=2) == 2
    assert await store.forget_webhooks(NOW + 3, limit=2) == 1
    assert await store.forget_webhooks(NOW + 3) == 0
    page = await store.webhook_deliveries(WebhookFilter("default"))
    assert [each.seq for each in page.items] == [5, 4, 3]


async def test_nothing_that_was_to_be_told_of_an_erased_call_is_left(store: Store, make: Any) -> None:
    for n in (1, 2):
        await marked(store, make, make.call(f"wa-{n}", party=f"p{n}"))
        await store.tell(f"wa-{n}", 0, [delivery(n, f"wa-{n}")], now=NOW)
    assert await store.erase_webhooks(["wa-1", "wa-none"]) == 1
    assert await store.untold_calls(9e9) == ["wa-2"]
    assert [each.call for each in (await store.webhook_deliveries(WebhookFilter("default"))).items] == ["wa-2"]
