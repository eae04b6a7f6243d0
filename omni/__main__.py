"""`python -m omni` is `omni`."""

from __future__ import annotations

import sys


def main() -> None:
    """The `omni` command. Where only the SDK is installed, it says what the server needs besides."""
    try:
        from omni.cli import main as command

        command(prog_name="omni")
    except ModuleNotFoundError as missing:
        if (missing.name or "omni").split(".")[0] in {"omni", "channels", "sessions", "workers"}:
            raise
        sys.exit(
            f"omni: the module {missing.name!r} is not installed: this is the SDK alone; "
            'the command needs the server: pip install "omni-server[server]"'
        )


if __name__ == "__main__":
    main()
