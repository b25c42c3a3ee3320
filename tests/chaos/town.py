"""The installation of a run: two web nodes, a Discord bot, two phone servers, workers;
and what they stand on. Each process can be killed, held and started again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bad_road import Road, bad_road
from fakecord.server import FakeDiscord
from stack import PREPARE, ROOT, Stack, free_port, listens, wait_for

from chaos import services
from chaos.services import BUCKET, Cables, Service
from chaos.wire import Wire, may_lay

UP_S = 90.0
QCLUSTER = ("manage.py", "qcluster")
CHUNK_S = "20"
READY = "discord.ready"


@dataclass(frozen=True, slots=True)
class Down:
    """A process, or a cable, that carried nothing from one moment to another, by the
    monotonic clock. `carries`: what comes over it."""

    what: str
    carries: str
    since: float
    until: float


@dataclass
class Town:
    """All of it; the context manager `town` builds one."""

    stack: Stack
    cables: Cables
    road: Road
    database: Service
    redis: Service
    direct: dict[str, str]
    """Settings that lead to the database by no cable, for whoever looks at it."""
    down: list[Down] = field(default_factory=list)
    disturbed: list[Down] = field(default_factory=list)
    """When sound came late on one of the roads, or not at all."""
    words: dict[str, tuple[tuple[str, ...], dict[str, str]]] = field(
        default_factory=dict
    )
    ready: dict[str, Callable[[], bool]] = field(default_factory=dict)
    wires: dict[str, Wire] = field(default_factory=dict)
    """Of those processes whose network is their own."""
    begun: int = 0
    """Where in the Discord bot's log its last start stands."""
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start one process; comes back at once."""
        words, env = self.words[name]
        wire = self.wires.get(name)
        if name == "discord":
            self.begun = len(self.log(name))
        with (self.stack.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*(wire.words if wire else ()), sys.executable, *words],
                cwd=ROOT,
                env=self.stack.env | env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """As a lost machine would."""
        process = self._running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def send(self, name: str, what: signal.Signals) -> None:
        os.killpg(self._running[name].pid, what)

    def alive(self, name: str) -> bool:
        return name in self._running and self._running[name].poll() is None

    def restart_gone(self) -> list[str]:
        """Start again what ended by itself, as a supervisor does; which those were."""
        gone = [name for name, one in self._running.items() if one.poll() is not None]
        for name in gone:
            self.start(name)
        return gone

    def until_ready(self, name: str) -> None:
        """Until it does its work again."""
        wait_for(f"{name} up", self.ready[name], within_s=UP_S)

    def stop(self) -> list[str]:
        """SIGTERM for all; who had to be killed."""
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        late = []
        for name, process in self._running.items():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                late.append(name)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self._running.clear()
        return late

    def log(self, name: str) -> str:
        return self.stack.log(name)

    def ask(self, code: str) -> Any:
        """What a program inside the product prints, as JSON; past the cables."""
        before = dict(self.stack.env)
        self.stack.env.update(self.direct)
        try:
            return json.loads(self.stack.manage("shell", "-v0", "-c", code))
        finally:
            self.stack.env.clear()
            self.stack.env.update(before)


@contextlib.contextmanager
def town(discord: FakeDiscord, *, disk_mb: int) -> Iterator[Town]:
    """Build it and start everything; at the end everything is gone. Whoever waits until
    it is ready lets the test Discord go on meanwhile."""
    with contextlib.ExitStack() as parts:
        home = Path(tempfile.mkdtemp(prefix="parley-chaos-services-"))
        home.chmod(0o755)
        parts.callback(shutil.rmtree, home, ignore_errors=True)
        database = services.postgres(home)
        redis, store = services.redis(), services.store()
        for service in (database, redis, store):
            parts.callback(service.kill)
            service.start()
        road = parts.enter_context(bad_road(f"http://127.0.0.1:{store.port}"))
        ports = {name: free_port() for name in ("web-a", "web-b", "phone-a", "phone-b")}
        wires = {name.replace("-", "_"): port for name, port in ports.items()}
        cables = Cables(database=database.port, redis=redis.port, **wires)
        parts.callback(cables.close)
        disk = parts.enter_context(services.small_disk(disk_mb))
        address = "postgres://parley@127.0.0.1:{}/postgres"
        stack = Stack(
            programs=(),
            SECRET_KEY="of a run of chaos 0123456789-0123456789-abcdefgh",
            DATABASE_URL=address.format(cables.ports["database"]),
            REDIS_URL=f"redis://127.0.0.1:{cables.ports['redis']}/0",
            S3_BUCKET=BUCKET,
            S3_ENDPOINT_URL=road.url,
            S3_ACCESS_KEY_ID="key",
            S3_SECRET_ACCESS_KEY="secret",
            RECORDING_CHUNK_S=CHUNK_S,
            KEEP_ORIGINALS="True",
            STT_LANGUAGE="en",
            TTS="none",
            CALL_SILENCE_S="3600",
            VOICE_INACTIVITY_S="3600",
            CONNECTIONS_PER_ADDRESS="1000",
        )
        shutil.rmtree(stack.folder)
        stack.folder = disk
        stack.env["DATA_DIR"] = str(disk)
        made = Town(
            stack,
            cables,
            road,
            database,
            redis,
            {"DATABASE_URL": address.format(database.port)},
        )
        if may_lay():
            made.wires["discord"] = Wire()
            parts.callback(made.wires["discord"].close)
        _processes(made, ports, discord)
        _prepare(made)
        parts.callback(made.stop)
        stack.port = ports["web-a"]
        stack.url = f"http://127.0.0.1:{ports['web-a']}"
        for name in made.words:
            made.start(name)
        yield made


def _processes(made: Town, ports: dict[str, int], discord: FakeDiscord) -> None:
    token = {
        "DISCORD_TOKEN": discord.token,
        "DISCORD_CONNECTOR": "fakecord.connector.from_environment",
        **discord.env,
    }
    for name in ("web-a", "web-b"):
        made.words[name] = ("manage.py", "runweb"), {"WEB_PORT": str(ports[name])}
    for name in ("phone-a", "phone-b"):
        words = "manage.py", "runbot", "--only", "phone"
        made.words[name] = words, {"AUDIOSOCKET_PORT": str(ports[name])}
    made.words["discord"] = ("manage.py", "runbot", "--only", "discord"), token
    made.words["stt"] = QCLUSTER, {"Q_CLUSTER_NAME": "stt"}
    made.words["media"] = QCLUSTER, {"Q_CLUSTER_NAME": "media"}
    for name, port in ports.items():
        made.ready[name] = lambda port=port: listens(port)  # type: ignore[misc]

    made.ready["discord"] = lambda: READY in made.log("discord")[made.begun :]
    for name in ("stt", "media"):
        made.ready[name] = lambda name=name: made.alive(name)  # type: ignore[misc]


def _prepare(made: Town) -> None:
    made.stack.manage("prepare")  # the tables, and the bucket
    made.stack.token = made.stack.manage("shell", "-v0", "-c", PREPARE).strip()
