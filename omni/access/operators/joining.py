"""Which operator somebody is whom the sign-in provider names."""

from __future__ import annotations

from typing import Final

from omni.access.operators.oidc import OidcError, OidcSettings, Person
from omni.access.operators.staff import LONGEST_NAME, Staff, StaffError
from omni.model.operator import Operator
from omni.store.base import Store

ASK: Final = "ask an admin to add you"


async def operator_for(person: Person, store: Store, staff: Staff, settings: OidcSettings, org: str) -> Operator:
    """By the provider's own id for them; then by a verified e-mail, which is bound to that id from then on; then,
    where their domain is allowed, as somebody new. An unverified address proves nothing: providers let people type
    any. Raises OidcError and StoreError."""
    operator = await store.operator_by_subject(person.subject)
    if operator is None:
        if person.email is None or not person.is_verified:
            raise OidcError(f"{settings.name} does not vouch for your e-mail address; verify it there, or {ASK}")
        operator = await store.operator_by_email(person.email)
        if operator is not None:
            operator = await _bound(operator, person, staff, settings)
        else:
            operator = await _joined(person, person.email, staff, settings, org)
    if operator.disabled_at is not None:
        raise OidcError("your account here is disabled; ask an admin")
    return operator


async def _bound(operator: Operator, person: Person, staff: Staff, settings: OidcSettings) -> Operator:
    if operator.subject is not None:
        raise OidcError(f"{operator.email} belongs to another account of {settings.name}; ask an admin to add you anew")
    try:
        return await staff.alter(
            operator.org,
            operator.id,
            lambda one: one if one.subject is not None else one.model_copy(update={"subject": person.subject}),
        )
    except StaffError as error:
        raise OidcError(str(error)) from None


async def _joined(person: Person, email: str, staff: Staff, settings: OidcSettings, org: str) -> Operator:
    if email.rpartition("@")[2] not in settings.domains:
        raise OidcError(f"{email[:120]} is no operator here; {ASK}")
    name = " ".join("".join(each for each in person.name or "" if each.isprintable()).split())[:LONGEST_NAME]
    try:
        return await staff.add(
            org, email, name or email.partition("@")[0][:LONGEST_NAME], settings.role, subject=person.subject
        )
    except StaffError as error:
        raise OidcError(str(error)) from None
