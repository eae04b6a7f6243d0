"""What a list's URL asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar, cast, get_args

from omni.gateway.inbox.asking import InboxError
from omni.model.entry import Handler
from omni.store.inbox import CaseState, InboxFilter

MOST_ROWS: Final = 500
MOST_NAMES: Final = 50
_STATES: Final[Mapping[str, CaseState | None]] = {"open": "open", "snoozed": "snoozed", "ended": "ended", "all": None}

T = TypeVar("T")


def invalid(field: str, sentence: str) -> InboxError:
    return InboxError(422, "invalid", f"{field}: {sentence}", field)


def filter_of(query: Mapping[str, str], *, org: str, me: str, now: float) -> InboxFilter:
    """`?state=open&handler=bot,nobody&transport=…&agent=…&label=a,b&assignee=me|none|<id>&order=newest|waiting`.

    `before` is left to the caller. Raises InboxError 422.
    """
    handlers = names(query, "handler")
    for handler in handlers:
        choice(query, "handler", {name: name for name in get_args(Handler)}, handler)
    assignee = query.get("assignee") or None
    order = query.get("order") or "newest"
    if order not in ("newest", "waiting"):
        raise invalid("order", f"{order[:40]!r} is no order; use newest or waiting")
    return InboxFilter(
        org=org,
        now=now,
        state=choice(query, "state", _STATES, query.get("state") or "open"),
        handlers=cast("tuple[Handler, ...]", handlers),
        transports=names(query, "transport"),
        agents=names(query, "agent"),
        labels=names(query, "label"),
        assignee={"me": me, "none": ""}.get(assignee, assignee) if assignee is not None else None,
        order="waiting" if order == "waiting" else "newest",
    )


def names(query: Mapping[str, str], field: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(name for each in query.get(field, "").split(",") if (name := each.strip())))
    if len(found) > MOST_NAMES:
        raise invalid(field, f"at most {MOST_NAMES} at once")
    return found


def choice(query: Mapping[str, str], field: str, choices: Mapping[str, T], typed: str) -> T:
    if typed not in choices:
        raise invalid(field, f"{typed[:40]!r} is none of {', '.join(choices)}")
    return choices[typed]


def limit_of(query: Mapping[str, str], default: int, most: int) -> int:
    """`?limit=`. Raises InboxError 422."""
    typed = query.get("limit") or ""
    if not typed:
        return default
    if not (typed.isascii() and typed.isdigit() and len(typed) <= 9 and 1 <= int(typed) <= most):
        raise invalid("limit", f"{typed[:20]!r} is not a number from 1 to {most}")
    return int(typed)
