"""`manage.py runall`, really: what it prints, and that it stops whatever happens.

Nobody may be left: every process of an installation carries its DATA_DIR, so /proc
tells who still lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from scene import eventually
from stack import MODEL, ROOT, free_port, put_tables, wait_for
from telephone import RATE, noise

from bot.phone.caller import Caller

pytestmark = pytest.mark.stack

START_S = 90.0
STOP_S = 10.0
PASSWORD = re.compile(r"administrator was made: admin, password (\S+)")
RUNALL = (sys.executable, "manage.py", "runall")


class Installation:
    """A data folder and a port; started and stopped as often as a test likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._heard = ""
        self._file: Path | None = None
        self._runs: list[subprocess.Popen[bytes]] = []
        self.env = {n: os.environ[n] for n in ("PATH", "HOME") if n in os.environ} | {
            "DATA_DIR": str(folder),
            "WEB_PORT": str(self.port),
            "AUDIOSOCKET_PORT": "0",
            "BOT_HEALTH_PORT": "0",
            "STT_MODEL": str(MODEL),
            "HF_HUB_OFFLINE": "1",
            "STT_CPU_THREADS": "2",
        }

    def start(self, *words: str, output: int | None = None) -> subprocess.Popen[bytes]:
        """Start it as a shell would: leader of a session and a process group."""
        process = subprocess.Popen(
            words or RUNALL,
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._runs.append(process)
        self._file = None
        if process.stdout is not None:
            self.follow(process.stdout.fileno())
        return process

    def start_into(self, path: Path) -> subprocess.Popen[bytes]:
        """Start it with its output in a file, as `make run >file` does."""
        with path.open("wb") as file:
            process = self.start(output=file.fileno())
        self._file = path
        return process

    @property
    def output(self) -> str:
        """What the latest run has printed so far."""
        return self._file.read_text("utf-8") if self._file else self._heard

    def follow(self, handle: int) -> None:
        self._heard = ""
        copy = os.dup(handle)

        def follow() -> None:
            with contextlib.suppress(OSError), open(copy, "rb", buffering=0) as source:
                while piece := source.read(4096):
                    self._heard += piece.decode(errors="replace")

        threading.Thread(target=follow, daemon=True).start()

    def wait_up(self) -> None:
        """Until it has printed its address and answers there."""

        def up() -> bool:
            assert self._runs[-1].poll() is None, self.output
            return "Parley is up" in self.output and self.answers()

        wait_for("up", up, within_s=START_S)

    def answers(self) -> bool:
        address = f"http://127.0.0.1:{self.port}/health"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def wait_gone(self, *, within_s: float) -> float:
        """Until no process of it is left; how long that took, in seconds."""
        began = time.monotonic()
        wait_for("nobody is left", lambda: not self.living(), within_s=within_s)
        return time.monotonic() - began

    def living(self) -> dict[int, str]:
        """Every process with our data folder in its environment: pid and command."""
        mark = f"DATA_DIR={self.folder}".encode()
        found = {}
        for place in Path("/proc").iterdir():
            # A zombie has no environment: it has ended and waits for its parent.
            with contextlib.suppress(OSError):
                if place.name.isdigit() and mark in (place / "environ").read_bytes():
                    command = (place / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(place.name)] = command.decode(errors="replace").strip()
        return found

    def clear(self) -> None:
        for pid in self.living():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._runs:
            process.wait(5)
            if process.stdout is not None:
                process.stdout.close()


def stop_and_time(installation: Installation, pid: int, number: int) -> float:
    os.kill(pid, number)
    return installation.wait_gone(within_s=STOP_S)


def refused(installation: Installation, **env: str) -> str:
    """What a start prints that must fail, quickly and without a traceback."""
    done = subprocess.run(
        RUNALL,
        cwd=ROOT,
        env=installation.env | env,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """One whose tables are there: only what starts is of interest."""
    made = Installation(tmp_path)
    put_tables(tmp_path, made.env)
    yield made
    made.clear()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Installation]:
    """One with nothing in its folder."""
    made = Installation(tmp_path)
    yield made
    made.clear()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One that is up, its lines in a file; the last test of this module kills it."""
    made = Installation(tmp_path_factory.mktemp("running"))
    made.start_into(made.folder / "output")
    made.wait_up()
    yield made
    made.clear()


def test_it_stops_through_make_and_says_the_password_once(
    bare: Installation,
) -> None:
    make = bare.start("make", "run")
    bare.wait_up()
    assert PASSWORD.search(bare.output)
    assert f"http://localhost:{bare.port}" in bare.output
    took = stop_and_time(bare, make.pid, signal.SIGTERM)
    print(f"SIGTERM to make: all gone after {took:.1f} s")
    # Again on the same data: the administrator is there, and nothing is told of it.
    make = bare.start("make", "run")
    bare.wait_up()
    assert not PASSWORD.search(bare.output)
    os.killpg(make.pid, signal.SIGINT)  # as Ctrl-C does
    took = bare.wait_gone(within_s=STOP_S)
    print(f"Ctrl-C to make and all it started: all gone after {took:.1f} s")


def test_it_stops_while_it_still_starts(installation: Installation) -> None:
    process = installation.start()
    started = installation.folder / "run" / "supervisord.pid"
    wait_for("the supervisor", started.exists, within_s=START_S)
    took = stop_and_time(installation, process.pid, signal.SIGTERM)
    print(f"SIGTERM in mid-start: all gone after {took:.1f} s")


def test_closing_the_terminal_stops_it(installation: Installation) -> None:
    """On a real terminal: its lines arrive there, and its hang-up ends everything."""
    master, slave = pty.openpty()
    process = installation.start(output=slave)
    os.close(slave)
    installation.follow(master)
    installation.wait_up()
    os.close(master)
    took = stop_and_time(installation, process.pid, signal.SIGHUP)
    print(f"closed terminal: all gone after {took:.1f} s")


def test_ctrl_c_without_make_is_a_good_end(installation: Installation) -> None:
    """And its lines arrive at a socket, as under systemd."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = installation.start(output=theirs.fileno())
        installation.follow(ours.fileno())
        installation.wait_up()
        os.killpg(process.pid, signal.SIGINT)
        took = installation.wait_gone(within_s=STOP_S)
        print(f"Ctrl-C: all gone after {took:.1f} s")
        assert process.wait(1) == 0
        wait_for("its end", lambda: "web.stopped" in installation.output, within_s=5)


@pytest.fixture
def lingering(installation: Installation) -> Installation:
    """One that lets calls finish."""
    installation.env |= {
        "AUDIOSOCKET_PORT": str(free_port()),
        "DRAIN_S": "60",
        "TTS": "none",
    }
    return installation


def test_a_call_finishes_while_everything_stops(lingering: Installation) -> None:
    process = lingering.start()
    lingering.wait_up()

    async def call() -> None:
        async with calling(lingering) as caller:
            os.kill(process.pid, signal.SIGTERM)
            await caller.say(noise(6.0), RATE)
            assert not caller.end, lingering.output

    asyncio.run(call())
    lingering.wait_gone(within_s=STOP_S)
    assert "bot.stopped" in lingering.output
    assert "SIGKILL" not in lingering.output


def test_whoever_stops_it_twice_is_in_a_hurry(lingering: Installation) -> None:
    process = lingering.start()
    lingering.wait_up()

    async def call() -> None:
        async with calling(lingering) as caller:
            os.kill(process.pid, signal.SIGTERM)
            await eventually(lambda: "bot.draining" in lingering.output)
            assert not caller.end
            os.kill(process.pid, signal.SIGTERM)
            await caller.over(within_s=10)
            assert caller.end == "goodbye"

    asyncio.run(call())
    lingering.wait_gone(within_s=STOP_S)
    assert "bot.stopped" in lingering.output


@contextlib.asynccontextmanager
async def calling(installation: Installation) -> AsyncIterator[Caller]:
    """Somebody on the telephone, whose call has begun."""
    caller = Caller("127.0.0.1", int(installation.env["AUDIOSOCKET_PORT"]))
    await caller.connect()
    await caller.say(noise(1.0), RATE)
    try:
        yield caller
    finally:
        caller.hang_up()


def test_a_taken_port_is_told_in_one_line(installation: Installation) -> None:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", installation.port))
        taker.listen()
        said = refused(installation)
    assert said.count("\n") == 1
    assert str(installation.port) in said
    assert "WEB_PORT" in said
    assert not installation.living()


def test_a_second_one_on_the_same_data_is_told_in_one_line(
    running: Installation,
) -> None:
    said = refused(running, WEB_PORT=str(free_port()))
    assert said.count("\n") == 1
    assert "already runs" in said
    assert str(running.folder) in said
    assert running.answers()


def test_a_killed_web_process_comes_back_and_it_is_told(running: Installation) -> None:
    [web] = [p for p, command in running.living().items() if "runweb" in command]
    os.kill(web, signal.SIGKILL)
    wait_for("told", lambda: "exited: web" in running.output, within_s=10)
    wait_for("web again", running.answers, within_s=START_S)


def test_lines_arrive_in_a_file_whole_and_in_order(running: Installation) -> None:
    places = [running.output.find(w) for w in ("password", "started", "Parley is up")]
    assert -1 not in places
    assert places == sorted(places)
    assert "\0" not in running.output


def test_nobody_outlives_a_killed_supervisor(running: Installation) -> None:
    pid = int((running.folder / "run" / "supervisord.pid").read_text("ascii"))
    took = stop_and_time(running, pid, signal.SIGKILL)
    print(f"SIGKILL of the supervisor: all gone after {took:.1f} s")
