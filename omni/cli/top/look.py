"""One look at a process: what its `/metrics` said at a moment."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from omni.cli.opening import Failure

ANSWER_SECONDS: Final = 5.0
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Look:
    """`samples` by name, and by labels. `at` is the loop's time in seconds, `wall` epoch seconds."""

    at: float
    wall: float
    samples: Mapping[str, Mapping[Labels, float]] = field(repr=False)

    def total(self, name: str, **labels: str) -> float:
        """The sum over all labels that are not named."""
        wanted = set(labels.items())
        return sum(value for has, value in self.samples.get(name, {}).items() if wanted <= set(has))

    def one(self, name: str) -> float | None:
        found = self.samples.get(name)
        return None if not found else next(iter(found.values()))

    def by(self, name: str, label: str) -> dict[str, float]:
        """The sums of a name, by one of its labels."""
        sums: dict[str, float] = defaultdict(float)
        for has, value in self.samples.get(name, {}).items():
            sums[dict(has).get(label, "")] += value
        return dict(sums)

    def buckets(self, name: str) -> dict[float, float]:
        """A histogram's counts up to each bound."""
        return {float(bound): count for bound, count in self.by(f"{name}_bucket", "le").items()}


def read(text: str, at: float, wall: float) -> Look:
    """Raises ValueError when it is not Prometheus' format."""
    samples: dict[str, dict[Labels, float]] = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name][tuple(sample.labels.items())] = sample.value
    return Look(at, wall, samples)


async def look_at(session: aiohttp.ClientSession, url: str, wall: float) -> Look:
    """Raises Failure."""
    try:
        async with session.get(f"{url}/metrics", timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as answer:
            status, text = answer.status, await answer.text()
    except (aiohttp.ClientError, TimeoutError, OSError, UnicodeDecodeError):
        raise Failure(
            f"no server answers at {url}/metrics; start one (omni serve), or name another: omni top URL"
        ) from None
    try:
        found = read(text, asyncio.get_running_loop().time(), wall) if status == 200 else None
    except ValueError:
        found = None
    if found is None or found.one("omni_open_actors") is None:
        raise Failure(f"{url}/metrics answered {status}, and not with omni's metrics; is it an omni server's address?")
    return found
