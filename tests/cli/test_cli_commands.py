"""Commands without a running server: errors as sentences, dead letters, and what is imported when."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from omni.bus.base import Outgoing, Received
from omni.bus.sqlite import SqliteBus
from omni.cli import VERBS, main
from omni.model.queues import every_queue, inbound
from omni.sqlite import SqliteFile

ROOT = Path(__file__).resolve().parents[2]


def test_help_imports_no_engine_and_no_model_client() -> None:
    script = (
        "import sys\n"
        "from omni.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ['openai', 'pymongo', 'aio_pika', 'aiormq', 'faster_whisper', 'aiohttp', 'pydantic', 'jinja2']\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    done = CliRunner().invoke(main, [verb, "--help"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"Usage: main {verb}")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run commands in, without variables of ours."""
    for name in [name for name in os.environ if name.startswith(("OMNI_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _is_one_sentence(status: int, err: str, named: str) -> None:
    sentences = [line for line in err.splitlines() if line.startswith("omni: ")]
    assert status == 2, err
    assert len(sentences) == 1, err
    assert named in sentences[0]
    assert "Traceback" not in err
    assert "hunter2" not in err


@pytest.mark.parametrize(
    ("variables", "file", "words", "named"),
    [
        ({"OMNI_BUS_URL": "ampq://x"}, None, ("serve",), "OMNI_BUS_URL"),
        ({"OMNI_STORE_URL": "mysql://u:hunter2@x/y"}, None, ("serve",), "OMNI_STORE_URL"),
        ({"OMNI_PORT": "80800"}, None, ("serve",), "OMNI_PORT"),
        ({}, "agents: [{slug: Echo!, brain: script}]", ("serve",), "slug"),
        ({}, "agents: [{slug: echo, brian: script}]", ("serve",), "brian"),
        ({}, "prot: 8080", ("serve",), "prot"),
        ({}, "host: ${NO_SUCH_VARIABLE}", ("serve",), "NO_SUCH_VARIABLE"),
        ({}, ": : :", ("serve",), "not YAML"),
        ({}, None, ("serve", "--config", "nowhere.yaml"), "nowhere.yaml"),
        ({}, None, ("calls", "list"), "start the server first"),
        ({}, None, ("dlq", "list"), "start the server first"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_status_2(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    file: str | None,
    words: tuple[str, ...],
    named: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if file is not None:
        (here / "omni.yaml").write_text(file)
    done = CliRunner().invoke(main, words)
    _is_one_sentence(done.exit_code, done.stderr, named)


@pytest.mark.parametrize(
    ("variables", "words", "named"),
    [
        ({"OMNI_PARTITIONS": "0"}, ("serve",), "OMNI_PARTITIONS"),
        ({}, ("serve", "--role", "session"), "OMNI_BUS_URL"),
        ({"OMNI_BUS_URL": "amqp://guest:hunter2@127.0.0.1:1/"}, ("serve", "--wait", "0"), "RabbitMQ"),
    ],
)
async def test_a_server_that_cannot_start_is_one_sentence_and_status_2(
    omni: Any, variables: dict[str, str], words: tuple[str, ...], named: str
) -> None:
    omni.variables.update(variables)
    done = await omni(*words)
    _is_one_sentence(done.status, done.err, named)


async def test_serve_waits_for_an_engine_and_still_heeds_sigterm(omni: Any, ended: Callable[..., Any]) -> None:
    omni.variables["OMNI_BUS_URL"] = "amqp://guest:guest@127.0.0.1:1/"
    process = await omni.start("serve", "--port", "0")
    try:
        seen = ""
        while "waiting for an engine" not in seen:
            line = (await process.stderr.readline()).decode()
            assert line, seen
            seen += line
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        await ended(process)


async def _bury(path: Path) -> None:
    file = SqliteFile(path)
    bus = SqliteBus(file)
    await bus.open()
    try:
        await bus.declare(every_queue(8))
        buried = asyncio.Event()

        def take(received: Received) -> None:
            received.bury("it failed\nwith access_token=topsecret99")
            buried.set()

        await bus.consume(inbound(3), take, prefetch=1)
        await bus.publish([Outgoing("inbound.3", b'{"text": "h\x1b[2Ji"}', "wh_1")])
        await buried.wait()
        while not await bus.dead_letters():
            await asyncio.sleep(0.01)
    finally:
        await bus.close()


def test_dead_letters_are_listed_shown_replayed_and_purged(here: Path) -> None:
    def omni(*words: str) -> Result:
        return CliRunner().invoke(main, words)

    path = here / "omni.db"
    asyncio.run(_bury(path))
    listed = omni("dlq", "list").stdout
    assert "wh_1" in listed
    assert "inbound.3" in listed
    assert "topsecret99" not in listed
    shown = omni("dlq", "show", "wh_1").stdout
    assert "\x1b" not in shown
    assert "h\\x1b[2Ji" in shown
    assert omni("dlq", "replay", "wh_1").stdout == "1 put back.\n"
    assert "no dead letters" in omni("dlq", "list").stdout
    assert omni("dlq", "replay", "wh_1").exit_code == 2
    assert omni("dlq", "replay").exit_code == 2
    asyncio.run(_bury(path))
    assert "deleted" in omni("dlq", "purge", "--all", "--yes").stdout
    assert "no dead letters" in omni("dlq", "list").stdout


async def test_doctor_makes_no_database(omni: Any) -> None:
    done = await omni("doctor", "--offline")
    assert done.status == 0, done.out
    assert not list(omni.folder.glob("omni.db*"))


async def test_an_unknown_command_names_the_known_ones(omni: Any) -> None:
    done = await omni("srve")
    assert done.status == 2
    assert "serve" in done.err


async def test_doctor_names_a_wrong_setting(omni: Any) -> None:
    omni.variables["OMNI_PARTITIONS"] = "0"
    done = await omni("doctor")
    assert done.status == 1
    assert done.out.startswith("FAIL  settings    OMNI_PARTITIONS")
