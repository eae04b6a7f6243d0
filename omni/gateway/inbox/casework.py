"""What becomes of a case when somebody on our side does something. `Casework` keeps it; the rest is pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from omni.bus.base import Bus
from omni.gateway.inbox.asking import InboxError
from omni.live.inbox import CaseChanged, tell_inbox
from omni.model.call import Call
from omni.model.case import (
    MAX_LABELS,
    Assigned,
    Case,
    CaseEvent,
    CaseFact,
    Labelled,
    Note,
    Reopened,
    Resolved,
    Seen,
    Snoozed,
)
from omni.store.base import Store, VersionConflictError

RACES = 20
"""So often somebody else may write the same case meanwhile."""

Becomes = tuple[Case, Sequence[CaseFact]]
Alter = Callable[[Case], Becomes]
"""What a case becomes, and what is written down of it. Pure: it may be asked again. Raises InboxError."""


class Casework:
    def __init__(self, store: Store, bus: Bus, clock: Callable[[], float]) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock

    async def change(self, org: str, conversation: str, by: str, alter: Alter) -> Case:
        """Save what `alter` makes of the case, and tell every page. Raises StoreError, and InboxError when others
        change it all the time."""
        for _ in range(RACES):
            case = await self._store.case(conversation) or Case(conversation=conversation, org=org)
            changed, facts = alter(case)
            if changed == case and not facts:
                return case
            events = [
                CaseEvent(conversation=conversation, number=number, at=self._clock(), by=by, fact=fact)
                for number, fact in enumerate(facts, case.events + 1)
            ]
            try:
                saved = await self._store.save_case(
                    changed.model_copy(update={"events": case.events + len(events)}), events
                )
            except VersionConflictError:
                continue
            await self.tell(org, conversation)
            return saved
        raise InboxError(409, "changed", "others change this conversation all the time; try again")

    async def tell(self, org: str, conversation: str) -> None:
        """Something that a row shows is not as it was."""
        await tell_inbox(self._bus, org, CaseChanged(conversation=conversation))


def noted(text: str) -> Alter:
    return lambda case: (case, (Note(text=text),))


def assigned(to: str | None) -> Alter:
    def alter(case: Case) -> Becomes:
        return (case, ()) if case.assignee == to else (_with(case, assignee=to), (Assigned(to=to),))

    return alter


def assigned_if_nobody(to: str) -> Alter:
    """Whoever takes a conversation over has it from then on, unless it is a colleague's."""
    return lambda case: assigned(to)(case) if case.assignee is None else (case, ())


def labelled(add: Sequence[str], remove: Sequence[str]) -> Alter:
    def alter(case: Case) -> Becomes:
        removed = tuple(name for name in dict.fromkeys(remove) if name in case.labels and name not in add)
        added = tuple(name for name in dict.fromkeys(add) if name not in case.labels)
        labels = (*(name for name in case.labels if name not in removed), *added)
        if len(labels) > MAX_LABELS:
            raise InboxError(422, "invalid", f"a conversation has at most {MAX_LABELS} labels; remove some", "add")
        if not added and not removed:
            return case, ()
        return _with(case, labels=labels), (Labelled(added=added, removed=removed),)

    return alter


def snoozed(until: float | None, last_user_at: float) -> Alter:
    """`last_user_at` is the newest that the customer did so far. What wakes it is compared with that, and not with our
    clock: platforms date what somebody writes in whole seconds, by their own clocks, and bring it when they can."""

    def alter(case: Case) -> Becomes:
        if case.snoozed_until == until and until is None:
            return case, ()
        at = last_user_at if until is not None else None
        return _with(case, snoozed_until=until, snoozed_at=at), (Snoozed(until=until),)

    return alter


def resolved(case: Case) -> Becomes:
    return _with(case, snoozed_until=None, snoozed_at=None), (Resolved(),)


def reopened(case: Case) -> Becomes:
    return case, (Reopened(),)


def seen(call: Call, user_messages: int) -> Alter:
    """Never less than was seen before; an earlier call's messages count no more."""
    number = min(user_messages, call.user_messages)

    def alter(case: Case) -> Becomes:
        if case.seen is not None and case.seen.call == call.id and case.seen.user_messages >= number:
            return case, ()
        return _with(case, seen=Seen(call=call.id, user_messages=number)), ()

    return alter


def _with(case: Case, **changes: object) -> Case:
    return case.model_copy(update=changes)
