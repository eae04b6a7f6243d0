"""Long texts go out in pieces that lose nothing and tear nothing apart."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.splitting import is_grapheme_boundary, split, units
from channels.whatsapp.markup import to_whatsapp

FAMILY = "👨‍👩‍👧‍👦"
FLAGS = "🇺🇳🇫🇷"
SCRAPS = [
    "a",
    "word ",
    "Hi. ",
    "Was? ",
    "\n",
    "\n\n",
    "é",
    "e\u0301",
    FAMILY,
    "👍🏿",
    FLAGS,
    "한국",
    "हिन्दी",
    "`code x`",
    "。",
    "x" * 9,
]
texts = st.lists(st.sampled_from(SCRAPS) | st.text(max_size=8), max_size=120).map("".join)


@given(texts, st.integers(min_value=2, max_value=120))
@settings(deadline=None)
def test_pieces_joined_are_the_text_and_none_is_too_long(text: str, limit: int) -> None:
    pieces = split(text, limit)
    assert "".join(pieces) == text
    assert all(units(piece) <= limit for piece in pieces)
    assert all(pieces) or text == ""


@given(texts)
@settings(deadline=None)
def test_no_grapheme_is_torn_when_it_fits(text: str) -> None:
    # Whatever the strategy makes, a run of marks longer than a piece must be torn; such runs are rare and left out.
    pieces = split(text, 60)
    place = 0
    for piece in pieces[:-1]:
        place += len(piece)
        if not is_grapheme_boundary(text, place):
            run = piece[::-1]
            assert not any(is_grapheme_boundary(piece, n) for n in range(1, len(run)))


@given(texts)
@settings(deadline=None)
def test_units_are_what_utf16_counts(text: str) -> None:
    assert units(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2


@pytest.mark.parametrize(
    "whole", [FAMILY, "🇺🇳", "e\u0301", "👍🏿", "각", "\r\n", "न्दी", "1\ufe0f\u20e3", "🏴\U000e0067\U000e007f"]
)
def test_what_looks_like_one_character_stays_whole(whole: str) -> None:
    assert not any(is_grapheme_boundary(whole, place) for place in range(1, len(whole)))


def test_flags_are_told_apart() -> None:
    assert [is_grapheme_boundary("🇺🇳🇫🇷", place) for place in (1, 2, 3)] == [False, True, False]


def test_an_ordinary_text_is_one_piece() -> None:
    assert split("x" * 4096, 4096) == ["x" * 4096]
    assert [len(piece) for piece in split("x" * 4097, 4096)] == [4096, 1]
    assert [units(piece) for piece in split("😊" * 2049, 4096)] == [4096, 2]


def test_paragraphs_are_better_than_sentences_and_sentences_better_than_words() -> None:
    first, second = "One. " * 10, "Two. " * 10
    assert split(f"{first}\n\n{second}", 80) == [f"{first}\n\n", second]
    assert split("This is it. And this is more", 20) == ["This is it. ", "And this is more"]
    assert split("no end of a sentence here at all", 21) == ["no end of a sentence ", "here at all"]


def test_a_link_is_never_cut_when_it_fits() -> None:
    link = "https://example.com/" + "p" * 70
    for before in range(1, 100):
        pieces = split("w" * before + " " + link + " and more words", 100)
        assert any(link in piece for piece in pieces)


def test_a_code_block_is_never_cut_when_it_fits() -> None:
    block = "```\nfor x in y:\n\n    print(x)\n```"
    for before in range(1, 60):
        assert any(block in piece for piece in split("w " * before + block + " and more", 60))


def test_a_code_block_longer_than_a_piece_is_cut_between_its_lines() -> None:
    block = "```\n" + "line of code\n" * 30 + "```"
    pieces = split(block, 100)
    assert "".join(pieces) == block
    assert all(piece.endswith("\n") for piece in pieces[:-1])


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        "\n" * 200_000,
        "`" * 50_001,
        "Z" + "\u0351" * 20_000,
        "https://" + "x" * 50_000,
        "." * 50_000,
        "[" * 20_000,
    ],
)
def test_odd_texts_take_no_time(text: str) -> None:
    assert "".join(split(text, 4096)) == text
    to_whatsapp(text)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain", "plain"),
        ("**bold** and __also__", "*bold* and *also*"),
        ("***both***", "*_both_*"),
        ("*kept* and _kept_", "*kept* and _kept_"),
        ("~~gone~~", "~gone~"),
        ("# Title\ntext", "*Title*\ntext"),
        ("### **Title** ###", "*Title*"),
        ("* one\n* two\n  + three", "- one\n- two\n  - three"),
        ("1. one\n2. two", "1. one\n2. two"),
        ("a\n\n---\n\nb", "a\n\n\nb"),
        ("see [the menu](https://x.example/menu)", "see the menu (https://x.example/menu)"),
        ("[https://x.example](https://x.example)", "https://x.example"),
        ("![cat](https://x.example/cat.png)", "cat (https://x.example/cat.png)"),
        ("[mail](mailto:a@x.example)", "mail (a@x.example)"),
        ("[odd](javascript:alert)", "[odd](javascript:alert)"),
        ("`**not** bold`", "`**not** bold`"),
        ("```python\nx = a**b**c\n```", "```\nx = a**b**c\n```"),
        (
            "https://x.example/a__b__c and **https://x.example/d**",
            "https://x.example/a__b__c and *https://x.example/d*",
        ),
        ("snake__case__name stays", "snake__case__name stays"),
        ("2 ** 3 ** 4", "2 ** 3 ** 4"),
        ("> quote", "> quote"),
        ("-5 degrees", "-5 degrees"),
    ],
)
def test_markdown_becomes_whatsapp_markup(written: str, shown: str) -> None:
    assert to_whatsapp(written) == shown


@given(texts)
@settings(deadline=None)
def test_markup_never_fails_and_leaves_plain_words_alone(text: str) -> None:
    to_whatsapp(text)
    words = "".join(c for c in text if c.isalnum() or c == " ")
    assert to_whatsapp(words) == words
