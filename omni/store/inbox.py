"""The store's side of the inbox: operators, cases, lists, search and figures over many calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from omni.model.call import Call, Speaker
from omni.model.case import Case, CaseEvent
from omni.model.contact import Contact
from omni.model.desk import DeskItem
from omni.model.entry import Handler
from omni.model.operator import AuditRecord, Operator

CaseState = Literal["open", "snoozed", "ended"]


@dataclass(frozen=True, slots=True)
class InboxFilter:
    """Which conversations, and in which order. Empty tuples mean any; `labels` must all be there.

    `assignee` is an operator's id, `""` nobody, None anybody. `open` are conversations with an open call that are not
    snoozed; `snoozed` those that are; `ended` the newest call of each conversation without an open one; None: `open`
    and `snoozed` together. `newest` orders by the last thing said (by its beginning, where nothing was); `waiting` has
    only conversations whose customer waits for a person, the longest waiting first.

    `before` is the cursor that came with the page before; one that no page came with begins an empty page. A cursor is
    a place in the order: a conversation that moves while somebody turns pages moves to the front (of `waiting`: to the
    end), and nobody who stays where they are is skipped or seen twice.
    """

    org: str
    now: float
    state: CaseState | None = "open"
    handlers: tuple[Handler, ...] = ()
    transports: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    assignee: str | None = None
    order: Literal["newest", "waiting"] = "newest"
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation: its newest call, and its case if our side ever touched it."""

    call: Call
    case: Case | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the cursor of the page after this one; None when there is none."""

    rows: Sequence[Listed]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """So many conversations with an open call that have these in common. `assignee` None is nobody."""

    number: int
    handler: Handler
    transport: str
    agent: str
    assignee: str | None
    is_snoozed: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A message with the words looked for. `snippet` is plain text around them; `at` epoch seconds.

    A message that was edited is found by its newest words, at the entry that edited it; one that was revoked is not
    found. Of a note `call` is empty and `seq` its event's number.
    """

    call: str
    conversation: str
    seq: int
    at: float
    speaker: Speaker | Literal["note"]
    snippet: str


class Tally(NamedTuple):
    """What figures are made of: one call, without its words. A tuple, for there are a hundred thousand at a time."""

    agent: str
    transport: str
    is_open: bool
    handler: Handler
    reason: str | None
    started_at: float
    ended_at: float | None
    waiting_since: float | None
    first_user_at: float | None
    first_answer_at: float | None
    first_human_at: float | None
    handoffs: int
    user_messages: int
    bot_messages: int
    human_messages: int
    failed: int


class InboxStore(Protocol):
    """`VersionConflictError` and the other errors are those of `omni.store.base`."""

    # operators

    async def save_operator(self, operator: Operator) -> Operator:
        """Insert (version 0) or replace when the stored version is still `operator.version`; returns it with its new
        version. Raises VersionConflictError when it changed, or when its `email` or `subject` is somebody else's."""

    async def operator(self, operator_id: str) -> Operator | None: ...

    async def operator_by_email(self, email: str) -> Operator | None:
        """`email` in lower case."""

    async def operator_by_subject(self, subject: str) -> Operator | None: ...

    async def operators(self, org: str) -> list[Operator]:
        """By name; disabled ones too."""

    async def write_audit(self, record: AuditRecord) -> None: ...

    async def audit(
        self, org: str, *, before: str | None = None, limit: int = 100, actor: str | None = None
    ) -> list[AuditRecord]:
        """Newest first; `before` is a record's id, and nothing comes before one that is not there."""

    # cases

    async def case(self, conversation: str) -> Case | None: ...

    async def cases(self, conversations: Sequence[str]) -> dict[str, Case]: ...

    async def save_case(self, case: Case, events: Sequence[CaseEvent] = ()) -> Case:
        """Insert (version 0) or replace when the stored version is still `case.version`, and append its events, all or
        nothing. `case.events` is the number of the last of `events` (or as it was), which go on from what is stored
        without a gap. Returns it with its new version. Raises VersionConflictError, or ValueError for events that
        cannot be of this case."""

    async def case_events(self, conversation: str, *, after: int = 0, limit: int = 500) -> list[CaseEvent]:
        """Oldest first."""

    async def conversation_list(self, where: InboxFilter, *, limit: int = 100) -> Page: ...

    async def conversation_counts(self, org: str, now: float) -> list[Count]:
        """Of conversations with an open call."""

    async def listed(self, conversations: Sequence[str]) -> list[Listed]:
        """These conversations as lists show them, those that there are, in no particular order."""

    async def calls_of_conversation(
        self, conversation: str, *, before: str | None = None, limit: int = 100
    ) -> list[Call]:
        """One conversation's calls, newest first; `before` is a call of it."""

    async def contacts(self, ids: Sequence[str]) -> dict[str, Contact]:
        """Those of these people that there are, by id."""

    async def calls_of_contact(self, org: str, contact: str, *, limit: int = 100) -> list[Call]:
        """On every channel, newest first."""

    # what a team keeps

    async def save_item(self, item: DeskItem) -> DeskItem:
        """As `save_operator`; a name is unique among the same kind and owner of an organisation."""

    async def items(self, org: str, kind: str) -> list[DeskItem]:
        """By name."""

    async def remove_item(self, org: str, item_id: str) -> bool: ...

    # looking for things

    async def search_messages(self, org: str, text: str, *, limit: int = 50) -> list[Hit]:
        """Messages of customers, bots and colleagues (transcripts of voice notes too) and notes that have all of these
        words, or words that begin so; newest first. Words are compared without case and accents. `text` is words and
        nothing else: no sign in it means anything, and a text without letters and digits finds nothing."""

    async def search_contacts(self, org: str, text: str, *, limit: int = 20) -> list[Contact]:
        """People whose names have all of these words, or words that begin so, or whose numbers have these digits in
        them; by name."""

    async def conversations_of(self, contacts: Sequence[str]) -> dict[str, list[str]]:
        """The conversations of people (contact id to conversation keys), the newest first."""

    async def tallies(self, org: str, since: float, until: float, *, limit: int = 200_000) -> list[Tally]:
        """Calls that began in a period (epoch seconds, `until` not included), oldest first."""


def require_order(case: Case, events: Sequence[CaseEvent]) -> None:
    """Raises ValueError unless these can be the case's newest events."""
    numbers = [event.number for event in events]
    first = case.events - len(events) + 1
    strangers = {event.conversation for event in events} - {case.conversation}
    if numbers != list(range(first, case.events + 1)) or first < 1 or strangers or (case.version == 0 and first > 1):
        raise ValueError(
            f"the events {numbers} of {case.conversation} must be its own and end with {case.events}: number them on "
            "from the case that was read"
        )
