"""The country of a number, from its calling code. Pure."""

from __future__ import annotations

from typing import Final

_CODES: Final[dict[str, str]] = {
    "7": "RU", "20": "EG", "27": "ZA", "30": "GR", "31": "NL", "32": "BE", "33": "FR", "34": "ES", "36": "HU",
    "39": "IT", "40": "RO", "41": "CH", "43": "AT", "44": "GB", "45": "DK", "46": "SE", "47": "NO", "48": "PL",
    "49": "DE", "51": "PE", "52": "MX", "53": "CU", "54": "AR", "55": "BR", "56": "CL", "57": "CO", "58": "VE",
    "60": "MY", "61": "AU", "62": "ID", "63": "PH", "64": "NZ", "65": "SG", "66": "TH", "81": "JP", "82": "KR",
    "84": "VN", "86": "CN", "90": "TR", "91": "IN", "92": "PK", "93": "AF", "94": "LK", "98": "IR", "212": "MA",
    "213": "DZ", "216": "TN", "233": "GH", "234": "NG", "254": "KE", "255": "TZ", "256": "UG", "351": "PT",
    "352": "LU", "353": "IE", "354": "IS", "356": "MT", "357": "CY", "358": "FI", "359": "BG", "370": "LT",
    "371": "LV", "372": "EE", "380": "UA", "381": "RS", "385": "HR", "386": "SI", "420": "CZ", "421": "SK",
    "502": "GT", "503": "SV", "504": "HN", "505": "NI", "506": "CR", "507": "PA", "591": "BO", "593": "EC",
    "595": "PY", "598": "UY", "852": "HK", "886": "TW", "880": "BD", "961": "LB", "962": "JO", "965": "KW",
    "966": "SA", "971": "AE", "972": "IL", "974": "QA", "977": "NP",
}  # fmt: skip
_CANADA: Final = (
    "204 226 236 249 250 257 263 289 306 343 354 365 367 368 382 403 416 418 428 431 437 438 450 460 468 474 506 514 "
    "519 548 579 581 584 587 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867 873 879 902 905 942"
)
UNKNOWN: Final = "ZZ"


def country_of(number: str) -> str:
    """ISO 3166 of an E.164 number; `ZZ` where the calling code is not in our table."""
    called = number.removeprefix("+")
    if called.startswith("1"):
        return "CA" if len(called) == 11 and called[1:4] in _CANADA else "US"
    return next((_CODES[called[:size]] for size in (2, 3, 1) if called[:size] in _CODES), UNKNOWN)


def area_of(number: str) -> str | None:
    """The area code, where numbers have one of fixed length: +1."""
    return number[2:5] if number.startswith("+1") and len(number) == 12 else None
