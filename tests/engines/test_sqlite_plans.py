"""What the embedded engines ask of their file costs the same however much is in it: every question has an index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from types import ModuleType

import pytest

from omni.bus.sqlite import statements
from omni.store.base import CallFilter
from omni.store.inbox import InboxFilter
from omni.store.rest import CallQuery
from omni.store.sqlite import (
    access,
    agents,
    calls,
    cases,
    contacts,
    deliveries,
    desk,
    erasing,
    heads,
    lists,
    lookups,
    milestones,
    operators,
    pages,
    search,
    tallies,
    trunks,
    webhooks,
)
from omni.store.sqlite.schema import MIGRATIONS

WHOLE_TABLES = {
    "agents.ALL", "statements.QUEUES", "statements.DEAD", "statements.PURGE_ALL",  # lists of what there is
    "access.ALL_KEYS", "webhooks.ALL_ENDPOINTS", "trunks.ALL_TRUNKS",
    "deliveries.UNSENT_BY_BOT",  # an index of the few that are not sent
    "search.FIND",  # an index of words
    "lookups.PEOPLE",  # all of the ids it was given
    "erasing.KEYS",  # rare, and not in the thread that writes
}  # fmt: skip


def questions() -> Iterator[tuple[str, str]]:
    modules: list[ModuleType] = [
        statements, access, agents, calls, cases, contacts, deliveries, desk, erasing, heads, lists, lookups,
        milestones, operators, pages, search, tallies, trunks, webhooks,
    ]  # fmt: skip
    for module in modules:
        name = module.__name__.rpartition(".")[2]
        for constant, sql in vars(module).items():
            if isinstance(sql, str) and sql.split(" ")[0] in {"SELECT", "UPDATE", "DELETE", "INSERT"}:
                yield f"{name}.{constant}", sql
    for agent, contact, is_open, handler, before in product(
        (None, "a"), (None, "c"), (None, True, False), (None, "bot", "human"), (None, "b")
    ):
        where = CallFilter("default", agent, contact, is_open, handler, before)
        yield f"calls.of({agent},{contact},{is_open},{handler},{before})", calls.select_calls(where)[0]

    for agent, contact, status, place in product(
        (None, "a"), (None, "c"), (None, "in_progress", "completed", "no_answer", "failed"), (None, (1.0, 1))
    ):
        query = CallQuery("default", agent, contact, status, 1.0, 2.0)
        asked = pages.call_query(query, place)
        assert asked is not None
        yield f"pages.of({agent},{contact},{status},{place})", asked[0]


@pytest.fixture(scope="module")
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    for version in (*statements.MIGRATIONS, *MIGRATIONS):
        for statement in version:
            connection.execute(statement) if isinstance(statement, str) else statement(connection)
    yield connection
    connection.close()


@pytest.mark.parametrize(("name", "sql"), [pytest.param(name, sql, id=name) for name, sql in questions()])
def test_no_question_reads_a_whole_table_or_sorts_one(db: sqlite3.Connection, name: str, sql: str) -> None:
    values = [None] * sql.count("?")
    steps = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    scans = [step for step in steps if step.startswith("SCAN")]
    if name not in WHOLE_TABLES:
        assert not scans, steps
    if name.startswith(("calls.of(", "pages.of(")):
        assert not [step for step in steps if "TEMP B-TREE" in step], steps


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (CallFilter("default"), "calls_of_org"),
        (CallFilter("default", agent="a"), "calls_of_agent"),
        (CallFilter("default", contact="c"), "calls_of_contact"),
        (CallFilter("default", agent="a", contact="c"), "calls_of_contact"),
        (CallFilter("default", agent="a", contact="c", is_open=True), "calls_of_contact"),
        (CallFilter("default", agent="a", contact="c", handler="human"), "calls_of_contact"),
        (CallFilter("default", is_open=True), "calls_open_of_org"),
        (CallFilter("default", handler="human"), "calls_not_with_bot"),
        (CallFilter("default", is_open=True, handler="human"), "calls_not_with_bot"),
    ],
    ids=str,
)
def test_a_page_of_calls_walks_the_index_of_what_is_asked(
    db: sqlite3.Connection, where: CallFilter, index: str
) -> None:
    sql, values = calls.select_calls(where)
    [step, *_] = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", (*values, 100))]
    assert f"USING INDEX {index} " in step


ANY = InboxFilter("default", 1.0)


@pytest.mark.parametrize(
    ("where", "index", "in_order"),
    [
        (ANY, "calls_open_newest", True),
        (replace(ANY, state=None, before="5.0~7"), "calls_open_newest", True),
        (replace(ANY, labels=("vip",), handlers=("bot", "human"), agents=("a",)), "calls_open_newest", True),
        (replace(ANY, assignee="", handlers=("human", "nobody"), before="5.0~7"), "calls_open_not_with_bot", True),
        (replace(ANY, assignee="op_1", labels=("vip",), handlers=("human",)), "cases_assigned", False),
        (replace(ANY, order="waiting", before="5.0~7"), "calls_waiting", True),
        (replace(ANY, state="ended", before="5.0~7"), "calls_ended_newest", True),
        (replace(ANY, state="ended", assignee="", transports=("chat",)), "calls_ended_newest", True),
        (replace(ANY, state="ended", assignee="op_1"), "cases_assigned", False),
        (replace(ANY, state="ended", labels=("vip",)), "case_labels_of_org", False),
        (replace(ANY, state="snoozed"), "cases_snoozed", False),
    ],
    ids=str,
)
def test_a_page_of_conversations_walks_the_index_with_the_fewest_in_vain(
    db: sqlite3.Connection, where: InboxFilter, index: str, in_order: bool
) -> None:
    selected = lists.select_list(where)
    assert selected is not None
    sql, values = selected
    steps = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", (*values, 100))]
    assert f"INDEX {index} " in steps[0], steps
    assert not [step for step in steps[1:] if "_newest" in step], steps  # not all ended ones again for each case
    assert not [step for step in steps if step.startswith("SCAN")], steps
    assert [step for step in steps if "TEMP B-TREE" in step] == [] or not in_order, steps
