"""What is answered: JSON in ASCII, times with `Z`, lists with an offset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web
from pydantic import JsonValue

Fields = dict[str, JsonValue]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def packed(value: JsonValue) -> str:
    """Escaped: some clients split lines at characters that JSON may hold as they are."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def answer(value: JsonValue, status: int = 200) -> web.Response:
    return web.Response(status=status, text=packed(value), content_type="application/json")


def nothing() -> web.Response:
    return web.Response(status=204)


def moment(at: float) -> str:
    """Epoch seconds as `2026-02-01T10:00:00.120000Z`. Microseconds, because lists are paged by these."""
    return _date(at).isoformat(timespec="microseconds").replace("+00:00", "Z")


def micros(at: float | datetime) -> int:
    """The same as a number that can be compared without loss."""
    date = _date(at) if isinstance(at, float) else at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return (date - _EPOCH) // timedelta(microseconds=1)


def _date(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def moment_or_none(at: float | None) -> str | None:
    return None if at is None else moment(at)


def made_at(id_: str) -> float:
    """When an id of ours was made (`omni.model.ids.new_id`); 0 for any other."""
    letters = id_.rpartition("_")[2][:10]
    if len(letters) < 10 or not set(letters) <= set(CROCKFORD):
        return 0.0
    number = 0
    for letter in letters:
        number = number * 32 + CROCKFORD.index(letter)
    return number / 1000


def page(rows: Sequence[JsonValue], *, offset: int, total: int) -> Fields:
    return {"data": [*rows], "hasMore": offset + len(rows) < total, "total": total}
