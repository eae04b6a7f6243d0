"""What the services have in common: how one is reported, how its port is asked, where its files are."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".services"
"""Pids, logs and data of what was started here."""

IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}

Name = Literal["RabbitMQ", "MongoDB", "Chromium", "axe-core", "SIPp", "baresip", "Kamailio"]


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


def connect(url: str, default_port: int, timeout: float) -> socket.socket:
    """A connection to the server of a URL, of a replica set to its first member. OSError when there is none."""
    parts = urlsplit(url)
    if "," in parts.netloc or parts.scheme == "mongodb+srv":
        host = parts.netloc.rpartition("@")[2].split(",")[0]
        name, _, port = host.partition(":")
        return socket.create_connection((name, int(port or default_port)), timeout)
    return socket.create_connection((parts.hostname or "127.0.0.1", parts.port or default_port), timeout)


def wait_until(ready: Callable[[], bool], seconds: float) -> bool:
    """Whether it became so in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(0.2)
    return False


def find_program(name: str) -> str | None:
    """On PATH, else where systems keep servers."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin:/sbin")


def install(package: str, find: Callable[[], str | None]) -> str | None:
    """Installs one of Debian's packages when root in CI; what `find` finds then, None anywhere else.

    Raises MissingError."""
    if not (IN_CI and os.geteuid() == 0 and shutil.which("apt-get")):
        return None
    say(f"Installing {package} with apt-get ...")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package],
    ):
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise MissingError(f"`{' '.join(command)}` failed: {last_line(done.stderr or done.stdout)}")
    return find()


def last_line(text: str) -> str:
    """The last line with words in it: where programs say why they failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def say(sentence: str) -> None:
    """To the person who waits, at once."""
    print(sentence, flush=True)
