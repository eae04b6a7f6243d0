"""RabbitMQ: the broker that listens; in CI, or where none does, a node of our own from the installed one.

A broker that has served for hours, perhaps many runs that were killed, may hang in one of its corners; what CI says is
not to depend on it. Our node has its data in `.services/` and begins empty.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from servers.service import (
    IN_CI,
    STATE,
    MissingError,
    Service,
    connect,
    find_program,
    install,
    last_line,
    say,
    wait_until,
)

PORT: Final = 5673  # not RabbitMQ's own 5672
NODE: Final = "omni-services@localhost"
_GIVEN: Final = os.environ.get("OMNI_TEST_RABBITMQ_URL")
_USUAL: Final = "amqp://guest:guest@127.0.0.1:5672/"
_OWN: Final = f"amqp://guest:guest@127.0.0.1:{PORT}/"
BOOT_SECONDS: Final = 90.0
HOME: Final = STATE / "rabbitmq"
PID: Final = STATE / "rabbitmq.pid"
LOG: Final = STATE / "rabbitmq.log"
SCRIPTS: Final = (
    "/usr/lib/rabbitmq/bin/rabbitmq-server",  # what Debian's own calls, which insists on a user of its own
    "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
)


def speaks_amqp(url: str, timeout: float = 3.0) -> bool:
    """Whether a broker answers our protocol header with Connection.Start (a listening port alone proves nothing)."""
    try:
        with connect(url, 5672, timeout) as link:
            link.sendall(b"AMQP\x00\x00\x09\x01")
            return link.recv(1) == b"\x01"
    except OSError:
        return False


def _url() -> str:
    if _GIVEN:
        return _GIVEN
    return _OWN if IN_CI or speaks_amqp(_OWN) or not speaks_amqp(_USUAL) else _USUAL


URL: Final = _url()


def environment() -> dict[str, str]:
    """For `rabbitmqctl` to find the node: empty where it is the machine's own."""
    if URL != _OWN:
        return {}
    return {
        "HOME": str(HOME),
        "RABBITMQ_NODENAME": NODE,
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(PORT),
        "RABBITMQ_DIST_PORT": str(PORT + 20_000),
        "RABBITMQ_MNESIA_BASE": str(HOME / "mnesia"),
        "RABBITMQ_LOG_BASE": str(HOME / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(HOME / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(HOME / "none"),
    }


def start() -> Service:
    """Installs Debian's package when it has to be started and is not there, as root in CI."""
    try:
        if not speaks_amqp(URL):
            if _GIVEN:
                raise MissingError(f"OMNI_TEST_RABBITMQ_URL {URL!r}: nothing there speaks AMQP; start it or unset it.")
            _run(_program())
    except MissingError as missing:
        return Service("RabbitMQ", URL, str(missing), missing.excused)
    return Service("RabbitMQ", URL)


def stop() -> None:
    """Stops the node only when it was started here."""
    with suppress(OSError, ValueError):
        pid = int(PID.read_text())
        if speaks_amqp(_OWN):
            say("Stopping RabbitMQ ...")
            os.killpg(pid, signal.SIGTERM)
            if not wait_until(lambda: not speaks_amqp(_OWN, 0.5), 30.0):
                os.killpg(pid, signal.SIGKILL)
    PID.unlink(missing_ok=True)


def _find() -> str | None:
    return next((path for path in SCRIPTS if Path(path).exists()), None) or find_program("rabbitmq-server")


def _program() -> str:
    program = _find() or install("rabbitmq-server", _find)
    if program is None:
        raise MissingError(
            "RabbitMQ is not installed and nothing listens on port 5672; install it (Debian/Ubuntu: apt install "
            "rabbitmq-server, macOS: brew install rabbitmq), run `docker run -d -p 5672:5672 rabbitmq`, or set "
            "OMNI_TEST_RABBITMQ_URL."
        )
    return program


def _run(program: str) -> None:
    say(f"Starting RabbitMQ on port {PORT} ...")
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    with LOG.open("wb") as log:
        process = subprocess.Popen(
            [program],
            env={**os.environ, **environment()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    PID.write_text(str(process.pid))
    wait_until(lambda: process.poll() is not None or speaks_amqp(_OWN), BOOT_SECONDS)
    if not speaks_amqp(_OWN):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        why = last_line(LOG.read_text(errors="replace")) or f"it did not accept AMQP within {BOOT_SECONDS:.0f} s"
        raise MissingError(f"{program} did not bring RabbitMQ up: {why} (log: {LOG})")
