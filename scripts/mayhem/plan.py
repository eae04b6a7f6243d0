"""What one run does: how much load, how many faults, in which topology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Topology = Literal["embedded", "distributed"]

SETTLE_WAIT = 2.0
"""OMNI_SETTLE_WAIT of the processes: seconds an unclear send waits for a status before it is made again."""

SLOTS = 64
"""Provider requests that one delivery worker has under way at most (`workers.delivery.DeliveryWorker.slots`)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. Times are seconds.

    `load_seconds` is over how long the messages are spread; `kill_every` the mean life of a process; `drain_share` of
    the faults are SIGTERM instead of SIGKILL, which must end in a clean exit; `cut` is how long the broker is out of
    reach once in the middle of the load (distributed only, 0 never); `patience` how long the end of the load, and then
    quiet, is waited for when nothing is left to answer.
    """

    topology: Topology
    seed: int
    contacts: int
    messages: int
    load_seconds: float
    kill_every: float
    debounce_ms: int
    has_statuses: bool
    drain_share: float = 0.15
    cut: float = 0.0
    duplicates: float = 0.2
    patience: float = 120.0
    partitions: int = 8

    @property
    def title(self) -> str:
        debounce = f"debounce {self.debounce_ms} ms" if self.debounce_ms else "no debounce"
        return f"{self.topology}, {debounce}, statuses {'on' if self.has_statuses else 'off'}"

    @property
    def size(self) -> int:
        return self.contacts * self.messages
