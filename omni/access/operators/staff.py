"""The operators of an organisation: added, changed, reset. One admin stays who can sign in."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal

from omni.access.operators.sessions import Sessions
from omni.model.access import Lease
from omni.model.ids import new_id
from omni.model.operator import Operator, Role
from omni.store.base import Store, VersionConflictError

LONGEST_NAME: Final = 80
LONGEST_EMAIL: Final = 254
LOCK_SECONDS: Final = 10.0
TRIES: Final = 3
_EMAIL: Final = re.compile(r"[^\s@<>\"',;]+@[^\s@<>\"',;]+")


class StaffError(Exception):
    """What cannot be done; the text says why and the mend. `code` in the inbox's words, `field` what is wrong."""

    def __init__(self, code: Literal["invalid", "not_found", "changed"], text: str, field: str | None = None) -> None:
        super().__init__(text)
        self.code: Final = code
        self.field = field


def email_of(typed: str) -> str:
    """As it is kept: lower case, without what surrounds it. Raises StaffError."""
    email = typed.strip().lower()
    if len(email) > LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        raise StaffError("invalid", f"{typed[:80]!r} is not an e-mail address; it looks like ada@example.com", "email")
    return email


def person_name(typed: str) -> str:
    """Raises StaffError."""
    name = " ".join(typed.split())
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise StaffError("invalid", f"a name has 1 to {LONGEST_NAME} characters", "name")
    return name


class Staff:
    def __init__(self, store: Store, sessions: Sessions, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._sessions = sessions
        self._clock = clock

    async def of(self, org: str, operator_id: str) -> Operator:
        """Raises StaffError, also for another organisation's."""
        operator = await self._store.operator(operator_id)
        if operator is None or operator.org != org:
            raise StaffError("not_found", "there is no such operator; GET /v1/inbox/operators lists them")
        return operator

    async def by_email(self, org: str, typed: str) -> Operator:
        """Raises StaffError."""
        operator = await self._store.operator_by_email(email_of(typed))
        if operator is None or operator.org != org:
            raise StaffError("not_found", f"{org} has no operator {typed.strip()[:80]!r}; `omni operators` lists them")
        return operator

    async def add(
        self,
        org: str,
        email: str,
        name: str,
        role: Role,
        *,
        password_hash: str | None = None,
        subject: str | None = None,
    ) -> Operator:
        """Raises StaffError when the address is somebody's already."""
        operator = Operator(
            id=new_id("op"),
            org=org,
            email=email_of(email),
            name=person_name(name),
            role=role,
            password_hash=password_hash,
            subject=subject,
            created_at=self._clock(),
        )
        try:
            return await self._store.save_operator(operator)
        except VersionConflictError:
            raise StaffError(
                "invalid", f"{operator.email} is an operator already; change or reset that one", "email"
            ) from None

    async def alter(self, org: str, operator_id: str, change: Callable[[Operator], Operator]) -> Operator:
        """Apply a change that takes no admin away. `change` may be called again when somebody else was quicker.
        Raises StaffError."""
        for _ in range(TRIES):
            operator = await self.of(org, operator_id)
            changed = change(operator)
            if changed == operator:
                return operator
            try:
                saved = await self._store.save_operator(changed)
            except VersionConflictError:
                continue
            self._sessions.forget(operator_id)
            return saved
        raise StaffError("changed", "somebody else is changing this operator right now; try again")

    async def change(
        self,
        org: str,
        operator_id: str,
        *,
        name: str | None = None,
        role: Role | None = None,
        is_disabled: bool | None = None,
    ) -> Operator:
        """None leaves a thing as it is. Who is disabled is signed out everywhere. Raises StaffError when nobody would
        be left who can manage the others."""
        named = person_name(name) if name is not None else None
        now = self._clock()

        def changed(operator: Operator) -> Operator:
            disabled_at = operator.disabled_at
            if is_disabled is not None and is_disabled != (disabled_at is not None):
                disabled_at = now if is_disabled else None
            return operator.model_copy(
                update={
                    "name": named or operator.name,
                    "role": role or operator.role,
                    "disabled_at": disabled_at,
                }
            )

        if is_disabled is not True and role in (None, "admin"):
            return await self._ended_if_disabled(await self.alter(org, operator_id, changed))
        async with self._alone(org):
            before = await self.of(org, operator_id)
            others = [
                one
                for one in await self._store.operators(org)
                if one.role == "admin" and one.disabled_at is None and one.id != operator_id
            ]
            if not others and before.role == "admin" and before.disabled_at is None:
                raise StaffError(
                    "invalid",
                    f"{before.name} is the only admin who can sign in; make somebody else an admin first",
                    "disabled" if is_disabled else "role",
                )
            return await self._ended_if_disabled(await self.alter(org, operator_id, changed))

    async def reset(self, org: str, operator_id: str) -> Operator:
        """Without a password, and signed out everywhere: they come back by a sign-in link, and set a new one.
        Raises StaffError."""
        operator = await self.alter(org, operator_id, lambda one: one.model_copy(update={"password_hash": None}))
        await self._sessions.end_all(operator_id)
        return operator

    async def _ended_if_disabled(self, operator: Operator) -> Operator:
        """They are refused already, by their record; ended sessions stay ended when they are enabled again."""
        if operator.disabled_at is not None:
            await self._sessions.end_all(operator.id)
        return operator

    @asynccontextmanager
    async def _alone(self, org: str) -> AsyncIterator[None]:
        """One at a time, in all processes: two admins who demote each other in one moment must not both succeed."""
        now = self._clock()
        lock = Lease(name=f"staff:{org}", holder=new_id("lock"), until=now + LOCK_SECONDS)
        if (await self._store.take_lease(lock, now=now)).holder != lock.holder:
            raise StaffError("changed", "somebody else is changing the operators right now; try again")
        try:
            yield
        finally:
            await self._store.drop_lease(lock.name, lock.holder)
