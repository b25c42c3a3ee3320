"""A wire of its own between one process and the rest of this machine.

well    what comes is passed on
pulled  nothing is passed on, in neither direction; nobody is told
narrow  it holds up what comes, and drops what is too much for it

The process runs in a network namespace in which 127.0.0.1 is the other end of the wire:
all it says goes over it, datagrams as well. Takes root, and `ip` and `tc`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Literal

Mode = Literal["well", "pulled", "narrow"]
NARROW = ("tbf", "rate", "512kbit", "burst", "8kb", "latency", "300ms")
DISCIPLINES = {"pulled": ("blackhole",), "narrow": NARROW}
OURS, THEIRS = "10.77.0.1", "10.77.0.2"
LOCAL = Path("/proc/sys/net/ipv4/conf")


def may_lay() -> bool:
    """Whether there can be one here."""
    return os.geteuid() == 0 and bool(shutil.which("ip") and shutil.which("tc"))


class Wire:
    """Laid when made. There is one at a time on a machine."""

    def __init__(self) -> None:
        self._space = f"parley-{os.getpid()}"
        self._near, self._far = f"pa{os.getpid()}", f"pb{os.getpid()}"
        _run("ip", "netns", "add", self._space)
        peer = ("peer", "name", self._far, "netns", self._space)
        _run("ip", "link", "add", self._near, "type", "veth", *peer)
        _run("ip", "addr", "add", f"{OURS}/30", "dev", self._near)
        _run("ip", "link", "set", self._near, "up")
        _run("ip", "-n", self._space, "addr", "add", f"{THEIRS}/30", "dev", self._far)
        _run("ip", "-n", self._space, "link", "set", self._far, "up")
        # Else the kernel takes what comes from or goes to 127.0.0.1 for a mistake.
        (LOCAL / self._near / "route_localnet").write_text("1")
        _run(*self.words, "sh", "-c", f"echo 1 > {LOCAL}/{self._far}/route_localnet")
        via = ("via", OURS, "dev", self._far)
        _run("ip", "-n", self._space, "route", "add", "127.0.0.1/32", *via)

    @property
    def words(self) -> tuple[str, ...]:
        """What a program is started with that is to be at its end."""
        return "ip", "netns", "exec", self._space

    def set(self, mode: Mode) -> None:
        for tc, device in (
            (("tc",), self._near),
            (("tc", "-n", self._space), self._far),
        ):
            if mode == "well":
                _run(*tc, "qdisc", "del", "dev", device, "root")
            else:
                _run(*tc, "qdisc", "add", "dev", device, "root", *DISCIPLINES[mode])

    def close(self) -> None:
        """Its devices go with the space, when nobody is in it any more."""
        _run("ip", "netns", "del", self._space)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
