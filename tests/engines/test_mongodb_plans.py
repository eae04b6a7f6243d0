"""What lists ask of MongoDB can be found by the index that was made for it: the server says which ones it considers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pymongo
import pytest

from omni.store.inbox import InboxFilter
from omni.store.mongodb import MongoStore
from omni.store.mongodb.lists import list_query

pytestmark = pytest.mark.mongodb

ANY = InboxFilter("default", 1.0)


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (ANY, "org_newest_said"),
        (replace(ANY, state="ended"), "org_newest_said"),
        (replace(ANY, handlers=("human",)), "org_counted"),
        (replace(ANY, assignee="op_1"), "org_assigned"),
        (replace(ANY, assignee="op_1", state="ended"), "org_assigned"),
        (replace(ANY, labels=("vip",)), "org_labelled"),
        (replace(ANY, labels=("vip", "late"), state="ended"), "org_labelled"),
        (replace(ANY, state="snoozed"), "org_snoozed"),
        (replace(ANY, order="waiting"), "org_waiting"),
    ],
    ids=str,
)
async def test_a_list_may_use_the_index_of_what_is_rare_in_it(mongo_url: str, where: InboxFilter, index: str) -> None:
    store = MongoStore(mongo_url)
    await store.open()
    await store.close()
    query = list_query(where)
    with pymongo.MongoClient[dict[str, Any]](mongo_url) as client:
        find = {"find": "calls", "filter": query, "sort": {"newest_at": -1, "_id": -1}, "limit": 101}
        planner = client.get_default_database().command("explain", find)["queryPlanner"]
    plans = [planner["winningPlan"], *planner["rejectedPlans"]]
    assert index in {name for plan in plans for name in _indexes(plan)}


def _indexes(plan: Any) -> Iterator[str]:
    if isinstance(plan, dict):
        if "indexName" in plan:
            yield plan["indexName"]
        for inner in plan.values():
            yield from _indexes(inner)
    elif isinstance(plan, list):
        for inner in plan:
            yield from _indexes(inner)
