"""What a process has in memory, as Linux tells it."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

RUNS = 5
PROCESS = Path("/proc/self")


def resident(field: str) -> int:
    """Bytes of this process, now (`VmRSS:`) or at the most (`VmHWM:`)."""
    lines = PROCESS.joinpath("status").read_text(encoding="ascii").splitlines()
    line = next(line for line in lines if line.startswith(field))
    return 1024 * int(line.split()[1])


def now() -> int:
    """Bytes of this process, without those that are free again."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
    return resident("VmRSS:")


def most(run: Callable[[], object]) -> int:
    """Bytes of this process at the most while that runs a few times; not what it took to get there."""
    now()
    # Begins the peak anew (proc(5)).
    PROCESS.joinpath("clear_refs").write_text("5", encoding="ascii")
    for _ in range(RUNS):
        run()
    return resident("VmHWM:")
