"""What words say about turns: signs of attention, and sentences that are not over."""

from __future__ import annotations

import pytest

from workers.voice.turns.backchannel import is_backchannel
from workers.voice.turns.unfinished import finished


@pytest.mark.parametrize(
    "text",
    [
        *("mhm", "Mm-hmm.", "mmm", "hmm", "Uh-huh", "aha", "ah", "oh", "OK", "okay okay", "Yeah, yeah.", "I see."),
        *("got it", "Vale, vale", "sí", "Ajá", "claro que sí", "oui oui", "D’accord !", "ouais, ok"),
        *("Ja.", "alles klar", "ach so, ja", "va bene", "sì certo", "tá bom", "pois é", "да, да", "угу", "はい", "嗯"),
    ],
)
def test_a_sign_of_attention_is_known_in_many_languages(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize(
    "text", ["", "...", "no", "stop", "wait", "ok wait", "yes but", "sí pero", "hamburger", "thumb", "espera", "ho una"]
)
def test_what_wants_the_floor_is_no_sign_of_attention(text: str) -> None:
    assert not is_backchannel(text)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I would like a pizza and", None),
        ("I would like a pizza and.", "en"),
        ("My number is", None),
        ("My number is.", "en-GB"),
        ("My phone number is 600 11", None),
        ("my code is four two", None),
        ("six zero zero one", None),
        ("600 112", None),
        ("I think,", None),
        ("Well...", None),
        ("Mi número es", "es"),
        ("mi número de teléfono es seis cero", "es"),
        ("Quiero una mesa para", None),
        ("quiero una mesa y", "es"),
        ("je voudrais un", "fr"),
        ("ich möchte und", None),
        ("ich hätte gern eine", "de"),
        ("vorrei una pizza con", "it"),
    ],
)
def test_more_is_to_come(text: str, language: str | None) -> None:
    assert finished(text, language) < 0.5


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is my order?", None),
        ("I want two", None),
        ("two pizzas", "en"),
        ("My number is 600 112 334.", "en"),
        ("my number is six zero zero one one two three three four", None),
        ("The order is on its way.", "en"),
        ("in 2026", None),
        ("what do I do", None),
        ("no", "es"),
        ("Is that the one you are looking for?", "en"),
        ("what are you looking for?", None),
        ("ich komme mit", "de"),
        ("quiero dos", "es"),
        ("", None),
    ],
)
def test_that_may_be_all(text: str, language: str | None) -> None:
    assert finished(text, language) >= 0.5
