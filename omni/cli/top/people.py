"""What goes on between people and agents now, as the server's REST tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from omni.cli.address import Address
from omni.cli.opening import Failure
from omni.cli.remote import get
from omni.model.call import TRANSPORT_PREFIX

TRANSPORTS: Final = (*TRANSPORT_PREFIX, "phone")


@dataclass(frozen=True, slots=True)
class People:
    """Open conversations: by who has them, and by transport. Snoozed ones are counted in neither."""

    open: int
    with_bot: int
    with_people: int
    waiting: int
    snoozed: int
    by_transport: dict[str, int]

    def json(self) -> dict[str, JsonValue]:
        return {
            "open": self.open,
            "with_bot": self.with_bot,
            "with_people": self.with_people,
            "waiting": self.waiting,
            "snoozed": self.snoozed,
            "by_transport": dict(self.by_transport),
        }


async def people_at(addresses: Sequence[Address], now: float) -> People:
    """From the first address that has a REST API: other roles only have metrics. Raises Failure."""
    problem: Failure | None = None
    for address in addresses:
        try:
            whole, *each = await asyncio.gather(
                _under_way(address, now, ""), *(_under_way(address, now, f"&transport={name}") for name in TRANSPORTS)
            )
        except Failure as failure:
            problem = problem or failure
            continue
        by = {name: found["open"] for name, found in zip(TRANSPORTS, each, strict=True) if found["open"]}
        return People(
            whole["open"], whole["with_bot"], whole["with_people"], whole["waiting"], whole["snoozed"], by_transport=by
        )
    raise problem or Failure("no server is named; give its address: omni top URL")


async def _under_way(address: Address, now: float, more: str) -> dict[str, int]:
    body: dict[str, Any] = await get(address, f"/v1/inbox/overview?since={now - 1:.0f}&until={now:.0f}{more}")
    found = body.get("now")
    names = ("open", "with_bot", "with_people", "waiting", "snoozed")
    if not isinstance(found, dict) or not all(isinstance(found.get(name), int) for name in names):
        raise Failure(f"{address.url} answers, but not as an omni server does; is its address right?")
    return {name: found[name] for name in names}
