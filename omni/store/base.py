"""The store: the call log and what is looked up beside it.

The log has one append point. `(call, seq)` and every input key are unique in the engine itself, so two workers that
both believe they own a call cannot both append, and an input that arrives twice cannot act twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from omni.model.access import ApiKey, Lease
from omni.model.agent import Agent
from omni.model.call import Call, Snapshot
from omni.model.contact import Contact, Identity
from omni.model.delivery import Delivery
from omni.model.entry import Entry
from omni.store.inbox import InboxStore
from omni.store.rest import RestStore
from omni.store.trunks import TrunkStore
from omni.store.webhooks import WebhookStore


class StoreError(Exception):
    """The store could not do what was asked; the text says what and how to mend it."""


class StoreUnavailableError(StoreError):
    """The engine cannot be reached (for now). Try again."""


class SeqConflictError(StoreError):
    """Somebody else appended to this call, or opened one for this conversation: load it again and decide anew."""


class DuplicateInputError(StoreError):
    """Inputs with these keys have acted before. Nothing was appended."""

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(f"already acted on: {', '.join(keys)}")
        self.keys = tuple(keys)


class VersionConflictError(StoreError):
    """A record changed since it was read: read it again."""


@dataclass(frozen=True, slots=True)
class Append:
    """One atomic step of a call.

    `entries` are consecutive and continue the log; `keys` are the input keys they act on; `call` is the document after
    them; `deliveries` are new ones; `snapshot` replaces the call's. `entries[0].seq` is 1 for a call that does not
    exist yet. `tells`: the entries are to be told to webhooks (`WebhookStore.untold`).
    """

    call: Call
    entries: Sequence[Entry]
    keys: Sequence[str] = ()
    deliveries: Sequence[Delivery] = ()
    snapshot: Snapshot | None = None
    tells: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """A call as the log has it. `entries` follow `snapshot.seq` (all of them when there is no snapshot).

    Entries beyond `call.last_seq` were appended by a worker that died before it could write the document and the
    deliveries: whoever loads it writes them. `unsent` are deliveries still queued or being sent.
    """

    call: Call
    entries: Sequence[Entry]
    unsent: Sequence[Delivery] = ()
    snapshot: Snapshot | None = None


MILESTONES: Final = frozenset({"call.ringing", "call.started", "call.ended"})
"""Types of the entries that make up an agent's log."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """An entry of an agent's log: that one of its calls began, or ended. `number` grows by one an entry."""

    number: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class CallFilter:
    """None means any. `before` is a cursor: the last call of the page before."""

    org: str
    agent: str | None = None
    contact: str | None = None
    is_open: bool | None = None
    handler: str | None = None
    before: str | None = None


Change = Callable[[Delivery], Delivery | None]
"""What becomes of a delivery; None leaves it alone. Pure: it may be called again when somebody else was quicker."""


class Store(InboxStore, WebhookStore, RestStore, TrunkStore, Protocol):
    async def open(self) -> None:
        """Connect and migrate; raises StoreUnavailableError with the mend when the engine cannot be reached."""

    async def close(self) -> None: ...

    async def ping(self) -> None:
        """Raises StoreUnavailableError unless the engine answers."""

    # agents and channels

    async def save_agent(self, agent: Agent) -> None:
        """Insert or replace, with its channels. A channel id that another agent has moves to this one."""

    async def agent(self, org: str, slug: str) -> Agent | None: ...

    async def agents(self, org: str | None = None) -> list[Agent]: ...

    async def remove_agent(self, org: str, slug: str) -> bool: ...

    # contacts

    async def find_contacts(self, org: str, identities: Sequence[Identity]) -> list[Contact]:
        """Contacts that have any of the identities; more than one when two records are one person."""

    async def contact(self, contact_id: str) -> Contact | None: ...

    async def save_contact(self, contact: Contact) -> Contact:
        """Insert (version 0) or replace when the stored version is still `contact.version`; returns it with its new
        version. Raises VersionConflictError when it changed, or when an identity belongs to another contact."""

    async def merge_contacts(self, keep: Contact, gone: str) -> Contact:
        """Save `keep` (which has the identities of both), delete `gone` and give its calls and deliveries to `keep`.

        Conversations keep their keys, and with them their cases: what was noted under `gone` is found through its
        calls, which are `keep`'s now (`conversations_of`, `calls_of_contact`)."""

    # calls

    async def open_call(self, conversation: str) -> Loaded | None:
        """The conversation's open call."""

    async def last_call(self, conversation: str) -> Call | None:
        """The conversation's newest call, open or not."""

    async def load_call(self, call_id: str) -> Loaded | None: ...

    async def call(self, call_id: str) -> Call | None: ...

    async def calls(self, where: CallFilter, *, limit: int = 100) -> list[Call]:
        """Newest first."""

    async def append(self, step: Append) -> None:
        """Append atomically; returned means that it survives `kill -9`. Raises SeqConflictError or
        DuplicateInputError, and then nothing happened. After StoreUnavailableError, or when it was cancelled, it may
        have happened: load the call again."""

    async def acted_on(self, keys: Sequence[str]) -> set[str]:
        """Which of these input keys are in the log."""

    async def save_call(self, call: Call, deliveries: Sequence[Delivery] = ()) -> None:
        """Write the document of a call that the log is ahead of, and those of the deliveries that are missing."""

    async def entries(self, call_id: str, *, after: int = 0, limit: int = 500) -> list[Entry]: ...

    async def last_seqs(self, calls: Sequence[str]) -> dict[str, int]:
        """How far the logs of these calls are, as their documents know it."""

    async def newest_calls(self, conversations: Sequence[str]) -> dict[str, str]:
        """The newest call of each of these conversations that has one, by conversation."""

    async def milestones(self, org: str, agent: str, *, after: int = 0, limit: int = 500) -> list[Milestone]:
        """An agent's log from number `after` + 1 on. Whoever has read a number misses nothing before it: what is
        written later has a greater one."""

    async def last_milestone(self, org: str, agent: str) -> int:
        """The number at which an agent's log ends now; 0 for an empty one."""

    async def due_calls(self, now: float, *, limit: int = 100) -> list[Call]:
        """Open calls whose `wake_at` has come, the longest waiting first."""

    async def rest_call(self, call_id: str, wake_at: float | None, *, was: float | None) -> bool:
        """Set `wake_at` without an entry, if it is still `was`; a sweep claims a call with it."""

    # deliveries

    async def delivery(self, delivery_id: str) -> Delivery | None: ...

    async def deliveries(self, call_id: str) -> list[Delivery]:
        """In the order they were asked for."""

    async def find_delivery(self, channel: str, provider_id: str) -> Delivery | None:
        """By the provider's id of one of its pieces."""

    async def change_deliveries(self, changes: Mapping[str, Change]) -> dict[str, Delivery]:
        """Apply changes atomically, each to its delivery; returns those that exist, as they are afterwards."""

    async def cancel_deliveries(
        self, *, call: str | None = None, contact: str | None = None, agent: tuple[str, str] | None = None, now: float
    ) -> int:
        """Withdraw (`omni.model.delivery.cancel`) the bot's deliveries that are queued or being sent, of one call, one
        person or one agent (org, slug). Returns how many were cancelled."""

    # who is here, and who may

    async def take_lease(self, lease: Lease, *, now: float, over: str | None = None) -> Lease:
        """Take a name that is free, has run out, or is held by `lease.holder` already or by `over`; returns the lease
        as it is afterwards: somebody else's `holder` means that it was refused."""

    async def drop_lease(self, name: str, holder: str) -> bool:
        """Give a name back; False when somebody else has it."""

    async def leases(self, prefix: str, *, now: float) -> list[Lease]:
        """Leases in force whose names begin so, by name."""

    async def save_key(self, key: ApiKey) -> None:
        """Insert or replace, by id."""

    async def keys(self, org: str | None = None) -> list[ApiKey]:
        """Oldest first, revoked ones too."""

    async def key_by_hash(self, hash_: str) -> ApiKey | None: ...

    async def touch_key(self, key_id: str, at: float) -> None:
        """Note that a key was used, and change nothing else: somebody may be revoking it this moment."""

    # upkeep

    async def size(self) -> Mapping[str, int]:
        """Rows by kind, for `omni doctor` and the metrics."""
