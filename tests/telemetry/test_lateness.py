"""Being late: the quickest of the last moments counts."""

from __future__ import annotations

from omni.telemetry.lateness import Lateness


def test_one_that_waits_for_reasons_of_its_own_does_not_make_everybody_late() -> None:
    lateness = Lateness()
    for n in range(20):
        lateness.note(60.0 if n % 2 else 0.01, 100 + n / 10)
    assert lateness.seconds(102) == 0.01


def test_when_even_the_quickest_is_late_it_shows() -> None:
    lateness = Lateness()
    for n in range(20):
        lateness.note(2.0 + n / 10, 100 + n / 10)
    assert lateness.seconds(102) >= 2.0


def test_lateness_is_forgotten_when_nothing_comes() -> None:
    lateness = Lateness()
    for n in range(20):
        lateness.note(5.0, 100 + n / 10)
    assert lateness.seconds(102) == 5.0
    assert lateness.seconds(104.1) == 0.0


def test_a_clock_that_goes_back_makes_nobody_late() -> None:
    lateness = Lateness()
    lateness.note(5.0, 100)
    lateness.note(5.0, 101)
    lateness.note(0.0, 50)
    assert lateness.seconds(50) == 0.0
