"""Calls with sound in the terminal: told in words, and placed from there."""

from __future__ import annotations

import click
import pytest

from omni.cli.show import entry_line
from omni.model.entry import Entry, fact_of


def shown(type_: str, data: dict[str, object]) -> str | None:
    entry = Entry(seq=1, ts=0, call="CA1", agent="desk", fact=fact_of(type_, data))
    line = entry_line(entry, {})
    return None if line is None else click.unstyle(line)


ENDS = {"from": "+12025550142", "to": "+12025550188", "channel": "phone:+12025550142", "contact": "ct_1"}


@pytest.mark.parametrize(
    ("type_", "data", "words"),
    [
        ("call.ringing", {**ENDS, "direction": "outbound"}, "calling +12025550188"),
        ("call.ringing", {**ENDS, "direction": "inbound"}, "ringing: +12025550142 calls"),
        ("call.started", {**ENDS, "direction": "outbound"}, "call started with +12025550188"),
        ("call.started", {**ENDS, "direction": "inbound"}, "call started by +12025550142"),
        ("call.rejected", {"reason": "busy"}, "not taken: busy"),
        ("call.machine", {"answered_by": "machine_start"}, "answered by: machine_start"),
        ("call.held", {}, "on hold"),
        ("call.unheld", {}, "off hold"),
        ("call.muted", {}, "muted"),
        ("call.unmuted", {"transcript": "hello"}, "said meanwhile: hello"),
        ("call.dtmf_received", {"digit": "4", "digits": "1234"}, "pressed 4"),
        ("call.dtmf_sent", {"digits": "12"}, "we pressed 12"),
        ("call.forwarded", {"to": "+4917"}, "forwarded to +4917"),
        ("call.forward_failed", {"to": "+4917", "reason": "busy"}, "nobody was reached at +4917: busy"),
        ("call.recording", {"blob": "b", "duration_ms": 1500.0, "sample_rate": 8000, "size": 9}, "recorded: 1.5 s"),
        (
            "bot.interrupted",
            {"id": "m", "text": "It arrives", "at_word": 2, "played_ms": 900.0, "reason": "user_spoke"},
            "the bot was interrupted after 0.9 s; heard: It arrives",
        ),
    ],
)
def test_what_only_a_call_with_sound_has_is_told_in_words(type_: str, data: dict[str, object], words: str) -> None:
    line = shown(type_, data)
    assert line is not None
    assert words in line
    assert "{" not in line


def test_a_correction_is_not_told_twice() -> None:
    assert shown("bot.corrected", {"supersedes": 4, "id": "m", "text": "x"}) is None


def test_what_a_caller_is_named_reaches_the_terminal_as_text_only() -> None:
    line = shown("call.forward_failed", {"to": "\x1b[2J", "reason": "x\ny"})
    assert line is not None
    assert "\x1b" not in line
