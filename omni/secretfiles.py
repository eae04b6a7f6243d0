"""Secrets as files of one folder, which is how Docker, Kubernetes and systemd hand them to a process.

A file is called like the variable whose place it takes, in capitals or not: `omni_store_url`, `OPENAI_API_KEY`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

SECRETS_DIR: Final = "OMNI_SECRETS_DIR"
"""Names the folder."""

LARGEST: Final = 64 * 1024


class SecretFileError(Exception):
    """The folder or a file in it cannot be read; the text names it and the mend, and never what is in it."""


def secret_files(folder: Path) -> dict[str, str]:
    """What the files hold, without the white space around it, by their names in capitals.

    Folders and hidden files are passed over: Kubernetes keeps its own there. Raises SecretFileError.
    """
    try:
        files = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".") and entry.is_file()]
    except OSError as error:
        raise SecretFileError(f"{SECRETS_DIR} {str(folder)!r}: {_why(error)}; name the folder of the secrets") from None
    return {file.name.upper(): _text(file) for file in files}


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST:
            raise SecretFileError(f"{SECRETS_DIR}: {file} is larger than {LARGEST:,} bytes, and no secret is")
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SecretFileError(f"{SECRETS_DIR}: {file}: {_why(error)}; let this process read it") from None
    except UnicodeDecodeError:
        raise SecretFileError(f"{SECRETS_DIR}: {file} is not text; write it as UTF-8") from None
    if not text:
        raise SecretFileError(f"{SECRETS_DIR}: {file} is empty; write the secret into it, or take it away")
    return text


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
