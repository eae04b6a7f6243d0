"""Ports for servers that have to be told theirs before they run.

Not those that the system gives out: between the look and the server's own `bind` it gives them to another socket,
and then one test talks with the server of another. Each of pytest's workers has a range of its own below them.
"""

from __future__ import annotations

import itertools
import os
import socket
from contextlib import ExitStack

_WORKER = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", "0"))) or 0) % 16
_FIRST = 10_000 + 1_400 * _WORKER
_PORTS = itertools.cycle(range(_FIRST, _FIRST + 1_400, 2))


def free_port() -> int:
    """A port that is free for UDP and TCP, with the next one, and was given to nobody in this process for long."""
    for port in itertools.islice(_PORTS, 700):
        with ExitStack() as stack:
            try:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    for each in (port, port + 1):
                        probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
                        probe.bind(("127.0.0.1", each))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def free_ports(number: int) -> list[int]:
    return [free_port() for _ in range(number)]
