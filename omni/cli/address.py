"""Which running server a command speaks to, and with which key."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click

from omni.cli.credentials import credentials_file, kept_key
from omni.cli.opening import DEMO_FILE, Failure, settings_for
from omni.settings import DEFAULT_FILE, Settings

DEFAULT_URL: Final = "http://127.0.0.1:8080"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Address:
    """A server's base address (http or https, no slash at the end), and the key to show there."""

    url: str
    key: str = field(repr=False)

    @property
    def client_url(self) -> str:
        """Where programs and terminals connect."""
        return "ws" + self.url.removeprefix("http") + "/client"


def server_options(command: F) -> F:
    """`--server URL` and `--api-key KEY`, given to the command as `server` and `api_key`."""
    options: tuple[Callable[[F], F], ...] = (
        click.option(
            "--api-key", metavar="KEY", envvar="OMNI_API_KEY", show_envvar=True, help="The key to show there."
        ),
        click.option("--server", metavar="URL", envvar="OMNI_URL", show_envvar=True, help="The running server."),
    )
    for option in options:
        command = option(command)
    return command


def address_for(server: str | None, api_key: str | None) -> Address:
    """What the options say; then the settings file in this folder (or a demo's); then the user's credentials file.

    Raises Failure.
    """
    if server and api_key:
        return Address(base_url(server), api_key)
    local = _local_settings()
    url = base_url(server) if server else _local_url(local)
    if api_key:
        return Address(url, api_key)
    if local is not None and local.api_key is not None and url == _local_url(local):
        return Address(url, local.api_key.get_secret_value())
    path = credentials_file()
    key = kept_key(path, url)
    if key is None:
        raise Failure(
            f"there is no API key for {url}; make one with `omni keys create NAME`, and set OMNI_API_KEY or write "
            f'{{"api_key": "pk_…"}} into {path}'
        )
    return Address(url, key)


def base_url(typed: str) -> str:
    """`ws://host:8080/` is `http://host:8080`. Raises Failure for what is no address, or holds a password."""
    scheme, colon, rest = typed.strip().rstrip("/").partition("://")
    scheme = {"ws": "http", "wss": "https"}.get(scheme.lower(), scheme.lower())
    url = f"{scheme}{colon}{rest}"
    if "@" in rest or "?" in rest:
        raise Failure("keep the key out of the server's address; give it as OMNI_API_KEY")
    try:
        parts = urlsplit(url)
        is_address = scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:
        is_address = False
    if not is_address:
        raise Failure(f"{typed[:200]!r} is not a server's address; it looks like {DEFAULT_URL}")
    return url


def _local_settings() -> Settings | None:
    """Those of the server that was started in this folder, or that OMNI_CONFIG names, if any."""
    named = os.environ.get("OMNI_CONFIG")
    if named or Path(DEFAULT_FILE).exists() or DEMO_FILE.exists():
        return settings_for(named)
    return None


def _local_url(settings: Settings | None) -> str:
    if settings is None or settings.port == 0:
        return DEFAULT_URL
    return f"http://{reachable(settings.host)}:{settings.port}"


def reachable(host: str) -> str:
    """The name under which this machine reaches a server that listens on `host`."""
    if host in ("0.0.0.0", ""):
        return "127.0.0.1"
    return f"[{'::1' if host == '::' else host}]" if ":" in host else host
