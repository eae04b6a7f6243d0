"""The manifest: what is in a backup. It is written last, so a folder without one was cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError

from omni.backup.errors import BackupError
from omni.model.base import Value

FORMAT: Final = 1
NAME: Final = "manifest.json"

Engine = Literal["sqlite", "mongodb"]


class Part(Value):
    """A file of the backup, by its path in the folder; `sha256` is lower-case hex, `size` bytes."""

    path: str
    size: int
    sha256: str


class Manifest(Value):
    """`versions` are those of what is stored, by component; `counts` what there is of everything; `made_at` is when the
    backup was begun. Blobs are listed in a part of their own, and their files are called by their SHA-256."""

    format: int
    omni: str
    engine: Engine
    made_at: float
    versions: dict[str, int]
    counts: dict[str, int] = Field(default_factory=dict)
    parts: tuple[Part, ...]
    blobs: int
    blob_bytes: int


def read(folder: Path) -> Manifest:
    """The manifest of a backup that is meant to be whole. Raises BackupError."""
    path = folder / NAME
    if not folder.is_dir():
        raise BackupError(f"{folder} is not a folder; name one that `omni backup` made")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BackupError(
            f"{folder} has no {NAME}: it is no backup, or one that was cut off before its end; take another one"
        ) from None
    except OSError as error:
        raise BackupError(f"{path} cannot be read ({error.strerror}); let this user read it") from None
    except ValidationError:
        raise BackupError(f"{path} is damaged; take another backup") from None
    if manifest.format > FORMAT:
        raise BackupError(
            f"{folder} has format {manifest.format} and this omni reads up to {FORMAT}: restore it with omni "
            f"{manifest.omni} or newer"
        )
    return manifest
