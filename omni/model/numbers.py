"""Phone numbers, and the one form in which they are compared.

Source: the carriers' and WhatsApp's notes on Argentinian, Brazilian and Mexican numbers, which are written with digits
more or less than what people dial.
"""

from __future__ import annotations

import re
from typing import Final

_NOT_DIGITS: Final = re.compile(r"[^0-9]+", re.ASCII)
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


def digits(text: str) -> str:
    """Only the digits of a number as people write it: `+1 (202) 555-0142` is `12025550142`."""
    return _NOT_DIGITS.sub("", text)


def canonical(wa_id: str) -> str:
    """The look-up key of a number: the same for all spellings of one subscriber. Never send to it.

    `549` + 10 digits loses the 9 (Argentina), `521` + 10 loses the 1 (Mexico), `55` + area + `9` + 8 digits that begin
    with 6 to 9 loses the 9 (Brazil).
    """
    first = wa_id[:1]
    if first != "5":
        return wa_id
    if len(wa_id) == 13:
        if wa_id.startswith("549"):
            return "54" + wa_id[3:]
        if wa_id.startswith("521"):
            return "52" + wa_id[3:]
        if wa_id.startswith("55") and wa_id[4] == "9" and wa_id[5] in "6789":
            return wa_id[:4] + wa_id[5:]
    return wa_id


def e164(text: str) -> str:
    """A number that an operator typed, as `+` and digits.

    Raises ValueError without `+` and country code: a provider would put the business's own country code before it and
    reach a stranger.
    """
    number = "+" + digits(text) if text.strip().startswith("+") else ""
    if not _E164.fullmatch(number):
        raise ValueError(f"{text!r} is not a full phone number; write it with + and the country code, as +12025550171")
    return number


def is_e164(text: str) -> bool:
    """True for `+` and 7 to 15 ASCII digits: nothing else is dialled or texted."""
    return _E164.fullmatch(text) is not None


def number_id(number: str) -> str:
    """The id of a phone number (E.164) in URLs and events of AgentPhone's dialect."""
    return f"num_{digits(number)}"


def number_id_of(channel: str, business: str) -> str:
    """The same for a channel, given our number or name on it; the channel's own id where it has no number."""
    _, _, account = channel.partition(":")
    number = business if business != account else account if account.startswith("+") else ""
    return number_id(number) if is_e164(f"+{digits(number)}") else channel
