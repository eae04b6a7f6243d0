"""Keeping a bot running while its author writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from omni.cli.dev.program import Program
from omni.cli.dev.watching import Watcher

NAMED: Final = 3
"""Changed files that are named; more are counted."""


async def keep_running(program: Program, watcher: Watcher, note: Callable[[str], None]) -> None:
    """Start the program, and again whenever its files have changed; `note` hears why. One that ends by itself stays
    down until then. Cancelled, it ends the program."""
    await watcher.begin()
    try:
        while True:
            await program.start()
            ended = asyncio.create_task(program.ended(), name="wait for the bot's end")
            changed = asyncio.create_task(watcher.changed(), name="watch the bot's files")
            try:
                await asyncio.wait([ended, changed], return_when=asyncio.FIRST_COMPLETED)
                if ended.done() and not changed.done():
                    note(f"the bot {ended.result()}; it starts again when one of its files changes")
                files = await changed
            finally:
                for task in (ended, changed):
                    task.cancel()
                await asyncio.wait([ended, changed])
            note(f"{_named(files)} changed: the bot starts again")
            await program.stop()
    finally:
        await program.stop()


def _named(files: Sequence[Path]) -> str:
    names = ", ".join(file.name for file in files[:NAMED])
    return names if len(files) <= NAMED else f"{names} and {len(files) - NAMED} more"
