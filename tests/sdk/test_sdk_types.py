"""What a bot's author sees who checks types."""

from __future__ import annotations

import sys
from asyncio import create_subprocess_exec, subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BOT = """
from omni import Call, Omni, Turn

desk = Omni("http://127.0.0.1:8080", "k").agent("desk")


@desk.on("turn.end")
def answer(turn: Turn, call: Call) -> None:
    {reply}
"""


async def _checked(folder: Path, reply: str, *options: str) -> str:
    """What mypy says of a bot, with the given options and nobody's configuration."""
    (folder / "bot.py").write_text(BOT.format(reply=reply))
    process = await create_subprocess_exec(
        sys.executable, "-m", "mypy", "--config-file=", "--cache-dir", str(folder / "cache"), *options, "bot.py",
        cwd=folder, env={"MYPYPATH": str(ROOT), "PATH": ""}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return out.decode()


async def test_a_reply_that_nobody_awaits_is_fine_to_strict_mypy(tmp_path: Path) -> None:
    assert "no issues" in await _checked(tmp_path, 'call.reply("Hello")', "--strict")


@pytest.mark.parametrize(("reply", "verdict"), [("call.reply", "must be used"), ("_ = call.reply", "no issues")])
async def test_who_asks_for_unused_awaitables_says_that_a_reply_is_not_awaited(
    tmp_path: Path, reply: str, verdict: str
) -> None:
    options = ("--strict", "--enable-error-code", "unused-awaitable")
    assert verdict in await _checked(tmp_path, f'{reply}("Hello")', *options)
