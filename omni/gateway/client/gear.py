"""What the whole surface works with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from omni.access.keys import Keys
from omni.blobs.base import Blobs
from omni.bus.base import Bus
from omni.gateway.client.timing import Limits, Timing
from omni.live.hub import Hub
from omni.live.presence import Presence
from omni.live.teller import Teller
from omni.live.visitor import Visits
from omni.model.ids import NewId, new_id
from omni.store.base import Store
from sessions.book import Book
from sessions.commands import Commands


@dataclass(frozen=True, slots=True)
class Gear:
    """`declared` are the agents (organisation, slug) that the operator wrote down: they are always at work, connected
    or not. `model` is the model that answers when nobody names one."""

    store: Store
    bus: Bus
    blobs: Blobs
    hub: Hub
    presence: Presence
    book: Book
    commands: Commands
    keys: Keys
    visits: Visits
    teller: Teller
    declared: frozenset[tuple[str, str]] = frozenset()
    model: str = ""
    timing: Timing = field(default_factory=Timing)
    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], float] = time.time
    new_id: NewId = new_id
