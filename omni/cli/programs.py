"""Which agents have a program connected, as the store knows it."""

from __future__ import annotations

import time

from omni.live.presence import Program, program_lease, program_of
from omni.model.base import DEFAULT_ORG
from omni.store.base import Store


async def connected_programs(store: Store) -> dict[str, Program]:
    """By agent. A program whose server died is among them for some seconds. Raises StoreError."""
    leases = await store.leases(program_lease(DEFAULT_ORG, ""), now=time.time())
    programs = (program_of(lease) for lease in leases)
    return {program.agent: program for program in programs if program is not None and program.org == DEFAULT_ORG}
