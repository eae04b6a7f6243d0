"""Origins: which pages may talk to an agent without a key.

Scheme, host and port are compared after parsing, never as substrings. A pattern is an origin, and may have `*.` for
every subdomain of a host (not the host itself), or `*` for every port.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>\[[0-9a-f:.]+\]|(?:\*\.)?[^\s/?#@:\\*\[\]]+)"
    r"(?::(?P<port>[0-9]{1,5}|\*))?/?"
)
_PORTS: Final = {"http": "80", "https": "443"}
_ANY_PORT: Final = "*"
_ANY_SUBDOMAIN: Final = "*."


@dataclass(frozen=True, slots=True)
class _Origin:
    scheme: str
    host: str
    port: str


def is_allowed(origin: str | None, patterns: Iterable[str]) -> bool:
    """Whether a request's `Origin` header is one of an agent's `allowed_origins`."""
    page = _parse(origin or "")
    if page is None or page.port == _ANY_PORT or page.host.startswith(_ANY_SUBDOMAIN):
        return False
    return any(_matches(page, pattern) for each in patterns if (pattern := _parse(each)) is not None)


def _matches(page: _Origin, pattern: _Origin) -> bool:
    if page.scheme != pattern.scheme or pattern.port not in (_ANY_PORT, page.port):
        return False
    if pattern.host.startswith(_ANY_SUBDOMAIN):
        return len(page.host) > len(pattern.host) - 1 and page.host.endswith(pattern.host[1:])
    return page.host == pattern.host


def _parse(text: str) -> _Origin | None:
    found = _ORIGIN.fullmatch(text.lower())
    if found is None:
        return None
    scheme, host, port = found["scheme"], found["host"], found["port"]
    return _Origin(scheme, _ascii(host), _port(port) if port else _PORTS.get(scheme, ""))


def _port(text: str) -> str:
    return text if text == _ANY_PORT else str(int(text))


def _ascii(host: str) -> str:
    """A host as browsers send it: `xn--…` for names outside ASCII."""
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host
