"""What tries calls by SIP: sipp (scenarios), baresip (a telephone) and Kamailio (a trunk). The tests start them
themselves."""

from __future__ import annotations

from typing import Final

from servers.service import MissingError, Name, Service, find_program, install

PACKAGES: Final[dict[str, tuple[Name, str]]] = {
    "sipp": ("SIPp", "sip-tester"),
    "baresip": ("baresip", "baresip-core"),
    "kamailio": ("Kamailio", "kamailio"),
}


def start() -> list[Service]:
    """Finds the programs; installs Debian's packages when root in CI."""
    return [_found(program, name, package) for program, (name, package) in PACKAGES.items()]


def look() -> list[Service]:
    """As they are."""
    return [
        Service(name, found, "" if found else f"It is not installed (Debian: apt install {package}).")
        for program, (name, package) in PACKAGES.items()
        for found in [find_program(program) or ""]
    ]


def _found(program: str, name: Name, package: str) -> Service:
    try:
        found = find_program(program) or install(package, lambda: find_program(program))
    except MissingError as missing:
        return Service(name, "", str(missing), missing.excused)
    if found is None:
        return Service(name, "", f"Nothing tries calls by SIP with it; install it (Debian: apt install {package}).")
    return Service(name, found)
