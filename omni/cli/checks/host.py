"""The machine: disk space, the database file, and the clock."""

from __future__ import annotations

import os
import shutil
import stat
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from omni.cli.checks.base import FAIL, OK, WARN, Finding
from omni.settings import Settings

LITTLE: Final = 1024**3
TOO_LITTLE: Final = 100 * 1024**2
SKEW_WARNS: Final = 30.0
SKEW_FAILS: Final = 300.0
"""Seconds. Times of messages decide about the 24-hour window, and TLS and signatures about being heard at all."""

_MEGABYTE = 1024**2


def check_disk(settings: Settings) -> list[Finding]:
    places = {Path(settings.sqlite_path or "omni.db").resolve().parent} if _keeps_files(settings) else set()
    if settings.blob_url.startswith("file:"):
        places.add(Path(settings.blob_url.removeprefix("file://")).resolve())
    return [_space(place) for place in sorted(places)]


def _keeps_files(settings: Settings) -> bool:
    return settings.sqlite_path is not None or settings.is_embedded


def _space(place: Path) -> Finding:
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{free / 1024**3:.1f} GB free in {place}" if free >= 1024**3 else f"{free // _MEGABYTE} MB free in {place}"
    if free < TOO_LITTLE:
        return Finding(FAIL, "disk", f"{text}; nothing can be kept soon: free some space")
    return Finding(WARN, "disk", f"{text}; free some space") if free < LITTLE else Finding(OK, "disk", text)


def check_file(settings: Settings) -> list[Finding]:
    """Who may read the conversations, and whether we may write them."""
    if not _keeps_files(settings):
        return []
    path = Path(settings.sqlite_path or "omni.db")
    if not path.exists():
        return [Finding(OK, "file", f"{path} does not exist yet; the server makes it, for its user only")]
    if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.resolve().parent, os.W_OK):
        return [Finding(FAIL, "file", f"{path}: this user may not write it (or its folder); chown it to the server's")]
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return [
            Finding(WARN, "file", f"{path} has mode {mode:04o}: others may read what people wrote; chmod 600 {path}")
        ]
    return [Finding(OK, "file", f"{path} is readable by its owner only")]


async def check_clock(settings: Settings) -> list[Finding]:
    """Our clock against that of the Graph API, by its `Date` header."""
    host = urlsplit(settings.whatsapp_graph_url).netloc
    before = time.time()
    try:
        timeout = aiohttp.ClientTimeout(total=5)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.head(settings.whatsapp_graph_url) as answer,
        ):
            theirs = answer.headers.get("Date")
    except (aiohttp.ClientError, TimeoutError) as error:
        return [
            Finding(
                WARN,
                "clock",
                f"not compared: {host} does not answer ({type(error).__name__}); check the network, or use --offline",
            )
        ]
    try:
        at = parsedate_to_datetime(theirs or "").timestamp()
    except ValueError:
        return [Finding(WARN, "clock", f"not compared: {host} names no time")]
    skew = (before + time.time()) / 2 - (at + 0.5)  # the header has whole seconds
    if abs(skew) < 2:
        return [Finding(OK, "clock", f"agrees with {host}")]
    text = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} {host}"
    if abs(skew) < SKEW_WARNS:
        return [Finding(OK, "clock", text)]
    return [
        Finding(
            FAIL if abs(skew) >= SKEW_FAILS else WARN, "clock", f"{text}; let NTP set it (timedatectl set-ntp true)"
        )
    ]
