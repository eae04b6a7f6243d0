"""One server consumes from a file: its ready lists live in memory."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from omni.bus.base import BusUnavailableError


class ServerLock:
    """An advisory lock on `<file>.lock`. It goes with the process, however that ends; a clean end empties the file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._path = file.with_name(f"{file.name}.lock")
        self._fd: int | None = None
        self._trusted_since = 0.0

    def take(self, *, opened_at: float) -> float:
        """Lock, unless it is ours already. Returns the epoch second before which a message may have been in another
        consumer's hands: when we opened the bus, or now if another server consumed after that.

        Raises BusUnavailableError when another server has it.
        """
        if self._fd is not None:
            return self._trusted_since
        is_first = not self._path.exists()
        try:
            fd = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise BusUnavailableError(f"{self._path}: {error.strerror}; make its folder writable") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise BusUnavailableError(
                f"{self._file}: another omni server (process {owner}) consumes from this file; stop that one, "
                "or set OMNI_BUS_URL to a RabbitMQ to share work between servers"
            ) from error
        left = os.fstat(fd)
        ended_badly = left.st_size > 0
        is_in_doubt = not is_first and (ended_badly or left.st_mtime > opened_at)
        self._trusted_since = time.time() if is_in_doubt else opened_at
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd
        return self._trusted_since

    def give_back(self) -> None:
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None
