"""Gates let through what the platform allows, and no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.pacing import NumberRate, PairRates

PAIR = ("whatsapp:100", "contact")


def sends(rate: NumberRate, start: float, seconds: float) -> list[float]:
    """Times of all sends of someone who always has more to send."""
    now, times = start, []
    while now < start + seconds:
        wait = rate.wait(now)
        if wait > 0:
            now += wait
            continue
        rate.take(now)
        times.append(now)
    return times


def test_a_number_stays_under_its_rate_and_bursts_a_quarter_of_a_second() -> None:
    times = sends(NumberRate(60), 1000.0, 10.0)
    assert len(times) == pytest.approx(615, abs=2)
    fullest = max(sum(1 for t in times if start <= t < start + 1) for start in times)
    assert fullest <= 76  # the platform's ceiling is 80


def test_a_refused_number_stops_halves_and_recovers_gradually() -> None:
    rate = NumberRate(60)
    rate.slow_down(1000.0)
    assert rate.wait(1000.0) == 1.0
    assert rate.current(1001.0) == 30
    assert rate.current(1011.0) == pytest.approx(42)
    assert rate.current(1040.0) == 60


def test_refusals_of_sends_that_were_on_their_way_together_count_once() -> None:
    rate = NumberRate(60)
    for _ in range(64):
        rate.slow_down(1000.0)
    assert rate.current(1001.0) == 30


def test_a_number_honours_retry_after_and_backs_off_further_each_time() -> None:
    rate = NumberRate(60)
    rate.slow_down(1000.0, retry_after=7)
    assert rate.wait(1000.0) == 7
    rate.slow_down(1007.0)
    assert rate.wait(1007.0) == 2


@given(
    interval=st.floats(0.5, 10),
    burst=st.integers(1, 45),
    gaps=st.lists(st.floats(0, 30), min_size=1, max_size=60),
)
def test_a_pair_never_gets_more_than_its_burst_and_its_interval_allow(
    interval: float, burst: int, gaps: list[float]
) -> None:
    pairs, now, times = PairRates(), 1000.0, []
    for gap in gaps:
        now += gap
        now += pairs.wait(PAIR, interval, burst, now)
        pairs.take(PAIR, interval, now)
        times.append(now)
    for first in range(len(times)):
        for last in range(first, len(times)):
            allowed = burst + (times[last] - times[first]) / interval
            assert last - first + 1 <= allowed + 1e-6


def test_a_refused_pair_waits_four_times_longer_each_time_until_it_goes_well() -> None:
    pairs = PairRates()
    assert [pairs.slow_down(PAIR, 1000.0) for _ in range(3)] == [1, 4, 16]
    assert pairs.wait(PAIR, 6, 10, 1000.0) == 16
    assert pairs.wait(("whatsapp:100", "somebody else"), 6, 10, 1000.0) == 0
    pairs.went_well(PAIR)
    assert pairs.slow_down(PAIR, 2000.0) == 1


def test_pairs_that_are_free_again_are_forgotten() -> None:
    pairs = PairRates(prune_at=100)
    for n in range(100):
        pairs.take(("whatsapp:100", str(n)), 6, 1000.0)
    pairs.take(PAIR, 6, 2000.0)
    assert len(pairs) == 1
