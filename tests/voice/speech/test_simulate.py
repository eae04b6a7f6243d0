"""`omni simulate phone --say`: whoever tries a bot out needs no recording."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from channels.phone.addresses import VOICE_PATH
from omni.audio.wav import read_wav
from tests.voice.speech.conftest import OpenOffice
from tests.voice.speech.office import ACCOUNT, NUMBER, TOKEN, agent_of, error_rate, recognised
from tests.voice.stt.speech import RATE

SENTENCE = "What are your opening hours?"


async def test_a_sentence_is_said_and_answered(open_office: OpenOffice, tmp_path: Path) -> None:
    office = await open_office(agent_of(greeting="Hello."))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "omni", "simulate", "phone", "--to", f"{office.server.url}{VOICE_PATH}", "--port", "0"),
        *("--number", NUMBER, "--account-sid", ACCOUNT, "--auth-token", TOKEN),
        *("--say", SENTENCE, "--begin", "2", "--save", str(tmp_path / "heard.wav")),
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told
    print(told.decode())
    assert b"It answered after" in told
    pcm, _ = read_wav((tmp_path / "heard.wav").read_bytes(), RATE)
    assert error_rate([(f"Hello. You said: {SENTENCE}", " ".join(await recognised(pcm)))]) <= 0.25
