"""PostgreSQL, Redis and a store of a run: each can die and come back, and each is
reached by a cable."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from postgres import new_cluster
from stack import ROOT, free_port, listens, redis_words, wait_for

BUCKET = "parley"


class Service:
    """A program at a port, that may be killed, held and started again."""

    def __init__(self, words: list[str], port: int, *, user: str | None = None) -> None:
        self.port = port
        self._words, self._user = words, user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._words,
            user=self._user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for(self._words[0], lambda: listens(self.port), within_s=60)

    def kill(self) -> None:
        """It and its children."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def send(self, what: signal.Signals) -> None:
        """A signal for it and its children."""
        if self._process is not None:
            os.killpg(self._process.pid, what)


def redis() -> Service:
    port = free_port()
    return Service(redis_words(port), port)


def postgres(folder: Path) -> Service:
    """What it has said is kept survives its kill: it syncs, as it comes."""
    words, port, user = new_cluster(folder)
    return Service([*words, "-c", "max_connections=300"], port, user=user)


def store() -> Service:
    port = free_port()
    words = [sys.executable, "-m", "moto.server", "-p", str(port), "-H", "127.0.0.1"]
    return Service(words, port)


class Cables:
    """`chaos.cables`, from here."""

    def __init__(self, **to: int) -> None:
        words = [sys.executable, "-m", "chaos.cables"]
        self._process = subprocess.Popen(
            [*words, *(f"{name}={port}" for name, port in to.items())],
            cwd=ROOT / "tests",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ports: dict[str, int] = json.loads(self._said.readline())

    @property
    def _said(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def set(self, **modes: str) -> None:
        """Come back when it is so."""
        assert self._process.stdin is not None
        print(json.dumps(modes), file=self._process.stdin, flush=True)
        assert self._said.readline() == "done\n"

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of this size, where one may be mounted; else an ordinary folder.

    To be mounted takes root, or a user namespace: `unshare -Urm`.
    """
    with tempfile.TemporaryDirectory(prefix="parley-chaos-") as folder:
        words = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "parley", folder]
        has_mounted = subprocess.run(words, stderr=subprocess.DEVNULL, check=False)
        try:
            yield Path(folder)
        finally:
            if has_mounted.returncode == 0:
                subprocess.run(["umount", "--lazy", folder], check=True)


def is_small(folder: Path) -> bool:
    """Whether that is a file system of its own, and may be filled."""
    return os.path.ismount(folder)
