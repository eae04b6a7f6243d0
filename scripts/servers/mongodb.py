"""MongoDB: the server that listens, else a `mongod`, else the stand-in for one (see `mongo_programs`)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
from pathlib import Path

from servers import mongo_programs
from servers.service import STATE, MissingError, Service, connect, last_line, say, wait_until

PORT = 27117  # not MongoDB's own 27017: a developer's mongod is left alone unless OMNI_TEST_MONGO_URL names it
URL = os.environ.get("OMNI_TEST_MONGO_URL") or f"mongodb://127.0.0.1:{PORT}/?directConnection=true"
BOOT_SECONDS = 60.0
PID = STATE / "mongodb.pid"
LOG = STATE / "mongodb.log"

OP_MSG = 2013
STAND_IN = b"\x02gitVersion\x00\x09\x00\x00\x00mongoeco\x00"
"""How mongoeco signs its `hello`, in BSON."""


def speaks_mongodb(url: str, timeout: float = 3.0) -> bool:
    """Whether a server answers `hello` in MongoDB's wire protocol."""
    return _hello(url, timeout) is not None


def is_stand_in(url: str, timeout: float = 3.0) -> bool:
    """Whether it is the stand-in that answers, which does some fifty appends a second, and no `mongod`."""
    return STAND_IN in (_hello(url, timeout) or b"")


def _hello(url: str, timeout: float) -> bytes | None:
    """The body of the answer to `hello`; None when nobody answers in OP_MSG."""
    document = b"\x10hello\x00" + struct.pack("<i", 1) + b"\x02$db\x00" + struct.pack("<i", 6) + b"admin\x00" + b"\x00"
    body = struct.pack("<I", 0) + b"\x00" + struct.pack("<i", len(document) + 4) + document
    message = struct.pack("<iiii", 16 + len(body), 1, 0, OP_MSG) + body
    try:
        with connect(url, 27017, timeout) as link, link.makefile("rb") as answer:
            link.sendall(message)
            header = answer.read(16)
            if len(header) < 16:
                return None
            size, _, _, operation = struct.unpack("<iiii", header)
            return answer.read(size - 16) if operation == OP_MSG else None
    except OSError:
        return None


def start() -> Service:
    """Uses the server that listens, else starts one."""
    try:
        if not speaks_mongodb(URL):
            if os.environ.get("OMNI_TEST_MONGO_URL"):
                raise MissingError(
                    f"OMNI_TEST_MONGO_URL {URL!r}: nothing there speaks MongoDB's protocol; start it or unset it."
                )
            _run()
    except MissingError as missing:
        return Service("MongoDB", URL, str(missing), missing.excused)
    return Service("MongoDB", URL)


def stop() -> None:
    """Stops the server only when it was started here."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(PID.read_text())
        if _is_ours(pid):  # the number may belong to another process by now
            say("Stopping the MongoDB server ...")
            os.kill(pid, signal.SIGTERM)
            if not wait_until(lambda: not _is_ours(pid), 10.0):
                os.kill(pid, signal.SIGKILL)
    PID.unlink(missing_ok=True)


def _run() -> None:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT), 1.0):
        raise MissingError(
            f"Port {PORT} is taken by something that does not speak MongoDB's protocol; "
            "free it or set OMNI_TEST_MONGO_URL."
        )
    command = mongo_programs.command(PORT)
    name = Path(command[0]).name
    what = "mongod" if name == "mongod" else "the stand-in for mongod"
    say(f"Starting {what} on port {PORT} ...")
    with LOG.open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    PID.write_text(str(process.pid))
    if (
        not wait_until(lambda: process.poll() is not None or speaks_mongodb(URL), BOOT_SECONDS)
        or process.poll() is not None
    ):
        raise MissingError(f"{what} did not start: {last_line(LOG.read_text())} (log: {LOG})")


def _is_ours(pid: int) -> bool:
    shown = subprocess.run(
        ["ps", "-o", "stat=,args=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    is_zombie = shown.startswith("Z")  # has already ended
    return not is_zombie and "mongo" in shown and f"--port {PORT} " in shown
