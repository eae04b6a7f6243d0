"""Figures: percentiles, medians with their spread, and whether a target is met."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed; `sorted_values` ascend and are not empty."""
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of several rounds, and the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        return cls(statistics.median(values), min(values), max(values))

    def show(self, digits: int = 1, unit: str = "") -> str:
        return f"{self.median:,.{digits}f}{unit}"

    def spread(self, digits: int = 1) -> str:
        return f"{self.least:,.{digits}f}–{self.most:,.{digits}f}"


@dataclass(frozen=True, slots=True)
class Target:
    """A promise and what was measured. `is_met` None: not measured in this run."""

    name: str
    wanted: str
    measured: str
    is_met: bool

    def line(self) -> str:
        return f"{'met   ' if self.is_met else 'MISSED'}  {self.name}: {self.measured} (target {self.wanted})"


def at_most(name: str, value: float, limit: float, unit: str, digits: int = 1) -> Target:
    return Target(name, f"≤ {limit:g} {unit}", f"{value:,.{digits}f} {unit}", value <= limit)


def at_least(name: str, value: float, limit: float, unit: str, digits: int = 0) -> Target:
    return Target(name, f"≥ {limit:g} {unit}", f"{value:,.{digits}f} {unit}", value >= limit)


def paragraph(text: str) -> str:
    """Running text, as wide as the tables."""
    return textwrap.fill(" ".join(text.split()), 116)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns wide enough for what is in them; the first one flush left, the others right."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return "  " + "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )

    return "\n".join([line(head), "  " + "  ".join("-" * width for width in widths), *map(line, rows)])


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report. `numbers` is the same for machines."""

    name: str
    text: str
    targets: Sequence[Target]
    numbers: dict[str, Any]
