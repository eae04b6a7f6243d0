"""The overview's figures, by example: zones, days that are shorter or longer, and periods in which nothing was."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.gateway.inbox.figures import Period, is_contained, overview, quantile, spread, table, totals
from omni.store.inbox import Count, Tally
from tests.inbox.conftest import Hire
from tests.server.conftest import OpenShop
from tests.server.shop import ECHO, agent_of

MADRID = ZoneInfo("Europe/Madrid")
UTC = ZoneInfo("UTC")


def tally(**changes: Any) -> Tally:
    fields: dict[str, Any] = {
        "agent": "desk",
        "transport": "whatsapp",
        "is_open": False,
        "handler": "bot",
        "reason": "idle_timeout",
        "started_at": 1000.0,
        "ended_at": 2000.0,
        "waiting_since": None,
        "first_user_at": 1000.0,
        "first_answer_at": 1002.0,
        "first_human_at": None,
        "handoffs": 0,
        "user_messages": 1,
        "bot_messages": 1,
        "human_messages": 0,
        "failed": 0,
    }
    return Tally(**{**fields, **changes})


def at(text: str, zone: ZoneInfo = MADRID) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def test_a_call_counts_on_the_day_it_began_where_the_reader_is() -> None:
    late = at("2026-03-10T23:30")  # in Madrid; 22:30 in London, and the next day in Tokyo
    period = Period(at("2026-03-10T00:00"), at("2026-03-12T00:00"), MADRID)
    found: Any = overview([tally(started_at=late)], [], period, None, None)
    assert [(day["day"], day["conversations"]) for day in found["days"]] == [("2026-03-10", 1), ("2026-03-11", 0)]
    assert found["hours"][23] == 1
    tokyo = Period(period.since, period.until, ZoneInfo("Asia/Tokyo"))
    found = overview([tally(started_at=late)], [], tokyo, None, None)
    assert [(day["day"], day["conversations"]) for day in found["days"]][:2] == [("2026-03-10", 0), ("2026-03-11", 1)]


@pytest.mark.parametrize(
    ("first", "last", "hours"), [("2026-03-28", "2026-03-31", 71), ("2026-10-24", "2026-10-27", 73)]
)
def test_days_are_dates_where_clocks_change(first: str, last: str, hours: int) -> None:
    period = Period(at(f"{first}T00:00"), at(f"{last}T00:00"), MADRID)
    assert period.until - period.since == hours * 3600
    begun = [tally(started_at=period.since + n * 3600 + 1) for n in range(hours)]
    found: Any = overview(begun, [], period, None, None)
    days = [day["conversations"] for day in found["days"]]
    assert (len(days), sum(days)) == (3, hours)
    assert sorted(days) == ([23, 24, 24] if hours == 71 else [24, 24, 25])
    assert sum(found["hours"]) == hours


def test_nothing_is_no_figure_and_not_zero() -> None:
    found: Any = overview([], [], Period(at("2026-03-10T00:00"), at("2026-03-11T00:00"), MADRID), None, None)
    assert found["totals"]["containment"] is None
    assert found["totals"]["first_response"] == {"median": None, "p90": None, "n": 0}
    assert found["now"] == {"open": 0, "with_bot": 0, "with_people": 0, "waiting": 0, "snoozed": 0}
    assert found["days"] == [
        {"day": "2026-03-10", "conversations": 0, "contained": 0, "handoffs": 0, "first_response_median": None}
    ]
    assert (found["by_transport"], found["by_agent"], sum(found["hours"])) == ([], [], 0)


@pytest.mark.parametrize(
    ("changes", "contained"),
    [
        ({}, True),
        ({"is_open": True, "ended_at": None}, False),
        ({"user_messages": 0}, False),
        ({"handoffs": 1}, False),
        ({"human_messages": 1}, False),
        ({"reason": "resolved"}, True),
    ],
)
def test_contained_is_what_ended_without_our_side(changes: dict[str, Any], contained: bool) -> None:
    assert is_contained(tally(**changes)) is contained


def test_containment_is_a_share_of_what_ended_with_a_customer_in_it() -> None:
    found: Any = totals([tally(), tally(handoffs=1), tally(user_messages=0), tally(is_open=True)])
    assert (found["contained"], found["containment"], found["conversations"]) == (1, 0.5, 4)


def test_times_are_measured_from_the_customers_first_message() -> None:
    calls = [
        tally(first_user_at=100.0, first_answer_at=100.0 + wait, first_human_at=100.0 + 10 * wait)
        for wait in (1.0, 2.0, 3.0, 4.0, 5.0)
    ]
    found: Any = totals([*calls, tally(first_answer_at=None), tally(reason="resolved", started_at=0, ended_at=60)])
    assert found["first_response"] == {"median": 2.5, "p90": 4.5, "n": 6}
    assert found["first_human_response"] == {"median": 30.0, "p90": 46.0, "n": 5}
    assert found["resolution"] == {"median": 60.0, "p90": 60.0, "n": 1}
    assert found["resolved"] == 1


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_quantile_is_among_its_values(values: list[float], part: float) -> None:
    found = quantile(sorted(values), part)
    assert found is not None
    assert min(values) - 0.001 <= found <= max(values) + 0.001


def test_a_spread_leaves_out_what_there_is_not() -> None:
    assert spread([None, 3.0, None]) == {"median": 3.0, "p90": 3.0, "n": 1}


def test_agents_and_channels_are_told_apart_and_chosen() -> None:
    calls = [tally(), tally(transport="chat"), tally(agent="shop", transport="chat", human_messages=2)]
    counts = [
        Count(3, "bot", "whatsapp", "desk", None, False),
        Count(2, "human", "chat", "shop", "op_1", False),
        Count(1, "nobody", "chat", "desk", None, False),
        Count(4, "human", "chat", "desk", None, True),
    ]
    period = Period(0.0, 86_400.0, UTC)
    found: Any = overview(calls, counts, period, None, None)
    assert [(row["transport"], row["conversations"]) for row in found["by_transport"]] == [("chat", 2), ("whatsapp", 1)]
    assert [(row["agent"], row["messages"]["human"]) for row in found["by_agent"]] == [("desk", 0), ("shop", 2)]
    assert found["now"] == {"open": 6, "with_bot": 3, "with_people": 2, "waiting": 1, "snoozed": 4}
    found = overview(calls, counts, period, "desk", "chat")
    assert (found["totals"]["conversations"], found["now"]["open"], found["now"]["snoozed"]) == (1, 1, 4)


def test_the_table_has_a_line_a_day() -> None:
    period = Period(at("2026-03-10T00:00"), at("2026-03-12T00:00"), MADRID)
    lines = table([tally(started_at=period.since)], period, None, None).splitlines()
    assert lines[0].startswith("day,conversations,messages_user")
    assert lines[1].split(",")[:8] == ["2026-03-10", "1", "1", "1", "0", "0", "1", "1.0"]
    assert lines[2].split(",")[:8] == ["2026-03-11", "0", "0", "0", "0", "0", "0", ""]
    assert len({len(line.split(",")) for line in lines}) == 1


async def test_the_overview_of_a_running_server(open_shop: OpenShop, hire: Hire, engine: dict[str, Any]) -> None:
    human = {"when": "human", "say": "One moment, please.", "handoff": True}
    shop = await open_shop(engine, agent_of(script=[human, ECHO]))
    boss = await hire(shop, "boss", role="admin")
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    await shop.commands.end(await shop.call(), "x")
    await tess.row(lambda row: row["reason"] is not None, "?state=ended")
    shop.say("a human, please", "447700900123")
    await shop.answers(1, "447700900123")
    await tess.row(lambda row: row["handler"] == "nobody")
    now = (await shop.call()).started_at
    query = f"since={now - 3600}&until={now + 3600}&zone=Europe/Madrid"
    found = await tess.get(f"/overview?{query}")
    assert (found["totals"]["conversations"], found["totals"]["contained"], found["totals"]["handoffs"]) == (2, 1, 1)
    assert found["now"]["waiting"] == 1
    assert found["period"]["zone"] == "Europe/Madrid"
    assert (await tess.ask("GET", f"/overview.csv?{query}")).status == 403
    csv = await boss.ask("GET", f"/overview.csv?{query}")
    assert (csv.status, csv.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    for wrong in ("zone=Mars/Base", "since=x", "since=5&until=4", "since=0&until=3e9", "since=nan", "zone=../etc"):
        assert (await tess.ask("GET", f"/overview?{wrong}")).status == 422, wrong
