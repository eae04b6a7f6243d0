"""Whether words alone say that more is to come: "my number is", "and", "six zero zero"."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from workers.voice.turns.backchannel import tokens

SURE: Final = 0.9
LIKELY: Final = 0.7
UNLIKELY: Final = 0.1

_HANGING: Final[dict[str, frozenset[str]]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "and or but because so if that the a an to of for with my your his her our their is are at from by about"
        " as than when while um uh er erm i i'm i'd i'll we we're it's",
        "es": "y e o u pero porque que si el la los las un una unos unas de del al a en con para por mi tu su es son"
        " como cuando aunque eh este pues entonces",
        "pt": "e ou mas porque que se o a os as um uma de do da dos das ao em no na com para por meu minha seu é são"
        " como quando então hum",
        "fr": "et ou mais parce que qu' si le la les un une des de du au aux à en avec pour par mon ma mes ton votre"
        " est sont comme quand donc euh je",
        "de": "und oder aber weil dass wenn der die das den dem eine einen einem von zum zur für mein meine als wie"
        " also äh ähm ich im am bei",
        "it": "e o ma perché che se il lo la i gli le un uno una di del della dei a al alla in con per mio mia è sono"
        " come quando quindi allora ehm",
        "nl": "en of maar omdat dat als de het een van naar voor mijn eh ik",
    }.items()
}
# Words that end a sentence in one language and hang in another: without the language they say nothing.
_AMBIGUOUS: Final = """
    a as am are como de des die do e em en es he her i im in is je la las mas me mi na no o on per pour que se si so son
    sono su tu u um un una uno
"""
_HANGING_ANYWHERE: Final = frozenset().union(*_HANGING.values()).difference(_AMBIGUOUS.split())
_TRAILING: Final = re.compile(r"(?:\.\.\.|…|[,;:，、；：]|[-–—])\s*$")
_QUESTION: Final = re.compile(r"[?？؟!！]\s*$")
_STOP: Final = re.compile(r"[.。।]\s*$")
_PROMISED: Final = re.compile(  # what is given in digits, and has not been given in full
    r"\b(?:(?:number|phone|code|card|zip|pin|account|reference|order)\s+(?:number\s+)?(?:is|'s)"
    r"|(?:número|teléfono|código|tarjeta|cuenta|pedido)(?:\s+de\s+\w+)?\s+es"
    r"|(?:número|telefone|código|cartão|conta|pedido)\s+é"
    r"|(?:numéro|téléphone|code|carte|compte)(?:\s+de\s+\w+)?\s+(?:est|c'est)(?:\s+le)?"
    r"|(?:nummer|telefonnummer|kennzahl|karte|konto)\s+(?:ist|lautet)"
    r"|(?:numero|telefono|codice|carta|conto)\s+è)\b",
    re.IGNORECASE,
)
_DIGITS_SPOKEN: Final = """
    zero oh one two three four five six seven eight nine double triple
    cero uno dos tres cuatro cinco seis siete ocho nueve um dois três quatro sete oito nove
    zéro un deux trois quatre cinq sept huit neuf null eins zwei drei vier fünf sechs sieben acht neun
    due tre quattro cinque sei sette otto
"""
_DIGIT_WORDS: Final = frozenset(_DIGITS_SPOKEN.split())
_WHOLE_NUMBER: Final = 9
"""Digits of the shortest telephone number that is given in full."""


@lru_cache(maxsize=512)
def finished(text: str, language: str | None = None) -> float:
    """How likely it is, from 0 to 1, that somebody who pauses after these words has finished."""
    said = tokens(text)
    if not said:
        return LIKELY
    if _QUESTION.search(text):
        return SURE
    known = _HANGING.get((language or "").split("-")[0].casefold(), _HANGING_ANYWHERE)
    # A recogniser puts a full stop behind anything, so only the words before it count.
    if _TRAILING.search(text) or said[-1] in known or _is_counting(text, said):
        return UNLIKELY
    return SURE if _STOP.search(text) else LIKELY


def _is_counting(text: str, said: tuple[str, ...]) -> bool:
    """They are giving a number digit by digit, and it is not long enough."""
    groups = 0
    digits = 0
    for word in reversed(said):
        if not (word.isdecimal() or word in _DIGIT_WORDS):
            break
        groups += 1
        digits += len(word) if word.isdecimal() else 1
    if digits >= _WHOLE_NUMBER:
        return False
    promises = [match.end() for match in _PROMISED.finditer(text)]
    if promises and len(tokens(text[promises[-1] :])) == groups:
        return True
    return groups >= 2 and digits >= 3
