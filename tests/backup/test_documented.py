"""The commands of docs/operate.md do what the page says."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from omni.app.engines import engines
from omni.settings import Settings
from tests.contract.conftest import Make
from tests.server.shop import OURS, ROOT


def commands(section: str) -> str:
    page = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    [told] = re.findall(rf"(?ms)^## {section}\n(.*?)^## ", page)
    [block] = re.findall(r"(?s)```sh\n(.*?)```", told)
    return str(block)


async def run(script: str, folder: Path) -> str:
    """As somebody who pastes it into a shell."""
    bin_ = folder / "bin"
    bin_.mkdir(exist_ok=True)
    omni = bin_ / "omni"
    omni.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m omni "$@"\n')
    omni.chmod(0o700)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    process = await asyncio.create_subprocess_exec(
        "sh", "-e", "-c", script, cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), "PATH": f"{bin_}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def test_the_page_saves_and_restores(
    tmp_path: Path, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with engines(Settings(), serves=True) as found:
        await Make().open(found.store, "wa-1")
        told = await run(commands("Back up"), tmp_path)
    assert "is made: sqlite" in told
    assert "is whole: sqlite" in told
    assert "1 conversations, 0 people, 0 files" in told
    for left in tmp_path.glob("omni*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    assert "is restored" in await run(commands("Restore"), tmp_path)
    async with engines(Settings(), serves=True) as found:
        assert await found.store.call("wa-1") is not None
