"""The chaos run in small: `make chaos` is the same with 200 × 20 messages and for longer."""

import asyncio
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "chaos.py"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.xdist_group("chaos")]


async def kept(*words):
    """What the run told, if every promise was kept."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        "--short",
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode == 0, told.decode()
    return told.decode()


async def test_an_embedded_server_that_is_killed_again_and_again_loses_nothing():
    told = await kept("--only", "embedded")
    assert "lost 0 · acted on twice 0 · out of order 0 · dead letters 0" in told


async def test_gateways_sessions_and_deliveries_that_are_killed_on_rabbitmq_and_mongodb_lose_nothing(
    rabbitmq_url, mongo_url
):
    told = await kept("--only", "distributed")
    assert "lost 0 · acted on twice 0 · out of order 0 · dead letters 0" in told
