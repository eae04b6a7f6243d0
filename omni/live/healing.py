"""What a lost broadcast would have told: found by comparing followers with the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from omni.live.follower import Follower
from omni.model.call import Call
from omni.store.base import CallFilter, Store

T = TypeVar("T")

PIECE: Final = 500
"""So much is asked at once, and so many followers are looked at before others have the event loop."""


async def compare(store: Store, followers: Sequence[Follower]) -> None:
    """Whoever is behind the log of a call that it follows reads on. Raises StoreError."""
    for some in _pieces(followers):
        calls = _grouped((call, follower) for follower in some for call in follower.waits_for())
        for ids in _pieces(list(calls)):
            for call, seq in (await store.last_seqs(ids)).items():
                for follower in calls[call]:
                    if follower.is_behind(call, seq):
                        follower.look(call)
        conversations = _grouped((one.conversation, one) for one in some if one.conversation is not None)
        if conversations:
            for conversation, call in (await store.newest_calls(list(conversations))).items():
                for follower in conversations[conversation]:
                    if not follower.knows(call):
                        follower.look(call)


async def find_new_calls(store: Store, org: str, agent: str, followers: Collection[Follower]) -> None:
    """Open calls that began after a follower of the whole agent did, and that it never heard of. Raises StoreError."""
    if not followers:
        return
    earliest = min(follower.since for follower in followers)
    before: str | None = None
    while True:
        page: list[Call] = await store.calls(CallFilter(org=org, agent=agent, is_open=True, before=before), limit=PIECE)
        for call in page:
            for follower in followers:
                if follower.misses(call):
                    follower.look(call.id)
        if len(page) < PIECE or page[-1].started_at < earliest:
            return
        before = page[-1].id


def _grouped(pairs: Iterable[tuple[str, Follower]]) -> dict[str, list[Follower]]:
    groups: dict[str, list[Follower]] = {}
    for name, follower in pairs:
        groups.setdefault(name, []).append(follower)
    return groups


def _pieces(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), PIECE):
        yield items[start : start + PIECE]
