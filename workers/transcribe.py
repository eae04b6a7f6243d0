"""Speech to text for voice notes.

The extra `local-speech` brings faster-whisper and a model; without it audio reaches the brain without words.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import sys
from collections.abc import Sequence
from typing import Final, Protocol

from workers.voice.stt import packaged

log = logging.getLogger(__name__)

_WAITING: Final = 32
_LONGEST_ANSWER: Final = 2**20


class TranscriberError(Exception):
    """There are no words to be had; the text says why."""


class Transcriber(Protocol):
    async def transcribe(self, audio: bytes, language: str | None) -> str:
        """The words of a recording in any common container; empty when nobody speaks. `language` is an ISO 639-1 code
        or None to guess. Raises TranscriberError. Cancelling it ends the work at once."""

    async def close(self) -> None: ...


class WhisperTranscriber:
    """faster-whisper in a process of its own (`workers.whisper`), so that it cannot hold up a conversation.

    The model is loaded once; one recording is heard at a time and at most `waiting` wait. A process that dies, or
    whose work is cancelled, is replaced at the next recording. `model` is a model's name (`base`, `small`, …:
    downloaded at first use), the path of a folder with one, or "" for the packaged one.
    """

    def __init__(self, model: str, *, waiting: int = _WAITING, command: Sequence[str] | None = None) -> None:
        self._command = tuple(command or (sys.executable, "-m", "workers.whisper", model))
        self._room = waiting + 1
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._is_closed = False

    async def transcribe(self, audio: bytes, language: str | None) -> str:
        if not self._room:
            raise TranscriberError("too many recordings wait already: this one stays without words")
        self._room -= 1
        try:
            async with self._turn:
                if self._is_closed:
                    raise TranscriberError("the transcriber is closed")
                line = await self._ask(audio, language)
        finally:
            self._room += 1
        answer = json.loads(line) if line else {"error": "the model's process ended"}
        if "error" in answer:
            raise TranscriberError(str(answer["error"]))
        return str(answer["words"])

    async def close(self) -> None:
        """End the process, and with it what is being heard."""
        self._is_closed = True
        await self._end()

    async def _ask(self, audio: bytes, language: str | None) -> bytes:
        process = self._process
        if process is None or process.returncode is not None:
            process = self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_LONGEST_ANSWER,
                start_new_session=True,  # Ctrl-C is for us; we end it
            )
        assert process.stdin is not None
        assert process.stdout is not None
        line = b""
        try:
            header = json.dumps({"language": language, "size": len(audio)}).encode() + b"\n"
            process.stdin.write(header + audio)
            await process.stdin.drain()
            line = await process.stdout.readline()
        except (ConnectionError, ValueError) as error:
            raise TranscriberError(f"the model's process does not answer: {error}") from error
        finally:
            if not line:  # it died, or somebody stopped waiting: its next answer would be to the wrong question
                await self._end()
        return line

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def load_transcriber(model: str | None) -> Transcriber | None:
    """A transcriber for the model that the settings name, or else for the packaged one; None, and a line in the log,
    when there cannot be one."""
    if not model and not packaged.is_installed():
        log.info("voice notes are not transcribed: no model is set (OMNI_STT_MODEL), and none is installed")
        return None
    if importlib.util.find_spec("faster_whisper") is None:
        log.info("voice notes are not transcribed: install omni with the extra `local-speech` for that")
        return None
    return WhisperTranscriber(model or "")
