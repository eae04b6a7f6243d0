"""Which files a bot is made of, and which of them changed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

POLL_SECONDS: Final = 0.5
MOST: Final = 5_000
"""Files that are looked at; in a folder with more, the rest is not watched."""

SUFFIXES: Final = frozenset({".py", ".yaml", ".yml", ".toml", ".md", ".env", ".jinja", ".j2"})
"""What programs and prompts are written in. Files that a bot writes itself (.json, .db, .log, .txt) must not start it
again."""

PASSED_OVER: Final = frozenset({"node_modules", "site-packages", "omni-data", "omni-blobs"})

Snapshot: TypeAlias = Mapping[Path, tuple[int, int]]
"""By file: when it was written (nanoseconds), and its size."""


def snapshot(program: Path) -> Snapshot:
    """The program's own file, and the files of its folder and the folders in it. Blocks: it reads folders."""
    seen = {}
    for path in (program, *_files(program.parent)):
        try:
            state = path.stat()
        except OSError:
            continue  # gone since its folder was read
        seen[path] = (state.st_mtime_ns, state.st_size)
        if len(seen) >= MOST:
            break
    return seen


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if _is_looked_into(here / name))
        for name in files:
            if name == ".env" or (not name.startswith(".") and Path(name).suffix in SUFFIXES):
                yield here / name


def _is_looked_into(folder: Path) -> bool:
    is_hidden = folder.name.startswith((".", "__")) or folder.name in PASSED_OVER
    return not is_hidden and not (folder / "pyvenv.cfg").exists()


def differences(before: Snapshot, after: Snapshot) -> list[Path]:
    """Files that were written, made or removed in between."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


class Watcher:
    """Tells of changes since it began, or since the last time it told of any. `program` is an absolute path."""

    def __init__(self, program: Path, poll: float = POLL_SECONDS) -> None:
        self._program = program
        self._poll = poll
        self._told: Snapshot = {}

    async def begin(self) -> None:
        """What is there now is not a change."""
        self._told = await asyncio.to_thread(snapshot, self._program)

    async def changed(self) -> list[Path]:
        """Returns when files have changed, and no more of them are being written."""
        before = self._told
        while True:
            await asyncio.sleep(self._poll)
            now = await asyncio.to_thread(snapshot, self._program)
            if now == before and now != self._told:
                changed = differences(self._told, now)
                self._told = now
                return changed
            before = now
