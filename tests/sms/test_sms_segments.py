"""What a carrier counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.model.segments import segments

_GSM = "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡AZÄÖÑÜ§¿azäöñüà\n\r"


@pytest.mark.parametrize(
    ("text", "count", "alphabet", "left"),
    [
        ("", 1, "gsm7", 160),
        ("a" * 160, 1, "gsm7", 0),
        ("a" * 161, 2, "gsm7", 145),
        ("a" * 306, 2, "gsm7", 0),
        ("a" * 307, 3, "gsm7", 152),
        ("€" * 80, 1, "gsm7", 0),
        ("€" * 81, 2, "gsm7", 143),  # 76 of them fill 152 of 153 septets: none is torn apart
        ("a" * 152 + "€" + "a" * 152, 3, "gsm7", 152),
        ("ж" * 70, 1, "ucs2", 0),
        ("ж" * 71, 2, "ucs2", 63),
        ("😊" * 35, 1, "ucs2", 0),
        ("😊" * 36, 2, "ucs2", 61),  # 33 pairs fill 66 of 67 units
        ("a" * 69 + "ç", 1, "ucs2", 0),  # only the capital is in the alphabet
        ("naïve", 1, "ucs2", 65),
        (_GSM, 1, "gsm7", 160 - len(_GSM)),
        ("a" * 1600, 11, "gsm7", 83),
    ],
)
def test_a_text_is_counted_as_carriers_do(text: str, count: int, alphabet: str, left: int) -> None:
    found = segments(text)
    assert (found.count, found.alphabet, found.left) == (count, alphabet, left)


@given(st.text(max_size=900))
def test_what_is_left_is_what_still_fits(text: str) -> None:
    found = segments(text)
    filler = "a" * found.left
    if found.count > 1:
        assert segments(text + filler).count == found.count
        assert segments(text + filler + "a").count == found.count + 1
    assert segments(text + filler).left == 0
    assert found.units <= found.count * (160 if found.alphabet == "gsm7" else 70)
