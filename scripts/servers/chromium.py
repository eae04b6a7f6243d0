"""Chromium: not a server, but as much as those something that tests need and people have."""

from __future__ import annotations

import os
import shutil

from servers.service import MissingError, Service, install

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """The browser's program: `OMNI_TEST_CHROMIUM`, else an installed one."""
    named = os.environ.get("OMNI_TEST_CHROMIUM")
    return shutil.which(named) if named else next((found for name in NAMES if (found := shutil.which(name))), None)


def start() -> Service:
    """Finds the browser; installs Debian's package when root in CI. The tests start it themselves."""
    try:
        return Service("Chromium", _program())
    except MissingError as missing:
        return Service("Chromium", "", str(missing), missing.excused)


def _program() -> str:
    named = os.environ.get("OMNI_TEST_CHROMIUM")
    program = find()
    if program is None and named:
        raise MissingError(f"OMNI_TEST_CHROMIUM {named!r}: there is no such program; install it or unset it.")
    program = program or install("chromium", find)
    if program is None:
        raise MissingError(
            "Nothing tries the web chat in a browser; install one (Debian: apt install chromium, macOS: brew install "
            "--cask chromium), or set OMNI_TEST_CHROMIUM."
        )
    return program
