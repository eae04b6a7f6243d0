"""The inbox's page says everything in both languages, and can be read in both themes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from omni.gateway.inbox.pages import PAGE

ENTRY = re.compile(r'^  "?([\w.:-]+)"?: ("(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`(?:[^`\\]|\\.)*`),?$')
USED = re.compile(r'\bt\(\s*"([\w.:-]+)"')
IMPORT = re.compile(r'^import\b[^;]*?"(\.[^"]+)";', re.MULTILINE)
PLURALS = ("one", "other")
AA = 4.5
"""The contrast that WCAG 2.2 (1.4.3) asks of text."""


def texts(language: str) -> dict[str, str]:
    lines = (PAGE / "js" / "texts" / f"{language}.js").read_text().splitlines()
    found = [(match[1], match[2]) for line in lines if (match := ENTRY.match(line))]
    assert len(found) == len({key for key, _ in found}), f"a key stands twice in {language}.js"
    return dict(found)


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def scripts() -> list[Path]:
    return [path for path in (PAGE / "js").rglob("*.js") if path.parent.name != "texts"]


def test_every_text_is_there_in_both_languages_with_the_same_gaps() -> None:
    english, spanish = texts("en"), texts("es")
    assert english.keys() == spanish.keys()
    # "1 conversation" may say its number in words.
    odd = {
        key for key, text in english.items() if names_in(text) != names_in(spanish[key]) and not key.endswith(".one")
    }
    assert odd == set()


def test_every_text_the_page_asks_for_is_there() -> None:
    english = texts("en")
    asked = {key for path in scripts() for key in USED.findall(path.read_text())}
    missing = {key for key in asked if key not in english and any(f"{key}.{form}" not in english for form in PLURALS)}
    assert missing == set()


def needs(*starts: str) -> set[str]:
    """The modules that these import, and theirs, without those that are loaded when they are wanted."""
    found: set[str] = set()
    wanted = [(PAGE / "js" / start).resolve() for start in starts]
    while wanted:
        path = wanted.pop()
        name = path.relative_to(PAGE.resolve()).as_posix()
        if name not in found:
            found.add(name)
            wanted += [(path.parent / other).resolve() for other in IMPORT.findall(path.read_text())]
    return found


def test_the_page_asks_for_all_it_begins_with_at_once() -> None:
    index = (PAGE / "index.html").read_text()
    asked = re.findall(
        r'<link rel="modulepreload" href="/inbox/([^"]+)">|<script type="module" src="/inbox/([^"]+)"', index
    )
    assert {one or other for one, other in asked} == needs("main.js", "list/list.js")


def test_no_script_writes_markup_or_runs_text() -> None:
    forbidden = re.compile(r"\.(inner|outer)HTML\b|insertAdjacentHTML|document\.write|\beval\(|new Function\(|srcdoc")
    found = {path.name: match.group() for path in scripts() if (match := forbidden.search(path.read_text()))}
    assert found == {}


def blocks() -> dict[str, dict[str, str]]:
    """The colours of each theme: "light", and the two places that say "dark"."""
    css = (PAGE / "css" / "base.css").read_text()
    heads = {"light": ":root {", "dark": ':root:not([data-theme="light"]) {', "wished": ':root[data-theme="dark"] {'}
    return {
        theme: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", css.partition(head)[2].partition("}")[0]))
        for theme, head in heads.items()
    }


def test_dark_is_the_same_dark_whoever_wished_it() -> None:
    themes = blocks()
    assert themes["dark"] == themes["wished"] != {}
    assert themes["dark"].keys() == themes["light"].keys()


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


PAIRS = [
    *((text, ground) for text in ("text", "text-2") for ground in ("bg", "surface", "surface-2", "surface-3")),
    *((text, ground) for text in ("text", "text-2") for ground in ("accent-soft", "note", "bubble-user", "bubble-bot")),
    ("accent-text", "accent"),
    ("accent-text", "accent-hover"),
    ("accent-ink", "surface"),
    ("accent-ink", "surface-2"),
    ("accent-ink", "accent-soft"),
    ("bubble-human-text", "bubble-human"),
    *((tone, ground) for tone in ("danger", "warn", "ok") for ground in ("surface", "bg")),
    *((tone, f"{tone}-soft") for tone in ("danger", "warn", "ok")),
    ("text", "mark"),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(theme: str) -> None:
    colours = blocks()[theme]
    weak = {
        f"{text} on {ground}": round(found, 2)
        for text, ground in PAIRS
        if (found := contrast(colours[text], colours[ground])) < AA
    }
    assert weak == {}
