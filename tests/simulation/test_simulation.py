"""Seeded simulation of the text path: whatever happens between any two steps, design.md's promises hold.

`OMNI_SIMULATION_TOWNS=500` plays more towns (100 people each); a broken run prints its seed.
"""

from __future__ import annotations

import os

import pytest

from tests.simulation.town import Town

TOWNS = int(os.environ.get("OMNI_SIMULATION_TOWNS", "72"))
LANES = 8


@pytest.mark.timeout(600)
@pytest.mark.parametrize("lane", range(LANES))
def test_promises_hold_whatever_happens(lane: int) -> None:
    first = int(os.environ.get("OMNI_SIMULATION_SEED", "1"))
    for seed in range(first + lane, first + TOWNS, LANES):
        programs = 1 + seed % 8 // 4 if seed % 4 == 0 else 0
        report = Town(seed, programs=programs, onlookers=12 if seed % 2 == 0 else 0, has_rivals=seed % 3 == 0).run()
        assert not report.broken, f"seed {seed} breaks: {report.broken[:5]}"
