"""Kicks: an operator takes an agent away from the program that is connected for it, wherever that is connected."""

from __future__ import annotations

from pydantic import ValidationError

from omni.bus.base import Bus
from omni.live.presence import Program
from omni.model.base import Value


class Kick(Value):
    """`holder` is the connection that is meant: a program that connected meanwhile stays."""

    org: str
    agent: str
    holder: str


def kicks_topic(desk: str) -> str:
    """Where a gateway process hears which of its connections are kicked; a body is for `load_kick`."""
    return f"kick:{desk}"


async def kick(bus: Bus, program: Program) -> None:
    """Tell the gateway that has the program's connection. Best effort: a gateway that does not hear it is gone, and
    the program's lease runs out. Raises BusError."""
    told = Kick(org=program.org, agent=program.agent, holder=program.holder)
    await bus.broadcast(kicks_topic(program.desk), told.model_dump_json().encode())


def load_kick(body: bytes) -> Kick | None:
    """None for a body that we did not write, such as that of broadcasts that were missed."""
    try:
        return Kick.model_validate_json(body)
    except ValidationError:
        return None
