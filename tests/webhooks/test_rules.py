"""When an event is tried again, and when an endpoint rests. Pure: time and dice are arguments."""

from __future__ import annotations

from typing import Any

import pytest

from omni.model.webhook import (
    AGENTPHONE_GAPS,
    DAY,
    Dialect,
    WebhookAttempt,
    WebhookDelivery,
    attempted,
    gap,
    replayed,
)
from workers.webhooks.circuit import FIRST_PAUSE, LONGEST_PAUSE, Circuit

T0 = 1_800_000_000.0


def delivery(**more: Any) -> WebhookDelivery:
    return WebhookDelivery.model_validate(
        {"id": "d", "endpoint": "e", "lane": "c", "seq": 1, "event": "x", "body": "{}", "created_at": T0, "since": T0}
        | {"next_at": T0, **more}
    )


def failure(status: int | None = 500, **more: Any) -> WebhookAttempt:
    return WebhookAttempt(at=T0, ms=1, status=status, error="no", **more)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    done = attempted(delivery(), failure(status), T0 + 1, lambda: 1.0)
    assert (done.state, done.next_at, done.finished_at) == ("success", None, T0 + 1)


@pytest.mark.parametrize("status", [None, 408, 409, 425, 429, 500, 502, 503, 599])
def test_what_may_pass_is_tried_again(status: int | None) -> None:
    after = attempted(delivery(), failure(status), T0 + 1, lambda: 1.0)
    assert (after.state, after.next_at) == ("pending", T0 + 11)


@pytest.mark.parametrize("status", [100, 301, 302, 308, 400, 401, 403, 404, 410, 418, 422, 451])
def test_what_will_not_pass_is_final(status: int) -> None:
    assert attempted(delivery(), failure(status), T0 + 1, lambda: 1.0).state == "failed"


def test_an_address_that_is_refused_is_final() -> None:
    assert attempted(delivery(), failure(None, is_final=True), T0, lambda: 1.0).state == "failed"


@pytest.mark.parametrize("dice", [0.0, 0.5, 1.0])
def test_waits_grow_with_full_jitter_and_end_after_a_day(dice: float) -> None:
    now, each, waits = T0, delivery(), []
    while each.state == "pending":
        each = attempted(each, failure(), now, lambda: dice)
        if each.next_at is not None:
            waits.append(each.next_at - now)
            assert each.next_at <= T0 + DAY + 1
            now = each.next_at
    assert now >= T0 + DAY
    assert all(1.0 <= wait <= 14_400.0 for wait in waits)
    if dice:
        assert waits[:4] == [dice * 10, dice * 30, dice * 90, dice * 270]


def test_agentphones_gaps_are_five() -> None:
    assert [gap("agentphone", n, lambda: 0.0) for n in range(1, 7)] == [*AGENTPHONE_GAPS, None]


@pytest.mark.parametrize("dialect", ["omni", "agentphone"])
def test_retry_after_only_makes_it_later_and_by_an_hour_at_most(dialect: Dialect) -> None:
    for asked, least in ((1.0, 1.0), (1_800.0, 1_800.0), (90_000.0, 3_600.0)):
        after = attempted(delivery(dialect=dialect), failure(429, retry_after=asked), T0, lambda: 0.1)
        usual = 60.0 if dialect == "agentphone" else 1.0
        assert after.next_at == T0 + max(usual, least)


def test_what_had_to_wait_for_a_day_is_tried_once() -> None:
    late = delivery(since=T0 - 2 * DAY)
    assert attempted(late, failure(), T0, lambda: 1.0).state == "failed"
    assert attempted(late, failure(200), T0, lambda: 1.0).state == "success"


def test_a_replay_begins_anew_and_a_pending_one_is_only_hurried() -> None:
    failed = attempted(delivery(), failure(404), T0, lambda: 1.0)
    again = replayed(failed, T0 + 9)
    assert (again.state, again.tries, again.since, again.next_at) == ("pending", 0, T0 + 9, T0 + 9)
    assert (again.id, again.attempts) == (failed.id, failed.attempts)
    waiting = attempted(delivery(), failure(500), T0, lambda: 1.0)
    assert replayed(waiting, T0 + 1) == waiting.model_copy(update={"next_at": T0 + 1})
    behind = delivery(next_at=None)
    assert replayed(behind, T0 + 1) is behind


def test_one_failing_conversation_never_makes_an_endpoint_rest_and_five_do() -> None:
    circuit = Circuit()
    for _ in range(100):
        assert not circuit.failed("a", T0)
    assert circuit.room(T0, 8, 3) == 5
    for lane in "bcd":
        assert not circuit.failed(lane, T0)
    assert circuit.failed("e", T0)
    assert circuit.room(T0 + FIRST_PAUSE - 1, 8, 0) == 0


def test_a_success_in_between_begins_the_count_anew() -> None:
    circuit = Circuit()
    for lane in "abcd":
        circuit.failed(lane, T0)
    circuit.went_well()
    assert not circuit.failed("e", T0)


def test_a_resting_endpoint_is_asked_by_one_at_a_time_ever_less_often() -> None:
    circuit, now, pauses = Circuit(), T0, []
    for lane in "abcde":
        circuit.failed(lane, now)
    assert not circuit.failed("f", now + 1)  # it was under way
    for _ in range(8):
        assert circuit.open_until is not None
        pauses.append(circuit.open_until - now)
        now = circuit.open_until
        assert (circuit.room(now, 8, 0), circuit.room(now, 8, 1)) == (1, 0)
        assert circuit.failed("a", now)
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    circuit.went_well()
    assert circuit.room(now, 8, 0) == 8


def test_a_clock_that_is_set_back_lets_no_endpoint_rest_for_longer_than_it_would() -> None:
    circuit = Circuit()
    for lane in "abcde":
        circuit.failed(lane, T0)
    assert circuit.room(T0, 8, 0) == 0
    assert circuit.room(T0 - DAY, 8, 0) == 1
    assert circuit.failed("a", T0 - DAY)
    assert circuit.room(T0 - DAY, 8, 0) == 0
