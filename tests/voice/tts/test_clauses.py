"""A reply is spoken from its first clause on, and nothing of it is lost, doubled or torn."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.voice.tts.clauses import Clauses
from workers.voice.tts.speakable import has_sound, speakable


def pieces_of(text: str, size: int = 3, language: str | None = None) -> list[str]:
    """As it is cut when it comes in tokens of a few characters."""
    clauses = Clauses(language)
    tokens = [text[at : at + size] for at in range(0, len(text), size)]
    return [piece for token in tokens for piece in clauses.feed(token)] + clauses.flush()


def words_with_sound(text: str) -> list[str]:
    return [word for word in text.split() if has_sound(word)]


WORDS = st.sampled_from(
    """Hello we I'll 3.50 1,000 Dr. e.g. p.m. U.S. no. https://a.b/c?d=e,f joe@x.com — ... well... (yes) “no” ¿Qué
    ¡Hola! naïve, 12:30 A 5. $3.50, end. why? wow! then; so: x-y año, ok مرحبا، كيف؟ etc. St. Mr. 7 3.
    über""".split()  # noqa: SIM905 - a list of quoted words is harder to read
)
TEXTS = st.lists(st.tuples(WORDS, st.sampled_from([" ", " ", " ", "\n", "\n\n", "  "])), max_size=60).map(
    lambda pairs: "".join(word + space for word, space in pairs)
)


@settings(deadline=None)
@given(TEXTS, st.integers(1, 9))
def test_the_pieces_say_every_word_once_and_in_order(text: str, size: int) -> None:
    said = " ".join(pieces_of(text, size))
    assert words_with_sound(said) == words_with_sound(speakable(text))


@settings(deadline=None)
@given(st.text(alphabet="你好吗，。！？“”「」、3１．…\n很天气", max_size=400), st.integers(1, 9))
def test_text_without_spaces_loses_no_character(text: str, size: int) -> None:
    said = "".join(pieces_of(text, size))
    sounds = [char for char in text if char.isalnum()]
    assert [char for char in said if char.isalnum()] == sounds


@settings(deadline=None)
@given(st.text(alphabet="ab1 .,!?\n*_`#[]()<>-|~👍$", max_size=300), st.integers(1, 9))
def test_however_the_tokens_fall_the_pieces_are_the_same(text: str, size: int) -> None:
    assert pieces_of(text, size) == pieces_of(text, 1)
    assert all(has_sound(piece) for piece in pieces_of(text, size))


def test_the_first_piece_ends_at_the_first_clause_and_the_rest_are_sentences() -> None:
    text = "Sure, one moment please. I will look, of course, for your order now. Here it is."
    assert pieces_of(text) == [
        "Sure,",
        "one moment please.",
        "I will look, of course, for your order now.",
        "Here it is.",
    ]


def test_the_first_piece_is_ready_with_the_token_behind_its_comma() -> None:
    clauses = Clauses()
    assert [clauses.feed(token) for token in ("Su", "re", ",", " one")] == [[], [], [], ["Sure,"]]


def test_a_first_clause_of_a_letter_or_two_is_not_spoken_alone() -> None:
    assert pieces_of("Oh, I see. Fine.") == ["Oh, I see.", "Fine."]


@pytest.mark.parametrize(
    "kept",
    [
        "That is 3.50 or 1,000 or 12:30 today.",
        "Dr. Smith and Mrs. Jones met Mr. J. Doe.",
        "Meet at 5 p.m. on Monday e.g. here.",
        "See https://example.com/a.b?c=d,e;f now.",
        "Write to joe.doe@example.com today.",
        "The U.S. Army is No. 5 here.",
        "Version 1.2.3 is out.",
    ],
)
def test_no_piece_ends_inside_a_number_an_abbreviation_or_an_address(kept: str) -> None:
    assert pieces_of(f"Right. {kept} Bye.") == ["Right.", kept, "Bye."]


def test_a_german_ordinal_does_not_end_a_sentence() -> None:
    assert pieces_of("Gut. Am 3. Mai um 12. Bis dann.", language="de-DE")[1] == "Am 3. Mai um 12. Bis dann."
    assert pieces_of("Good. We have 12. See you.", language="en")[1:] == ["We have 12.", "See you."]


def test_punctuation_of_other_scripts_ends_pieces() -> None:
    assert pieces_of("你好，我是小明。今天天气很好！再见") == ["你好，", "我是小明。", "今天天气很好！", "再见"]
    assert pieces_of("مرحبا، كيف حالك؟ أنا بخير.") == ["مرحبا،", "كيف حالك؟", "أنا بخير."]
    assert pieces_of("नमस्ते। आप कैसे हैं?") == ["नमस्ते।", "आप कैसे हैं?"]
    assert pieces_of("¿Qué tal? ¡Muy bien! Son 3,50 € para el Sr. López, gracias.") == [
        "¿Qué tal?",
        "¡Muy bien!",
        "Son 3,50 € para el Sr. López, gracias.",
    ]


def test_what_has_no_sound_is_not_spoken() -> None:
    text = (
        "**Hello!** See [the page. Really](https://x.y/z_a) 👍🏽.\n\n```python\nprint('not. spoken')\n```\n"
        "## Steps\n- call `run()` now\n- _wait_\n\n| a | b |\n|---|---|\n<b>Done</b> 1️⃣ 🇪🇸.\n---\n"
    )
    said = " ".join(pieces_of(text))
    assert said == "Hello! See the page. Really . Steps call run() now wait a b Done 1 ."
    assert pieces_of("```\nonly. code\n```") == []
    assert pieces_of("...\n👍 !!!") == []


def test_arithmetic_and_names_keep_their_signs() -> None:
    assert pieces_of("It is 2*3 and 2 * 3 in snake_case_name, a < b > c.") == [
        "It is 2*3 and 2 * 3 in snake_case_name,",
        "a < b > c.",
    ]


def test_a_sentence_that_does_not_end_is_cut_between_words() -> None:
    text = "word " * 200
    pieces = pieces_of(text)
    assert all(len(piece) <= 200 for piece in pieces)
    assert " ".join(pieces).split() == text.split()


def test_text_that_must_be_spoken_at_once_does_not_wait_for_more() -> None:
    clauses = Clauses()
    assert clauses.feed("One moment", is_whole=True) == ["One moment"]
    assert clauses.feed("Are you there? I am", is_whole=True) == ["Are you there?", "I am"]
    assert clauses.flush() == []


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Let me check that.", ["Let me check that."]),
        ("Let me *check* that! ", ["Let me check that!"]),
        ("请稍等。", ["请稍等。"]),
        ("It costs 3.", []),
        ("I ask Dr.", []),
        ("Let me check", []),
        ("", []),
        ("Call the `code`.`", []),
        ("There are 5!", ["There are 5!"]),
    ],
)
def test_a_sentence_before_a_pause_is_said_when_it_is_surely_complete(text: str, pieces: list[str]) -> None:
    clauses = Clauses()
    assert clauses.feed(text) == []
    assert clauses.paused() == pieces
    assert clauses.paused() == []
    assert bool(clauses.flush()) == bool(text and not pieces)


def test_a_flood_without_a_space_is_bounded() -> None:
    clauses = Clauses()
    for _ in range(100):
        clauses.feed("x" * 100)
    assert len("".join(clauses.flush())) <= 2_000


def test_no_text_takes_long_to_cut() -> None:
    for nasty in ("-" * 5_000, "_" * 5_000, "<a " * 2_000, "[" * 3_000, "*a" * 2_000, "> " * 3_000, "a.b." * 1_000):
        assert re.sub(r"\W", "", "".join(pieces_of(nasty, 500))) in re.sub(r"\W", "", nasty)
