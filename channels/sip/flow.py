"""Ways that SIP goes.

A `Flow` is one way to one peer. Over UDP there is always one; over TCP and TLS it is a connection, which they or we
have opened, and it is used both ways as long as it lives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from omni.model.sip import Transport


@dataclass(frozen=True, slots=True)
class Hop:
    """A place to send to. `name` is what a TLS certificate has to say."""

    transport: Transport
    host: str
    port: int
    name: str = ""


class Flow(Protocol):
    """`local` is the address that it leaves from; `hop` whom it leads to."""

    @property
    def hop(self) -> Hop: ...
    @property
    def local(self) -> tuple[str, int]: ...
    @property
    def is_reliable(self) -> bool: ...
    @property
    def is_open(self) -> bool: ...
    def send(self, data: bytes) -> None:
        """Returns at once and never raises: what cannot be sent is lost."""


Received = Callable[[bytes, Flow], None]
Admits = Callable[[str], bool]
