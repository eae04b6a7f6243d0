"""Brings up the real services that the tests use: RabbitMQ, and a server that speaks MongoDB's protocol.

    python scripts/services.py start | stop | status

Whatever already listens is used as it is and is never stopped. What this script starts keeps its pid, log and data in
`.services/`.
`OMNI_TEST_RABBITMQ_URL` and `OMNI_TEST_MONGO_URL` name services that run elsewhere (a real `mongod`, for instance).

Standard library only: it runs before anything is installed. In CI it ends with status 1 when a service is missing; only
the MongoDB-speaking server may be missing, where no Python >= 3.13 can be had.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".services"
STATUS = STATE / "status.json"

RABBITMQ_URL = os.environ.get("OMNI_TEST_RABBITMQ_URL") or "amqp://guest:guest@127.0.0.1:5672/"
RABBITMQ_BOOT_SECONDS = 90.0
RABBITMQ_STARTED = STATE / "rabbitmq.started"

MONGO_PORT = 27117  # not MongoDB's own 27017: a developer's mongod is left alone unless OMNI_TEST_MONGO_URL names it
MONGO_URL = os.environ.get("OMNI_TEST_MONGO_URL") or f"mongodb://127.0.0.1:{MONGO_PORT}/?directConnection=true"
MONGO_VENV = ROOT / ".venv-mongo"
MONGO_PACKAGE = "mongoeco[wire]==4.11.0"  # this very one: scripts/mongo_server.py reaches inside it
MONGO_PYTHON = "3.13"
MONGO_BOOT_SECONDS = 60.0
MONGO_PID = STATE / "mongodb.pid"
MONGO_LOG = STATE / "mongodb.log"
MONGO_FILE = STATE / "mongodb.sqlite"

IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}

Name = Literal["RabbitMQ", "MongoDB"]


@dataclass(frozen=True, slots=True)
class Service:
    """What became of one service; `missing` is the sentence that says why it is not there."""

    name: Name
    url: str
    missing: str = ""
    excused: bool = False  # may be missing even in CI


class MissingError(Exception):
    """A service cannot be brought up; the message is a sentence with the mend."""

    def __init__(self, sentence: str, *, excused: bool = False) -> None:
        super().__init__(sentence)
        self.excused = excused


# --- who is listening ------------------------------------------------------------------------------------------------


def speaks_amqp(url: str, timeout: float = 3.0) -> bool:
    """Whether a broker answers our protocol header with Connection.Start (a listening port alone proves nothing)."""
    try:
        with _connect(url, 5672, timeout) as link:
            link.sendall(b"AMQP\x00\x00\x09\x01")
            return link.recv(1) == b"\x01"
    except OSError:
        return False


def speaks_mongodb(url: str, timeout: float = 3.0) -> bool:
    """Whether a server answers `hello` in MongoDB's wire protocol (OP_MSG)."""
    document = b"\x10hello\x00" + struct.pack("<i", 1) + b"\x02$db\x00" + struct.pack("<i", 6) + b"admin\x00" + b"\x00"
    body = struct.pack("<I", 0) + b"\x00" + struct.pack("<i", len(document) + 4) + document
    message = struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body
    try:
        with _connect(url, 27017, timeout) as link:
            link.sendall(message)
            header = link.recv(16)
            return len(header) == 16 and struct.unpack("<iiii", header)[3] == 2013
    except OSError:
        return False


def _connect(url: str, default_port: int, timeout: float) -> socket.socket:
    parts = urlsplit(url)
    if "," in parts.netloc or parts.scheme == "mongodb+srv":  # a replica set: ask its first member
        host = parts.netloc.rpartition("@")[2].split(",")[0]
        name, _, port = host.partition(":")
        return socket.create_connection((name, int(port or default_port)), timeout)
    return socket.create_connection((parts.hostname or "127.0.0.1", parts.port or default_port), timeout)


def _wait_until(ready: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(0.2)
    return False


# --- RabbitMQ --------------------------------------------------------------------------------------------------------


def start_rabbitmq() -> Service:
    """Uses the broker that listens, else starts the installed one; installs Debian's package when root in CI."""
    try:
        if not speaks_amqp(RABBITMQ_URL):
            if os.environ.get("OMNI_TEST_RABBITMQ_URL"):
                raise MissingError(
                    f"OMNI_TEST_RABBITMQ_URL {RABBITMQ_URL!r}: nothing there speaks AMQP; start it or unset it."
                )
            _run_broker(_broker_program())
    except MissingError as missing:
        return Service("RabbitMQ", RABBITMQ_URL, str(missing), missing.excused)
    return Service("RabbitMQ", RABBITMQ_URL)


def _broker_program() -> str:
    program = _find_program("rabbitmq-server")
    if program is None and IN_CI and os.geteuid() == 0 and shutil.which("apt-get"):
        _say("Installing rabbitmq-server with apt-get ...")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "rabbitmq-server"],
        ):
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise MissingError(f"`{' '.join(command)}` failed: {_last_line(done.stderr or done.stdout)}")
        program = _find_program("rabbitmq-server")
    if program is None:
        raise MissingError(
            "RabbitMQ is not installed and nothing listens on port 5672; install it (Debian/Ubuntu: apt install "
            "rabbitmq-server, macOS: brew install rabbitmq), run `docker run -d -p 5672:5672 rabbitmq`, or set "
            "OMNI_TEST_RABBITMQ_URL."
        )
    return program


def _run_broker(program: str) -> None:
    if _wait_until(lambda: speaks_amqp(RABBITMQ_URL), 1.0):  # installing Debian's package may have started it
        return
    _say("Starting RabbitMQ ...")
    done = subprocess.run(
        [program, "-detached"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
    )
    if not _wait_until(lambda: speaks_amqp(RABBITMQ_URL), RABBITMQ_BOOT_SECONDS if done.returncode == 0 else 5.0):
        why = _last_line(done.stderr or done.stdout) or f"it did not accept AMQP within {RABBITMQ_BOOT_SECONDS:.0f} s"
        raise MissingError(
            f"`{program} -detached` did not bring RabbitMQ up: {why}. Its log is usually in /var/log/rabbitmq."
        )
    RABBITMQ_STARTED.touch()


def stop_rabbitmq() -> None:
    """Stops the broker only when this script started it."""
    if not RABBITMQ_STARTED.exists():
        return
    if control := _find_program("rabbitmqctl"):
        _say("Stopping RabbitMQ ...")
        subprocess.run([control, "shutdown"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=90)
    RABBITMQ_STARTED.unlink(missing_ok=True)


# --- MongoDB ---------------------------------------------------------------------------------------------------------


def start_mongodb() -> Service:
    """Uses the server that listens, else starts mongoeco (scripts/mongo_server.py) in an environment of its own."""
    try:
        if not speaks_mongodb(MONGO_URL):
            if os.environ.get("OMNI_TEST_MONGO_URL"):
                raise MissingError(
                    f"OMNI_TEST_MONGO_URL {MONGO_URL!r}: nothing there speaks MongoDB's protocol; start it or unset it."
                )
            _run_mongo_server(_mongo_environment())
    except MissingError as missing:
        return Service("MongoDB", MONGO_URL, str(missing), missing.excused)
    return Service("MongoDB", MONGO_URL)


def _mongo_environment() -> Path:
    python = MONGO_VENV / "bin" / "python"
    stamp = MONGO_VENV / ".installed"
    if stamp.exists() and stamp.read_text() == MONGO_PACKAGE and python.exists():
        return python
    base = _python_for_mongo()
    _say(f"Installing {MONGO_PACKAGE} into {MONGO_VENV.name} ({base}) ...")
    shutil.rmtree(MONGO_VENV, ignore_errors=True)
    for command in (
        [base, "-m", "venv", str(MONGO_VENV)],
        [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install", MONGO_PACKAGE],
    ):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingError(f"`{' '.join(command)}` failed: {_last_line(done.stderr or done.stdout)}")
    stamp.write_text(MONGO_PACKAGE)
    return python


def _python_for_mongo() -> str:
    """A Python >= 3.13: one of this machine, else one that uv downloads into `.services/`."""
    found = subprocess.run(
        [ROOT / "scripts" / "find-python", MONGO_PYTHON], capture_output=True, text=True, check=False
    )
    if found.returncode == 0:
        return found.stdout.strip()
    if uv := shutil.which("uv"):
        _say(f"Fetching Python {MONGO_PYTHON} with uv ...")
        environment = {**os.environ, "UV_PYTHON_INSTALL_DIR": str(STATE / "python")}
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [uv, "python", "install", "--no-bin", MONGO_PYTHON],
                env=environment,
                capture_output=True,
                check=False,
                timeout=180,
            )
        for python in sorted((STATE / "python").glob("cpython-*/bin/python3")):
            return str(python)
    raise MissingError(
        f"The MongoDB-speaking test server needs a Python >= {MONGO_PYTHON} and none was found; "
        "install one, or set OMNI_TEST_MONGO_URL to a mongod.",
        excused=True,
    )


def _run_mongo_server(python: Path) -> None:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", MONGO_PORT), 1.0):
        raise MissingError(
            f"Port {MONGO_PORT} is taken by something that does not speak MongoDB's protocol; "
            "free it or set OMNI_TEST_MONGO_URL."
        )
    for leftover in STATE.glob(MONGO_FILE.name + "*"):
        leftover.unlink()
    _say(f"Starting the MongoDB-speaking server on port {MONGO_PORT} ...")
    with MONGO_LOG.open("wb") as log:
        process = subprocess.Popen(
            [python, ROOT / "scripts" / "mongo_server.py", "--port", str(MONGO_PORT), "--file", MONGO_FILE],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    MONGO_PID.write_text(str(process.pid))
    if (
        not _wait_until(lambda: process.poll() is not None or speaks_mongodb(MONGO_URL), MONGO_BOOT_SECONDS)
        or process.poll() is not None
    ):
        raise MissingError(
            f"The MongoDB-speaking server did not start: {_last_line(MONGO_LOG.read_text())} (log: {MONGO_LOG})"
        )


def stop_mongodb() -> None:
    """Stops the server only when this script started it."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(MONGO_PID.read_text())
        if "mongo_server.py" in _command_line(pid):  # the number may belong to another process by now
            _say("Stopping the MongoDB-speaking server ...")
            os.kill(pid, signal.SIGTERM)
            if not _wait_until(lambda: "mongo_server.py" not in _command_line(pid), 10.0):
                os.kill(pid, signal.SIGKILL)
    MONGO_PID.unlink(missing_ok=True)


def _command_line(pid: int) -> str:
    shown = subprocess.run(
        ["ps", "-o", "stat=,args=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return "" if shown.startswith("Z") else shown  # a zombie has already ended


# --- command ---------------------------------------------------------------------------------------------------------


def _find_program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin:/sbin")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _say(sentence: str) -> None:
    print(sentence, flush=True)


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Two `make test` at once must not start the same server twice."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _report(services: list[Service]) -> int:
    STATUS.write_text(json.dumps([asdict(service) for service in services], indent=2))
    for service in services:
        where = urlsplit(service.url).netloc.rpartition("@")[2]
        _say(f"{service.name}: MISSING. {service.missing}" if service.missing else f"{service.name}: ready at {where}")
    return int(IN_CI and any(service.missing and not service.excused for service in services))


def main() -> int:
    parser = argparse.ArgumentParser(description="Starts, stops or shows the services that the tests use.")
    parser.add_argument("verb", choices=["start", "stop", "status"])
    verb = parser.parse_args().verb
    with _only_one():
        if verb == "start":
            return _report([start_rabbitmq(), start_mongodb()])
        if verb == "stop":
            stop_mongodb()
            stop_rabbitmq()
            STATUS.unlink(missing_ok=True)
            return 0
        return _report(
            [
                Service(
                    "RabbitMQ",
                    RABBITMQ_URL,
                    "" if speaks_amqp(RABBITMQ_URL) else "It does not run; try `make services`.",
                ),
                Service(
                    "MongoDB", MONGO_URL, "" if speaks_mongodb(MONGO_URL) else "It does not run; try `make services`."
                ),
            ]
        )


if __name__ == "__main__":
    sys.exit(main())
