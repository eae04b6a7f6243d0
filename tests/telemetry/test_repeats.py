"""Lines that repeat: some of a minute are told, and how many were not."""

from __future__ import annotations

import io
import json
import logging

from omni.telemetry import logs, tracing
from omni.telemetry.repeats import Repeats

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def line(text: str, number: int = 1, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("omni.test", level, __file__, number, text, (), None)


def test_the_first_lines_of_a_minute_are_told_and_the_rest_is_counted() -> None:
    now = 0.0
    repeats = Repeats(told=3, clock=lambda: now)
    assert [bool(repeats.filter(line("away"))) for _ in range(10)] == [True] * 3 + [False] * 7
    assert repeats.filter(line("something else")), "other words are another line"
    assert repeats.filter(line("away", 2)), "so are the same words from elsewhere"
    now = 60.0
    next_one = line("away")
    assert repeats.filter(next_one)
    assert next_one.__dict__["left_out"] == 7
    again = line("away")
    assert repeats.filter(again)
    assert "left_out" not in again.__dict__


def test_what_somebody_asked_for_is_told_whole() -> None:
    repeats = Repeats(told=1)
    assert all(repeats.filter(line("look", level=logging.INFO)) for _ in range(100))


def test_a_line_has_its_trace_where_there_is_one() -> None:
    out = io.StringIO()
    logs.configure("json", "info", out)
    log = logging.getLogger("omni.test")
    log.info("before")
    with tracing.Within(TRACE):
        log.info("in it")
    log.info("after")
    told = [json.loads(one) for one in out.getvalue().splitlines()]
    assert [one.get("trace_id") for one in told] == [None, "0af7651916cd43dd8448eb211c80319c", None]
    logging.captureWarnings(False)
