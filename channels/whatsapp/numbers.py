"""Phone numbers as WhatsApp writes them. How numbers are compared is `omni.model.numbers`.

Source: the platform's notes on Argentinian, Brazilian and Mexican numbers.
"""

from __future__ import annotations

import re
from typing import Final

from omni.model.numbers import canonical

_WA_ID: Final = re.compile(r"[0-9]{5,20}", re.ASCII)


def is_wa_id(text: str) -> bool:
    """True for 5 to 20 ASCII digits: nothing else is ever taken for a phone number."""
    return _WA_ID.fullmatch(text) is not None


def alternate(wa_id: str) -> str | None:
    """The other spelling of a number, for one more try after the sandbox refused the first (error 131030)."""
    short = canonical(wa_id)
    if short != wa_id:
        return short
    if len(wa_id) == 12:
        if wa_id.startswith("54"):
            return "549" + wa_id[2:]
        if wa_id.startswith("52"):
            return "521" + wa_id[2:]
        if wa_id.startswith("55") and wa_id[4] in "6789":
            return wa_id[:4] + "9" + wa_id[4:]
    return None
