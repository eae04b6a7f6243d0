"""RabbitMQ: the broker that listens, else the installed one."""

from __future__ import annotations

import os
import subprocess

from servers.service import STATE, MissingError, Service, connect, find_program, install, last_line, say, wait_until

URL = os.environ.get("OMNI_TEST_RABBITMQ_URL") or "amqp://guest:guest@127.0.0.1:5672/"
BOOT_SECONDS = 90.0
STARTED = STATE / "rabbitmq.started"


def speaks_amqp(url: str, timeout: float = 3.0) -> bool:
    """Whether a broker answers our protocol header with Connection.Start (a listening port alone proves nothing)."""
    try:
        with connect(url, 5672, timeout) as link:
            link.sendall(b"AMQP\x00\x00\x09\x01")
            return link.recv(1) == b"\x01"
    except OSError:
        return False


def start() -> Service:
    """Uses the broker that listens, else starts the installed one; installs Debian's package when root in CI."""
    try:
        if not speaks_amqp(URL):
            if os.environ.get("OMNI_TEST_RABBITMQ_URL"):
                raise MissingError(f"OMNI_TEST_RABBITMQ_URL {URL!r}: nothing there speaks AMQP; start it or unset it.")
            _run(_program())
    except MissingError as missing:
        return Service("RabbitMQ", URL, str(missing), missing.excused)
    return Service("RabbitMQ", URL)


def stop() -> None:
    """Stops the broker only when it was started here."""
    if not STARTED.exists():
        return
    if control := find_program("rabbitmqctl"):
        say("Stopping RabbitMQ ...")
        subprocess.run([control, "shutdown"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=90)
    STARTED.unlink(missing_ok=True)


def _program() -> str:
    program = find_program("rabbitmq-server") or install("rabbitmq-server", lambda: find_program("rabbitmq-server"))
    if program is None:
        raise MissingError(
            "RabbitMQ is not installed and nothing listens on port 5672; install it (Debian/Ubuntu: apt install "
            "rabbitmq-server, macOS: brew install rabbitmq), run `docker run -d -p 5672:5672 rabbitmq`, or set "
            "OMNI_TEST_RABBITMQ_URL."
        )
    return program


def _run(program: str) -> None:
    if wait_until(lambda: speaks_amqp(URL), 1.0):  # installing Debian's package may have started it
        return
    say("Starting RabbitMQ ...")
    done = subprocess.run(
        [program, "-detached"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
    )
    if not wait_until(lambda: speaks_amqp(URL), BOOT_SECONDS if done.returncode == 0 else 5.0):
        why = last_line(done.stderr or done.stdout) or f"it did not accept AMQP within {BOOT_SECONDS:.0f} s"
        raise MissingError(
            f"`{program} -detached` did not bring RabbitMQ up: {why}. Its log is usually in /var/log/rabbitmq."
        )
    STARTED.touch()
