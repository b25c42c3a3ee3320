"""What Linux counts of the machine's cores, whoever used them."""

from __future__ import annotations

import os
from pathlib import Path


def busy_s() -> float:
    """What all processes of the machine have used of its cores."""
    ticks = _ticks()
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")


def stolen() -> tuple[int, int]:
    """Of all cores' time, in ticks: what the host has taken so far, and all of it."""
    ticks = _ticks()
    return ticks[7], sum(ticks)


def _ticks() -> list[int]:
    """User, nice, system, idle, waiting, interrupts, soft interrupts, stolen (proc(5)):
    of all cores together."""
    fields = Path("/proc/stat").read_text().split("\n")[0].split()
    return list(map(int, fields[1:9]))
