"""axe-core, which looks for what keeps people with a disability out of a page: one script from npm, for the tests only.

It is fetched once into `.services/`, by `npm pack`, and is the very file that is named here or none.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from servers.service import STATE, MissingError, Service, install, last_line, say

VERSION = "4.14.0"
SHA256 = "20c09fe157a8a34a30e241aaa1fcdade657734f08ab379ecfbeb7d45cc46e878"
"""Of the package's `axe.min.js`."""

FILE = STATE / f"axe-core-{VERSION}.min.js"
_MEMBER = "package/axe.min.js"
FETCH_SECONDS = 120


def find() -> Path | None:
    """The script: `OMNI_TEST_AXE`, else the one that was fetched."""
    if named := os.environ.get("OMNI_TEST_AXE"):
        return Path(named) if Path(named).is_file() else None
    return FILE if FILE.is_file() else None


def start() -> Service:
    """Finds the script; fetches it from npm when it is not there."""
    try:
        return Service("axe-core", str(find() or _fetch()))
    except MissingError as missing:
        return Service("axe-core", "", str(missing), missing.excused)


def _fetch() -> Path:
    if named := os.environ.get("OMNI_TEST_AXE"):
        raise MissingError(f"OMNI_TEST_AXE {named!r}: there is no such file; name an axe.min.js or unset it.")
    npm = shutil.which("npm") or install("npm", lambda: shutil.which("npm"))
    if npm is None:
        raise MissingError(
            "Nothing looks whether everybody can use the inbox: axe-core comes from npm, which is not installed; "
            "install Node.js (Debian: apt install npm, macOS: brew install node), or set OMNI_TEST_AXE to an "
            "axe.min.js."
        )
    say(f"Fetching axe-core {VERSION} from npm ...")
    with tempfile.TemporaryDirectory(prefix="omni-axe-") as folder:
        words = [npm, "pack", f"axe-core@{VERSION}", "--silent", "--pack-destination", folder]
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise MissingError(f"`{' '.join(words[1:3])}` was not done within {FETCH_SECONDS} s; try again.") from None
        if done.returncode:
            raise MissingError(f"`npm pack axe-core@{VERSION}` failed: {last_line(done.stderr or done.stdout)}")
        script = _script(Path(folder))
    STATE.mkdir(exist_ok=True)
    half = FILE.with_suffix(".part")
    half.write_bytes(script)
    half.replace(FILE)
    return FILE


def _script(folder: Path) -> bytes:
    """What the package in the folder has, if it is what it should be."""
    for package in folder.glob("*.tgz"):
        with tarfile.open(package) as members:
            member = members.extractfile(_MEMBER)
            script = b"" if member is None else member.read()
        found = hashlib.sha256(script).hexdigest()
        if found == SHA256:
            return script
        raise MissingError(f"npm's axe-core {VERSION} is not the file it should be (sha256 {found}); nothing was kept.")
    raise MissingError(f"`npm pack axe-core@{VERSION}` left no package behind; try again.")
