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
from stack import Stack, hurried, wait_for
from talk import talk

from sessions.streaming import AT_ONCE, AT_ONCE_PER_ADDRESS
from voiceproject.downlinks import (
    BEHIND_MAX_S,
    LEAST_BYTES_PER_S,
    STALLED_S,
    Reader,
)

pytestmark = pytest.mark.stack
HOURS = 3
# Sets time zero back: the track goes on in silence until now.
OLD = """
from datetime import timedelta
from sessions.models import VoiceSession
for session in VoiceSession.objects.all():
    session.started_at -= timedelta(hours=4)
    session.save()
"""


SLOW_S = 3.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(programs=("web",), TRUSTED_PROXIES="1") as running:
        yield running


@pytest.fixture(scope="module")
def path(stack: Stack) -> str:
    return hours(stack)


@pytest.fixture(scope="module")
def impatient() -> Iterator[Stack]:
    soon = hurried({"voiceproject.downlinks.BEHIND_MAX_S": SLOW_S})
    with Stack(programs=("web",), TRUSTED_PROXIES="1", **soon) as running:
        yield running


def hours(stack: Stack) -> str:
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
def asked(stack: Stack, path: str, *, number: int = 0) -> Iterator[socket.socket]:
    """Somebody who has asked, and reads only what the test reads. Each `number` comes
    from an address of its own."""
    head = f"Host: localhost\r\nX-Forwarded-For: 192.0.2.{number}"
    with socket.create_connection(("127.0.0.1", stack.port)) as reader:
        reader.settimeout(20)
        reader.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n\r\n".encode())
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
        for number in range(AT_ONCE):
            readers.enter_context(asked(stack, path, number=number))
        assert status_of(stack, path) == 503
    short = path.replace(str(HOURS * 3_600_000), "5000")
    wait_for("a place", lambda: status_of(stack, short) == 200, within_s=5)


def test_one_address_does_not_take_all_places(stack: Stack, path: str) -> None:
    short = path.replace(str(HOURS * 3_600_000), "5000")
    with contextlib.ExitStack() as readers:
        for _ in range(AT_ONCE_PER_ADDRESS):
            readers.enter_context(asked(stack, path))
        with pytest.raises(AssertionError):
            readers.enter_context(asked(stack, path))
        assert status_of(stack, short) == 200
    wait_for("a place", lambda: _is_answered(stack, short), within_s=5)


def _is_answered(stack: Stack, path: str) -> bool:
    with contextlib.suppress(AssertionError), asked(stack, path):
        return True
    return False


def test_who_reads_a_few_bytes_is_let_go_and_who_reads_on_is_not(
    impatient: Stack,
) -> None:
    path = hours(impatient)
    short = path.replace(str(HOURS * 3_600_000), "5000")
    began, got = time.monotonic(), 0
    with contextlib.ExitStack() as readers:
        slow = [
            readers.enter_context(asked(impatient, path, number=number))
            for number in range(AT_ONCE - 1)
        ]
        good = readers.enter_context(asked(impatient, path, number=99))
        assert status_of(impatient, short) == 503
        while impatient.log("web").count("downlink.stalled") < len(slow):
            for reader in slow:
                reader.recv(100)  # a kilobyte a second
            got += len(good.recv(1 << 18))
            time.sleep(0.1)
            assert time.monotonic() - began < 60
        took = time.monotonic() - began
        print(f"let go after {took:.1f} s; the good one has {got / 1e6:.0f} MB")
        assert took > SLOW_S
        assert status_of(impatient, short) == 200
        assert got > 10 * LEAST_BYTES_PER_S * took
        assert good.recv(1 << 18)


@pytest.mark.parametrize(
    ("took", "holds_place", "is_slow"),
    [
        (LEAST_BYTES_PER_S, True, False),
        (LEAST_BYTES_PER_S * 9 // 10, True, True),
        (LEAST_BYTES_PER_S * 9 // 10, False, False),
        (1, True, True),
        (1, False, False),
        (0, False, True),
    ],
)
def test_who_is_too_slow(took: int, holds_place: bool, is_slow: bool) -> None:
    reader = Reader()
    reader.took(10**9, in_s=1.0)  # what was fast once is no credit
    for _ in range(10 * int(BEHIND_MAX_S) + int(STALLED_S) + 5):
        reader.took(took, in_s=1.0)
    assert reader.is_too_slow(for_a_place=holds_place) == is_slow


def test_a_pause_is_no_end() -> None:
    reader = Reader()
    for _ in range(5):
        reader.took(0, in_s=BEHIND_MAX_S)
        assert not reader.is_too_slow(for_a_place=True)
        reader.took(10**9, in_s=1.0)
