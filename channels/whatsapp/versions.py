"""How long versions of the Graph API live. Source: the Graph API's changelog, as of November 2026.

A version that ended is answered by the oldest one alive, without an error: so it has to be looked for.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

ENDS: Final = {
    "v20.0": date(2026, 9, 24),
    "v21.0": date(2027, 1, 21),
    "v22.0": date(2027, 5, 20),
    "v23.0": date(2027, 10, 8),
    "v24.0": date(2028, 2, 18),
    "v25.0": date(2028, 7, 29),
}
_SOON: Final = timedelta(days=90)


def concern(version: str, today: date) -> str | None:
    """A sentence when a version ended or ends within 90 days, else None. Unknown newer versions are no concern."""
    end = ENDS.get(version)
    if end is None:
        known = min(int(name[1:3]) for name in ENDS)
        return f"Graph {version} is no longer alive; set graph_version to v26.0." if int(version[1:3]) < known else None
    if today >= end:
        return f"Graph {version} ended on {end.isoformat()}; set graph_version to v26.0."
    if end - today < _SOON:
        return f"Graph {version} ends on {end.isoformat()}; set graph_version to v26.0 before that."
    return None
