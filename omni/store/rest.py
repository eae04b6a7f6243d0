"""The store's side of omni's own REST API: lists in pages however deep, and people who are forgotten for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from omni.model.call import Call, CallStatus
from omni.model.contact import Contact


@dataclass(frozen=True, slots=True)
class CallQuery:
    """Which calls; None means any. `created_after` (included) and `created_before` (not included) are epoch seconds.

    `cursor` is one that came with the page before; what no page came with begins an empty page. It names a place in the
    order and not a call, so it stays good when calls are erased.
    """

    org: str
    agent: str | None = None
    contact: str | None = None
    status: CallStatus | None = None
    created_after: float | None = None
    created_before: float | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class CallPage:
    """`next` is the cursor of the page after this one; None when there is none."""

    calls: Sequence[Call]
    next: str | None = None


class RestStore(Protocol):
    async def call_page(self, where: CallQuery, *, limit: int = 100) -> CallPage:
        """Newest first, by when they began."""

    async def contact_page(self, org: str, *, before: str | None = None, limit: int = 100) -> list[Contact]:
        """Newest first, by id; `before` is the last id of the page before, whether or not it is still there."""

    async def erase_contact(self, org: str, contact_id: str) -> int:
        """Delete a person with everything that is stored of them: calls, logs, deliveries, cases, words to be found by,
        what developers were or are to be told. Returns how many calls there were.

        Nobody may be writing to their calls meanwhile. An erasure that was cut off is finished by asking again: the
        person's own record goes last. A group that they opened loses the calls they opened, and keeps its case.
        """
