"""Log lines: one line each, bounded, about something, and without secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from omni.telemetry import logs


@pytest.fixture
def restored() -> Iterator[None]:
    """The root logger as the tests' own tools configured it, afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    levels = {name: logging.getLogger(name).level for name in ("aiormq", "httpx", "openai")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


def _told(format_: str, text: str, *args: object, **extra: object) -> str:
    out = io.StringIO()
    logs.configure(format_, "info", out)  # type: ignore[arg-type]
    logging.getLogger("omni.test").info(text, *args, extra=extra)
    return out.getvalue()


@pytest.mark.usefixtures("restored")
def test_json_is_one_line_with_what_it_is_about() -> None:
    line = _told("json", "said %s", "a\nb\x1b[2J\x00", call="wa-1", agent="echo", delivery="dlv_1", unknown="no")
    assert line.count("\n") == 1
    told = json.loads(line)
    assert told["message"] == "said a\\nb\\x1b[2J\\x00"
    assert (told["call"], told["agent"], told["delivery"]) == ("wa-1", "echo", "dlv_1")
    assert "unknown" not in told


@pytest.mark.usefixtures("restored")
def test_pretty_is_one_line_and_plain_where_nobody_looks() -> None:
    line = _told("pretty", "said %s", "a\nb\x1b[2J", call="wa-0123456789ab")
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert "call=wa-0123456789ab" in line


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("format_", ["json", "pretty"])
def test_a_line_is_bounded(format_: str) -> None:
    assert len(_told(format_, "%s", "x" * 1_000_000, call="y" * 100_000)) < 6_000


@pytest.mark.usefixtures("restored")
def test_a_broken_log_call_is_told_all_the_same() -> None:
    assert "wrong" in _told("json", "wrong %d", "x")


@pytest.mark.usefixtures("restored")
def test_libraries_are_heard_from_warning_on() -> None:
    out = io.StringIO()
    logs.configure("pretty", "debug", out)
    for name in ("aiormq", "httpx", "openai"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("trouble")
    assert "chatter" not in out.getvalue()
    assert out.getvalue().count("trouble") == 3


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer S3CRET",
        "{'Authorization': 'Bearer S3CRET'}",
        '{"authorization": "Basic S3CRET"}',
        "GET /v26.0/1?access_token=S3CRET&x=1",
        "GET /?hub.mode=subscribe&hub.verify_token=S3CRET&hub.challenge=1",
        "appsecret_proof=S3CRET",
        '{"access_token": "S3CRET", "x": 1}',
        "api_key='S3CRET'",
        "x-api-key: S3CRET",
        "amqp://user:S3CRET@host/vhost",
        "mongodb+srv://user:S3CRET@host/db",
        "app_secret=S3CRET",
        "Incorrect API key provided: sk-S3CRET0123456789",
        "GET /chat/ws?token=S3CRET&thread=1",
        "GET /chat/ws?token=cht_eyJS3CRET.S3CRET",
        "GET /live/1/player?k=S3CRET",
        "wss://h/v1/audio/transcriptions/stream?a=1&api_key=S3CRET",
        "refused the key pk_S3CRET0123456789",
        "the visitor vis_eyJS3CRETxxxxxxx came back",
        '{"event": "connect", "api_key": "S3CRET"}',
        "token='S3CRET'",
    ],
)
def test_what_looks_like_a_secret_is_left_out(text: str) -> None:
    assert "S3CRET" not in logs.without_secrets(text)


def test_ordinary_text_stays() -> None:
    text = "the token budget of wa-1 is 8000; see https://example.com/a:b?c=d&ok=1 and user@example.com, max_tokens=5"
    assert logs.without_secrets(text) == text
