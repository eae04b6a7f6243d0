"""The file in which a person keeps API keys: `~/.config/omni/credentials.json`, readable by nobody else.

`{"api_key": "pk_…", "servers": {"https://omni.example.com": {"api_key": "pk_…"}}}`: a key for any server, and keys for
single ones, which come first.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from omni.cli.opening import Failure

FILE: Final = "credentials.json"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def credentials_file(variables: Mapping[str, str] = os.environ) -> Path:
    """XDG Base Directory Specification: below $XDG_CONFIG_HOME, or ~/.config."""
    base = variables.get("XDG_CONFIG_HOME", "")
    folder = Path(base) if base.startswith("/") else Path.home() / ".config"
    return folder / "omni" / FILE


def kept_key(path: Path, url: str) -> str | None:
    """The key for the server at `url`, if one is kept. Raises Failure when others may read the file, or nobody can."""
    kept = _read(path)
    servers = kept.get("servers")
    own = servers.get(url) if isinstance(servers, dict) else None
    for place in (own, kept):
        key = place.get("api_key") if isinstance(place, dict) else None
        if isinstance(key, str) and key:
            return key
    return None


def keep_key(path: Path, url: str, key: str) -> None:
    """Keep the key for the server at `url`; whatever else is in the file stays. Raises Failure."""
    kept = _read(path)
    servers = kept.get("servers")
    kept["servers"] = {**(servers if isinstance(servers, dict) else {}), url: {"api_key": key}}
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
            json.dump(kept, file, indent=1)
        temporary.replace(path)
    except OSError as error:
        raise Failure(f"the key cannot be kept in {path} ({error.strerror}); set OMNI_API_KEY instead") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError):
        raise Failure(f"{path} cannot be read; mend it, or remove it and set OMNI_API_KEY") from None
    if mode & _OTHERS:
        raise Failure(f"other users may read the keys in {path}; run: chmod 600 {path}")
    try:
        kept = json.loads(text)
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise Failure(f'{path} does not hold {{"api_key": "pk_…"}}; mend it, or remove it and set OMNI_API_KEY')
    return kept
