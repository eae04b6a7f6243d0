"""What the operating system tells of a process, and which core it runs on. Linux from /proc, elsewhere through `ps`."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_HAS_PROC = (_PROC / "self" / "stat").exists()


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since the process began, and its resident memory in bytes."""

    cpu: float
    rss: int


def usage(pid: int) -> Usage:
    if _HAS_PROC:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        cpu = _nanoseconds(pid) / 1e9 or ticks / os.sysconf("SC_CLK_TCK")
        return Usage(cpu, int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
    shown = subprocess.run(["ps", "-o", "time=,rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    spent, rss = shown.stdout.split()
    seconds = 0.0
    for part in spent.replace("-", ":").split(":"):
        seconds = seconds * 60 + float(part)
    return Usage(seconds, int(rss) * 1024)


def _nanoseconds(pid: int) -> int:
    """What the scheduler counted for the threads that live; 0 where it does not. A tick, 10 ms, is too coarse."""
    try:
        threads = list((_PROC / str(pid) / "task").iterdir())
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)
    except (OSError, IndexError):
        return 0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: all that is resident, and what of it is no file's (the whole where the system does not tell)."""

    rss: int
    anonymous: int


def memory(pid: int) -> Memory:
    if not _HAS_PROC:
        rss = usage(pid).rss
        return Memory(rss, rss)
    lines = (_PROC / str(pid) / "status").read_text().splitlines()
    sizes = {
        line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("VmRSS", "RssAnon"))
    }
    return Memory(sizes["VmRSS"], sizes["RssAnon"])


def stored(folder: Path) -> int:
    """Bytes of the database in this folder, its write-ahead log included."""
    return sum(file.stat().st_size for file in folder.glob("omni.db*"))


def own_cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cores() -> tuple[set[int], set[int]] | None:
    """One core for the server and another for the load generator; None where processes cannot be pinned."""
    if sys.platform != "linux":
        return None
    usable = sorted(os.sched_getaffinity(0))
    return ({usable[0]}, {usable[1]}) if len(usable) > 1 else None


def pin(pid: int, where: set[int]) -> None:
    """Keep a process, all its threads, on these cores."""
    if sys.platform == "linux":
        for thread in (_PROC / str(pid) / "task").iterdir():
            os.sched_setaffinity(int(thread.name), where)


def allow_open_files(wanted: int) -> int:
    """So many open files and sockets for this process and those it starts, or as many as the system gives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return wanted


def name() -> str:
    """The processor, as a reader would look it up."""
    if _HAS_PROC:
        for line in (_PROC / "cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    shown = subprocess.run(
        ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return shown or os.uname().machine
