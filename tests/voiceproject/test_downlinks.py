"""A download goes out as fast as it is read, on a real server, and no faster."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stack import Stack, wait_for
from talk import talk

from sessions.streaming import AT_ONCE

HOURS = 3
# Sets time zero back: the track goes on in silence until now.
OLD = """
from datetime import timedelta
from sessions.models import VoiceSession
for session in VoiceSession.objects.all():
    session.started_at -= timedelta(hours=4)
    session.save()
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(programs=("web",)) as running:
        yield running


@pytest.fixture(scope="module")
def path(stack: Stack) -> str:
    """Three hours of WAV: a gigabyte."""
    session = stack.new_session()
    pcm = np.random.default_rng(1).integers(-3000, 3000, 3 * 16_000).astype(np.int16)
    asyncio.run(talk(session, pcm, pace=0))
    people: list[dict[str, Any]] = stack.api("GET", f"/sessions/{session['id']}")[
        "participants"
    ]
    stack.manage("shell", "-v0", "-c", OLD)
    track = f"/api/sessions/{session['id']}/tracks/{people[0]['id']}.wav"
    return f"{track}?end_ms={HOURS * 3_600_000}&token={session['token']}"


@contextlib.contextmanager
def asked(stack: Stack, path: str) -> Iterator[socket.socket]:
    """Somebody who has asked, and reads only what the test reads."""
    with socket.create_connection(("127.0.0.1", stack.port)) as reader:
        reader.settimeout(20)
        reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert reader.recv(65536).startswith(b"HTTP/1.1 200")
        yield reader


def memory(stack: Stack) -> int:
    """What the web process holds, in bytes."""
    status = Path(f"/proc/{stack.processes['web'].pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def status_of(stack: Stack, path: str) -> int:
    try:
        with urllib.request.urlopen(stack.url + path, timeout=20) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as e:
        return e.code


def test_who_reads_slowly_costs_no_memory_and_loses_nothing(
    stack: Stack, path: str
) -> None:
    status_of(stack, path.replace(str(HOURS * 3_600_000), "60000"))  # all is loaded
    before, most = memory(stack), 0
    with asked(stack, path) as reader:
        for _ in range(30):
            reader.recv(65536)
            most = max(most, memory(stack))
            time.sleep(0.1)
        grown = most - before
        print(f"grown by {grown / 1e6:.0f} MB")
        assert grown < 60e6
        got, until = 0, time.monotonic() + 10
        while time.monotonic() < until and got < 200e6:
            got += len(reader.recv(1 << 20))
        assert got >= 200e6


def test_who_hangs_up_gives_the_place_back(stack: Stack, path: str) -> None:
    with contextlib.ExitStack() as readers:
        for _ in range(AT_ONCE):
            readers.enter_context(asked(stack, path))
        assert status_of(stack, path) == 503
    short = path.replace(str(HOURS * 3_600_000), "5000")
    wait_for("a place", lambda: status_of(stack, short) == 200, within_s=5)
