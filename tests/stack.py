"""A real installation for tests: the Procfile's processes, on a port of their own."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from voiceproject.supervision import Program, read_procfile

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "tests" / "speech" / "model"
PATIENCE_S = 90.0
STOP_S = 10.0
ALL = ("web", "bot", "stt", "media")
TEMPLATE = Path(tempfile.gettempdir(), f"parley-template-{os.getpid()}.sqlite3")
atexit.register(TEMPLATE.unlink, missing_ok=True)
# In one process: each start of Django costs a second.
MIGRATED = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
"""
PREPARE = """
from django.contrib.auth import get_user_model
from django.core.management import call_command
get_user_model().objects.create_superuser("admin", password="parley")
call_command("createtoken", "admin")
"""


def hurried(constants: dict[str, float]) -> dict[str, str]:
    """The environment of a Stack whose processes have these constants, by their dotted
    paths, in place of those of life."""
    folders = f"{ROOT / 'tests' / 'hurried'}{os.pathsep}{ROOT / 'tests'}"
    return {"PYTHONPATH": folders, "HURRIED": json.dumps(constants)}


def free_port() -> int:
    """A port nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(what: str, condition: Callable[[], Any], *, within_s: float) -> Any:
    """The first true value of `condition`; fails with `what` when it takes too long."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {within_s} s: {what}")


def put_tables(folder: Path, env: dict[str, str]) -> None:
    """SQLite's empty tables into a new installation: made once, copied after that."""
    database = folder / "parley.sqlite3"
    if TEMPLATE.exists():
        shutil.copy(TEMPLATE, database)
    else:
        _manage(("migrate", "-v0"), env)
        shutil.copy(database, TEMPLATE)


def _manage(words: tuple[str, ...], env: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


class Stack:
    """One installation in a temporary folder. `env` overrides settings."""

    def __init__(self, *, programs: tuple[str, ...] = ALL, **env: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="parley-stack-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}"
        self.token = ""
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._programs = programs
        # Not PYTHONDEVMODE: event loops are half as fast with it. `test_quiet` has it.
        inherited = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")
        self.env = {n: os.environ[n] for n in inherited if n in os.environ} | {
            # Should the tests be killed, the kernel ends their processes.
            "SUPERVISOR_PID": str(os.getpid()),
            "DATA_DIR": str(self.folder),
            "WEB_PORT": str(self.port),
            # Off: the ports of two installations would be the same.
            "AUDIOSOCKET_PORT": "0",
            "BOT_HEALTH_PORT": "0",
            "STT_MODEL": str(MODEL),
            "HF_HUB_OFFLINE": "1",
            "STT_CPU_THREADS": "2",
            "PYTHONPATH": str(ROOT / "tests"),
            **env,
        }

    def __enter__(self) -> Stack:
        try:
            self.token = self.manage("shell", "-v0", "-c", self._prepared()).strip()
            for name in self._programs:
                self.start(name)
            self.wait_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def _prepared(self) -> str:
        """What is still to be done for tables, an administrator and a token."""
        if "DATABASE_URL" in self.env:
            return MIGRATED + PREPARE
        put_tables(self.folder, self.env)
        return PREPARE

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def manage(self, *words: str) -> str:
        """Run a management command; what it prints."""
        return _manage(words, self.env)

    def start(self, name: str, *words: str, called: str = "", **env: str) -> None:
        """Start one process exactly as the Procfile says; of several of a kind each is
        `called` otherwise, and has more words, or settings of its own."""
        called = called or name
        with (self.folder / f"{called}.log").open("ab") as log:
            self.processes[called] = subprocess.Popen(
                [*_words(name), *words],
                cwd=ROOT,
                env=self.env | env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """SIGKILL one process and its children, as a lost machine would."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop_one(self, name: str, *, within_s: float = STOP_S) -> float:
        """SIGTERM one process, alone; how long it took to go, in seconds."""
        process = self.processes.pop(name)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"{name} did not stop: {self.log(name)}") from None
        return time.monotonic() - began

    def stop(self) -> None:
        """Stop everything. Fails when something had to be killed, or was left."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + STOP_S
        late = {
            name: self.log(name)
            for name, process in self.processes.items()
            if not _is_over(process, within_s=max(until - time.monotonic(), 0.1))
        }
        self.processes.clear()
        assert not late, f"did not stop in {STOP_S} s: {late}"

    def log(self, name: str) -> str:
        """What a process has printed."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def logs(self) -> str:
        return "\n".join(f"== {name}\n{self.log(name)}" for name in self._programs)

    def health(self) -> dict[str, Any]:
        """GET /health, or {} while nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return {}

    def wait_healthy(self) -> None:
        """Until the web answers, speech-to-text has made up its mind and the phone
        listens, each if it runs."""
        has_phone = "bot" in self.processes and self.env["AUDIOSOCKET_PORT"] != "0"

        def settled() -> bool:
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} died: {self.log(name)}"
            parts = self.health().get("parts")
            if not parts or (has_phone and "phone.listening" not in self.log("bot")):
                return False
            decided = parts["speech"]["state"] in ("ready", "missing")
            return decided or "stt" not in self.processes

        wait_for("healthy", settled, within_s=PATIENCE_S)

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Call the API as the administrator; the decoded answer. Raises HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/api{path}",
            data=data,
            method=method,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                **headers,
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read().decode()
        return json.loads(text) if "json" in answer.headers["Content-Type"] else text

    def new_session(self, **options: Any) -> dict[str, Any]:
        """Open a session: the API's answer with its addresses and token."""
        made: dict[str, Any] = self.api("POST", "/sessions", options)
        return made


def _is_over(process: subprocess.Popen[bytes], *, within_s: float) -> bool:
    """Whether the process went by itself and left no child; none is left after this."""
    until = time.monotonic() + within_s
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(within_s)
    try:
        while time.monotonic() < until:
            os.killpg(process.pid, 0)  # its session is its own
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    finally:
        process.wait()
    return False


def _words(name: str) -> list[str]:
    by_name: dict[str, Program] = {p.name: p for p in read_procfile(ROOT / "Procfile")}
    words = by_name[name].command.split()
    return [sys.executable if word == "python" else word for word in words]


def redis_words(port: int) -> list[str]:
    """How a Redis is started that keeps nothing."""
    words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1"]
    return [*words, "--save", "", "--appendonly", "no"]


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """A real Redis on a port of its own; yields its address."""
    port = free_port()
    folder = tempfile.mkdtemp(prefix="parley-redis-")
    process = subprocess.Popen(
        [*redis_words(port), "--dir", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for("redis", lambda: listens(port), within_s=10)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
