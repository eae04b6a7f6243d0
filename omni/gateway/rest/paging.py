"""Cursors: opaque, and good only for the question they came with."""

from __future__ import annotations

from omni.gateway.inbox.cursors import CursorError, list_cursor, store_cursor
from omni.gateway.rest.errors import ApiError


def opened(question: str, cursor: str | None) -> str | None:
    """The store's own cursor. Raises ApiError 400 for one that is no page's of this question."""
    if cursor is None:
        return None
    try:
        return store_cursor(question, cursor)
    except CursorError as error:
        raise ApiError(400, "invalid_cursor", f"cursor: {error}", "cursor") from None


def closed(question: str, cursor: str | None) -> str | None:
    return None if cursor is None else list_cursor(question, cursor)
