"""One process of an installation, and what it takes of the machine."""

from __future__ import annotations

import os
from pathlib import Path

from stack import Stack


def cpu_s(pid: int) -> float:
    """What a process has used of the cores, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Process(Stack):
    """The process `name` alone. With `core` it has this one, and whoever measures has
    the others."""

    def __init__(self, name: str, *, core: int | None = None, **env: str) -> None:
        self._name, self._core = name, core
        super().__init__(programs=(name,), TTS="none", **env)

    def start(self, name: str, *words: str, called: str = "", **env: str) -> None:
        super().start(name, *words, called=called, **env)
        if self._core is not None:  # at once: its threads have what it has
            os.sched_setaffinity(self.pid, {self._core})
            os.sched_setaffinity(0, os.sched_getaffinity(0) - {self._core})

    def wait_healthy(self) -> None:
        """Whoever comes sees whether somebody is there."""

    def ends(self, *, within_s: float) -> float:
        """Stop it; how long that took, in seconds."""
        return self.stop_one(self._name, within_s=within_s)

    @property
    def pid(self) -> int:
        return self.processes[self._name].pid

    def cpu_s(self) -> float:
        return cpu_s(self.pid)

    def memory_mb(self, which: str = "VmRSS") -> float:
        """`VmRSS` is now, `VmHWM` the most it had."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        (found,) = (line for line in lines if line.startswith(which))
        return int(found.split()[1]) / 1024
