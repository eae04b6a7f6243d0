"""The real `omni` command in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.server.shop import OURS, ROOT


@dataclass
class Done:
    status: int
    out: str
    err: str


@dataclass
class Command:
    folder: Path
    variables: dict[str, str]

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "omni", *words, cwd=self.folder,
            env={**kept, "PYTHONPATH": str(ROOT), **self.variables},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def __call__(self, *words: str, **variables: str) -> Done:
        process = await Command(self.folder, {**self.variables, **variables}).start(*words)
        out, err = await process.communicate()
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())
