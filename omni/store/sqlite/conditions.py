"""Conditions that an index and its queries must have word for word alike, for SQLite to use the one for the other."""

from __future__ import annotations

from typing import Final

from omni.model.call import FAILURES, NO_ANSWER

REASON: Final = "json_extract(doc, '$.reason')"
IN_VAIN: Final = f"{REASON} IN ({', '.join(repr(reason) for reason in (NO_ANSWER, *FAILURES))})"
"""Calls that came to nothing."""
RINGS: Final = "json_extract(doc, '$.is_ringing') = 1"
"""Calls that nobody has answered yet, of those that are open."""
