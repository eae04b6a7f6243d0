"""Signs of attention: what listeners say so that the speaker goes on ("uh-huh", "vale", "ja genau")."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain
from typing import Final

_SIGNS: Final[dict[str, str]] = {
    "en": "ok, okay, yeah, yep, yup, yes, right, sure, alright, all right, cool, great, good, nice, fine, true,"
    " exactly, indeed, i see, got it, gotcha, i understand, understood, of course, makes sense, sounds good, really,"
    " wow, huh, mm, mhm, uh huh, k",
    "es": "sí, si, vale, ya, claro, ajá, aja, bueno, bien, muy bien, de acuerdo, entiendo, entendido, perfecto, exacto,"
    " ya veo, claro que sí, por supuesto, okey, dale, genial, eso, así es",
    "pt": "sim, tá, ta, tá bom, está bem, certo, claro, pois, pois é, é, isso, entendi, percebi, perfeito, beleza,"
    " ótimo, exato, com certeza, ok tá",
    "fr": "oui, ouais, d'accord, ok d'accord, entendu, bien, très bien, bien sûr, voilà, exactement, parfait, je vois,"
    " je comprends, c'est ça, tout à fait, ah oui, ben oui",
    "de": "ja, jaja, jo, genau, gut, sehr gut, klar, alles klar, stimmt, richtig, verstehe, ich verstehe, verstanden,"
    " ach so, achso, aha, in ordnung, okay gut, super, schön, doch",
    "it": "sì, si, già, va bene, certo, bene, molto bene, capito, ho capito, capisco, d'accordo, esatto, giusto,"
    " perfetto, ecco, ah sì, infatti",
    "nl": "ja, jawel, oké, oke, goed, prima, precies, inderdaad, snap ik, ik snap het, begrijp ik, klopt",
    "ca": "sí, d'acord, val, molt bé, entesos, és clar, clar, exacte, ja",
    "pl": "tak, no tak, dobrze, dobra, jasne, rozumiem, aha, okej, racja",
    "ru": "да, ага, угу, хорошо, ладно, понятно, ясно, так, точно, конечно, окей",
    "uk": "так, ага, угу, добре, гаразд, зрозуміло, ясно, звичайно",
    "tr": "evet, tamam, peki, olur, anladım, doğru, aynen, tabii",
    "sv": "ja, jo, okej, precis, bra, just det, jag förstår, visst",
    "hi": "हाँ, हां, जी, ठीक है, अच्छा, जी हाँ, सही",
    "ar": "نعم, أيوه, ايوه, طيب, حسنا, تمام, ماشي, صحيح",
    "zh": "嗯, 嗯嗯, 好, 好的, 是, 是的, 对, 对对, 对对对, 哦, 行, 知道了, 明白",
    "ja": "はい, はいはい, ええ, うん, うんうん, そうですね, そうですか, なるほど, わかりました, へえ",
    "ko": "네, 예, 응, 음, 그래요, 그렇군요, 알겠습니다, 맞아요",
}
_HUM: Final = re.compile(r"(?:[aeou]?h+[aeou]*h*|h*m+h*m*|u+h*m+|e+h*m*|a+h*|o+h*|э+|м+)")
_TOKEN: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def tokens(text: str) -> tuple[str, ...]:
    """The words of a text, as they are compared. Scripts without spaces have one word a phrase."""
    return tuple(_TOKEN.findall(text.casefold().replace("’", "'")))


_PHRASES: Final = frozenset(tokens(sign) for sign in chain.from_iterable(signs.split(",") for signs in _SIGNS.values()))
_LONGEST: Final = max(len(phrase) for phrase in _PHRASES)


@lru_cache(maxsize=512)
def is_backchannel(text: str) -> bool:
    """Whether the text is nothing but signs of attention, in whatever language. Without words: False."""
    said = tokens(text)
    at = 0
    while at < len(said):
        length = next((n for n in range(_LONGEST, 0, -1) if said[at : at + n] in _PHRASES), 0)
        if length == 0 and _HUM.fullmatch(said[at]):
            length = 1
        if length == 0:
            return False
        at += length
    return at > 0
