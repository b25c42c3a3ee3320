"""Nothing leaves: a whole conversation, and no attempt to reach another machine.

Two watchmen: Python's audit hook in every process, which names whoever tries, and the
kernel's own count of unroutable packets, which native code cannot pass by either.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

OFFLINE = Path(__file__).resolve().parent
DRIVER = OFFLINE / "driver.py"
PATIENCE_S = 110
OUTSIDE = """
import socket, urllib.request
def tcp(): socket.create_connection(("192.0.2.1", 9), timeout=1)
def udp(): socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.2", 9))
def name(): socket.getaddrinfo("parley.invalid", 443)
def http(): urllib.request.urlopen("http://203.0.113.1/", timeout=1)
for attempt in (tcp, udp, name, http):
    try:
        attempt()
    except OSError as e:
        print(attempt.__name__, getattr(e, "reason", e))
listener = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listener.getsockname()).close()
socket.getaddrinfo("localhost", 80)
print("loopback passes")
"""


@cache
def way_to_be_alone() -> tuple[str, ...]:
    """The words that run a program in an empty network; none where none work."""
    for words in (("unshare", "-n"), ("unshare", "-rn")):
        try:
            done = subprocess.run([*words, "true"], capture_output=True, check=False)
        except FileNotFoundError:
            return ()
        if done.returncode == 0:
            return words
    return ()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a conversation tried to reach."""
    result = tmp_path_factory.mktemp("offline") / "result.json"
    alone = way_to_be_alone()
    words = [*alone, sys.executable, str(DRIVER), str(result)]
    done = subprocess.run(
        [*words, "--alone"] if alone else words,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(result.read_text("utf-8"))
    return read


@pytest.mark.stack
def test_a_whole_conversation_reaches_for_no_other_machine(
    found: dict[str, Any],
) -> None:
    assert len(found["transcript"].splitlines()) == 3
    watched = [line.removeprefix("manage.py ") for line in found["watched"]]
    assert {"runweb", "runbot", "qcluster"} <= set(watched)
    assert found["attempts"] == []


@pytest.mark.stack
def test_the_kernel_had_nothing_to_refuse(found: dict[str, Any]) -> None:
    if found["unrouted"] is None:
        pytest.skip("no network namespace here: native code was not watched")
    assert found["unrouted"] == 0


def test_the_guard_refuses_and_tells_each_attempt(tmp_path: Path) -> None:
    log = tmp_path / "log"
    env = os.environ | {"PYTHONPATH": str(OFFLINE / "guard"), "OFFLINE_LOG": str(log)}
    words = [sys.executable, "-c", OUTSIDE]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    refused = done.stdout.splitlines()
    assert [line.split()[0] for line in refused[:-1]] == ["tcp", "udp", "name", "http"]
    assert all("offline" in line for line in refused[:-1])
    assert refused[-1] == "loopback passes"
    hosts = [line.split()[1] for line in log.read_text("utf-8").splitlines()]
    wanted = ["192.0.2.1", "192.0.2.2", "parley.invalid", "203.0.113.1"]
    assert hosts == wanted


def test_the_kernel_counts_what_the_guard_does_not_see(tmp_path: Path) -> None:
    """The same attempts without the guard, as native code would make them."""
    if not (alone := way_to_be_alone()):
        pytest.skip("no network namespace here")
    program = (
        f"import sys; sys.path.insert(0, {str(OFFLINE)!r})\n"
        "import driver; driver.raise_loopback(); before = driver.without_a_way()\n"
        f"{OUTSIDE}\nprint(driver.without_a_way() - before)"
    )
    words = [*alone, sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) >= 3
