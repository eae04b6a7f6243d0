"""Operators as the page reads them."""

from __future__ import annotations

import time
from typing import Final

from pydantic import JsonValue

from omni.access.operators.staff import StaffError
from omni.gateway.inbox.asking import InboxError
from omni.gateway.inbox.guard import Actor
from omni.model.operator import Operator

_STATUSES: Final = {"invalid": 422, "not_found": 404, "changed": 409}


def shown(operator: Operator) -> dict[str, JsonValue]:
    """What everybody may know of a colleague; never their hash or the provider's id."""
    return {
        "id": operator.id,
        "name": operator.name,
        "email": operator.email,
        "role": operator.role,
        "disabled": operator.disabled_at is not None,
        "last_seen_at": operator.last_seen_at,
    }


def shown_self(actor: Actor, version: str) -> dict[str, JsonValue]:
    """What `GET /v1/inbox/me` answers. An API key has no e-mail and no CSRF token."""
    operator = actor.operator
    return {
        "id": actor.id,
        "name": actor.name,
        "email": operator.email if operator is not None else None,
        "role": actor.role,
        "language": actor.language,
        "csrf": actor.csrf,
        "org": actor.org,
        "has_password": operator is not None and operator.password_hash is not None,
        "server_time": time.time(),
        "version": version,
    }


def refusal(error: StaffError) -> InboxError:
    return InboxError(_STATUSES[error.code], error.code, str(error), error.field)
