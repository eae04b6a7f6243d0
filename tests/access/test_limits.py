"""Limits: a burst, then a steady rate, for each name, in bounded memory."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.access.limits import Buckets, Limits


def test_a_burst_passes_and_what_follows_waits(clock: Any) -> None:
    buckets = Buckets(10, ticks=clock)
    assert [buckets.take("a") for _ in range(10)] == [0] * 10
    assert buckets.take("a") == pytest.approx(6)
    assert buckets.take("b") == 0
    clock.now += 3
    assert buckets.take("a") == pytest.approx(3)
    clock.now += 3
    assert buckets.take("a") == 0
    assert buckets.take("a") == pytest.approx(6)
    clock.now += 3600
    assert [buckets.take("a") for _ in range(11)][-1] > 0


@given(st.lists(st.floats(0, 30), max_size=200))
def test_no_minute_has_more_than_twice_the_rate(pauses: list[float]) -> None:
    now, taken = 0.0, []
    buckets = Buckets(10, ticks=lambda: now)
    for pause in pauses:
        now += pause
        if buckets.take("a") == 0:
            taken.append(now)
    for begin in taken:
        assert sum(begin <= at < begin + 60 for at in taken) <= 20


def test_names_without_end_fill_no_memory(clock: Any) -> None:
    buckets = Buckets(1, capacity=100, ticks=clock)
    for n in range(10_000):
        assert buckets.take(f"address {n}") == 0
    assert len(buckets) == 100
    assert buckets.take("address 9999") > 0


def test_the_limits_are_those_that_are_documented() -> None:
    limits = Limits()
    for buckets, number in ((limits.keyless_mints, 10), (limits.key_mints, 300), (limits.opens, 30)):
        waits = [buckets.take("a") for _ in range(number + 1)]
        assert waits[:number] == [0] * number
        assert waits[number] > 0
