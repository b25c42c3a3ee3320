"""Workers killed in mid-task, twenty times: every utterance gets its text exactly once.

Real processes: `manage.py qcluster` on a database of its own, with an engine that takes
its time. Who is killed is read from the claim in the table, so it is at work.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
UTTERANCES = 30
KILLS = 20
# In these rounds the whole cluster is killed, and started again as a supervisor would.
CLUSTER_ROUNDS = {7, 14}
ENGINE_S = 0.2
DEADLINE_S = 60.0


class Workplace:
    """One installation in a folder: its database, its cluster, its driver."""

    def __init__(self, folder: Path) -> None:
        self._database = folder / "parley.sqlite3"
        self._env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
            "DATA_DIR": str(folder),
            "DATABASE_URL": f"sqlite:///{self._database}",
            "REDIS_URL": "",
            "STT_ENGINE": "fake_engine.SlowEngine",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)]),
            "Q_CLUSTER_NAME": "stt",
        }
        self._log = (folder / "processes.log").open("ab")
        self._cluster: subprocess.Popen[bytes] | None = None

    def closes(self) -> None:
        self.kills_the_cluster()
        self._log.close()

    def migrates(self) -> None:
        subprocess.run([*self._manage(), "migrate", "-v0"], **self._at(), check=True)

    def starts_the_cluster(self) -> None:
        # A session of its own, so that all of it can be killed at once.
        self._cluster = subprocess.Popen(
            [*self._manage(), "qcluster"], **self._at(), start_new_session=True
        )

    def kills_the_cluster(self) -> None:
        if self._cluster is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._cluster.pid, signal.SIGKILL)
            self._cluster.wait(timeout=10)

    def drives(self) -> subprocess.Popen[bytes]:
        driver = str(ROOT / "tests" / "kill_driver.py")
        return subprocess.Popen([sys.executable, driver, str(UTTERANCES)], **self._at())

    def at_work(self) -> tuple[int, int] | None:
        """(utterance, pid) of a claim that stands now."""
        rows = self.reads(
            "SELECT id, claimed_by FROM transcripts_utterance"
            " WHERE state = 'claimed' AND attempts < 4"
        )
        return (rows[0][0], int(rows[0][1].split(":")[1])) if rows else None

    def reads(self, sql: str) -> list[tuple[int, str]]:
        uri = f"file:{self._database}?mode=rw"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
            return database.execute(sql).fetchall()

    def _manage(self) -> list[str]:
        return [sys.executable, str(ROOT / "manage.py")]

    def _at(self) -> dict[str, Any]:
        log = self._log
        return {"cwd": ROOT, "env": self._env, "stdout": log, "stderr": log}


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    place = Workplace(tmp_path)
    try:
        place.migrates()
        yield place
    finally:
        place.closes()


@pytest.mark.timeout(120)
def test_it_transcribes_everything_exactly_once(workplace: Workplace) -> None:
    until = time.monotonic() + DEADLINE_S
    driver = workplace.drives()
    workplace.starts_the_cluster()
    try:
        killed = kill_the_busy(workplace, until=until)
        driver.wait(timeout=until - time.monotonic())
    finally:
        driver.kill()
        driver.wait(timeout=5)
    assert killed == KILLS
    assert_once_each(workplace)


def kill_the_busy(workplace: Workplace, *, until: float) -> int:
    killed: list[int] = []
    chance = random.Random(4)
    while len(killed) < KILLS and time.monotonic() < until:
        busy = workplace.at_work()
        if busy is None or busy[1] in killed:
            time.sleep(0.02)
            continue
        time.sleep(chance.random() * ENGINE_S)
        if len(killed) in CLUSTER_ROUNDS:
            workplace.kills_the_cluster()
            workplace.starts_the_cluster()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(busy[1], signal.SIGKILL)
        killed.append(busy[1])
    return len(killed)


def assert_once_each(workplace: Workplace) -> None:
    rows = workplace.reads("SELECT id, state FROM transcripts_utterance")
    assert Counter(state for _, state in rows) == {"done": UTTERANCES}
    told = workplace.reads(
        "SELECT seq, data FROM voice_sessions_sessionevent WHERE type = 'utterance'"
    )
    texts = Counter(json.loads(data)["text"] for _, data in told)
    assert texts == {f"utterance {number}": 1 for number in range(UTTERANCES)}
