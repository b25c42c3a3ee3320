"""A full run makes no attempt to leave the machine, and attempts would be seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from offline import island
from stack import ROOT

FOLDER = ROOT / "tests" / "offline"
OUTSIDE = "192.0.2.1"  # RFC 5737: nobody's
KERNEL_CONNECT = f"""
import ctypes, socket, struct, sys
sys.path[:0] = [{str(FOLDER)!r}]
import island
island.raise_loopback()
before = island.departures()
handle = socket.socket()
address = struct.pack("<H", socket.AF_INET) + struct.pack(
    ">H4s8x", 9, socket.inet_aton({OUTSIDE!r})
)
ctypes.CDLL(None).connect(handle.fileno(), address, len(address))
print(sum(island.departures().values()) - sum(before.values()))
"""


def run(words: list[str], report: Path) -> str:
    """Start Python with the watch on it; what it prints."""
    env = {"PYTHONPATH": str(FOLDER), "EGRESS_REPORT": str(report)}
    done = subprocess.run(
        words,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **env},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_whole_conversation_stays_on_this_machine(tmp_path: Path) -> None:
    report, home = tmp_path / "attempts", tmp_path / "home"
    home.mkdir()
    words = [sys.executable, str(FOLDER / "conversation.py"), str(report), str(home)]
    told: dict[str, Any] = json.loads(run((island.to_island() or []) + words, report))
    assert len(told["lines"]) >= 6
    assert told["outside"] == []
    assert not report.exists(), report.read_text()
    if told["on_island"]:
        assert set(told["departures"].values()) == {0}, told["departures"]
    # Whoever reports home later keeps a device id and a queue there first.
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    "attempt",
    [
        f"socket.create_connection(({OUTSIDE!r}, 9), 1)",
        "socket.getaddrinfo('example.org', 443)",
        "socket.gethostbyname('example.org')",
        f"socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ({OUTSIDE!r}, 9))",
        "urllib.request.urlopen('https://example.org', timeout=1)",
    ],
)
def test_an_attempt_to_leave_is_refused_and_written_down(
    tmp_path: Path, attempt: str
) -> None:
    report = tmp_path / "attempts"
    program = (
        "import contextlib, socket, urllib.request\n"
        f"with contextlib.suppress(OSError): {attempt}"
    )
    run([sys.executable, "-c", program], report)
    assert OUTSIDE in report.read_text() or "example.org" in report.read_text()


def test_loopback_and_unix_sockets_are_no_attempt(tmp_path: Path) -> None:
    report = tmp_path / "attempts"
    program = (
        "import contextlib, socket\n"
        "for host in ('127.0.0.1', 'localhost', '::1'):\n"
        "    with contextlib.suppress(OSError):\n"
        "        socket.create_connection((host, 1), 1)\n"
        "with contextlib.suppress(OSError):\n"
        "    socket.socket(socket.AF_UNIX).connect('/nowhere')\n"
    )
    run([sys.executable, "-c", program], report)
    assert not report.exists()


def test_the_kernel_counts_what_c_code_tries(tmp_path: Path) -> None:
    if (unshare := island.to_island()) is None:
        pytest.skip("network namespaces may not be made here")
    words = [*unshare, sys.executable, "-c", KERNEL_CONNECT]
    assert int(run(words, tmp_path / "attempts")) > 0
