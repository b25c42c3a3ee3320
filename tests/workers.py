"""Who runs what, in which order. Two workers hold the talks, longest first; a third,
of low rank, fills their pauses.

A talk in real time leaves a core idle between its frames, and two at once are
what two cores bear. The third worker is given only files nothing in which is
timed, and steps back whenever a talk needs the core. A test that is held to
milliseconds, or to all that a machine can do, is marked ``alone``: while it runs the
other workers wait. So do they while something timed that failed is held once more
(``repeats``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import repeats
from xdist.scheduler.loadfile import LoadFileScheduling

TALKERS = 2
NICENESS = 10
"""With more, a machine that is busy otherwise starves it beyond all patience."""
AUTOGROUP = Path("/proc/self/autogroup")
"""Where Linux groups processes by session, rank counts within a group alone."""
TIMED = (
    "test_supervisor.py",
    "test_rest_troubles.py",
    "test_session_page.py",
    "test_phone.py",
    "test_discord.py",
    "test_page.py",
    "test_discord_queue.py",
    "test_shards.py",
    "test_recording.py",
    "test_road.py",
    "test_restore.py",
    "test_two_hosts.py",
    "test_draining.py",
    "test_metrics.py",
    "test_secrets.py",
    "test_silent_parts.py",
    "test_openapi.py",
    "test_pacing.py",
    "test_ends.py",
    "test_web_kill.py",
    "test_worker_kill.py",
    "test_many.py",
    "test_garbage.py",
    "test_viewers.py",
    "test_demo.py",
    "test_recovery.py",
    "test_offline.py",
    "test_server.py",
    "test_end_races.py",
    "test_screens.py",
    "test_missing_model.py",
    "test_compose.py",
    "test_crash.py",
    "test_quiet.py",
    "test_uploads.py",
    "test_downlinks.py",
    "test_running.py",
    "test_speaking.py",
    "test_link.py",
    "test_sockets.py",
    "test_power_cut.py",
    "test_store.py",
)
"""What talks in real time or is held to a time, the longest first."""
TIMED_ROOMS = ("browser", "discord", "phone")
"""Folders all of which is."""
PATIENT = (
    "test_bad_road.py",
    "test_downloads.py",
    "test_rotation.py",
    "test_stt.py",
    "test_live.py",
    "test_s3.py",
    "test_protocol_splits.py",
    "test_queue.py",
    "test_races.py",
    "test_feed.py",
    "test_api.py",
)
"""The longest of the others: whoever begins a long one last works on alone."""


class FillingScheduling(LoadFileScheduling):
    """xdist's files in order, but only patient ones for the workers that fill."""

    def _reschedule(self, node: Any) -> None:
        # One file ahead is all a worker needs; xdist would give it two or three.
        if self.workqueue and self._pending_of(self.assigned_work[node]) > 1:
            return
        super()._reschedule(node)

    def _assign_work_unit(self, node: Any) -> None:
        if fills(node.gateway.id):
            patient = (scope for scope in self.workqueue if is_patient(Path(scope)))
            scope = next(patient, None)
            if scope is None:
                node.shutdown()
                return
            self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)


def length(path: Path) -> int:
    """A file's place in the order in which files begin."""
    order = (*TIMED, *PATIENT)
    return order.index(path.name) if path.name in order else len(order)


def is_patient(path: Path) -> bool:
    """Whether nothing in a file of tests minds to wait for the core."""
    return path.name not in TIMED and not set(path.parts).intersection(TIMED_ROOMS)


def fills(worker: str | None) -> bool:
    """Whether a worker, ``gw0`` and on, is one of those that fill."""
    return worker is not None and int(worker.removeprefix("gw")) >= TALKERS


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Called by xdist in the process that deals out the files."""
    return FillingScheduling(config, log)


def is_timed(item: pytest.Item) -> bool:
    """Whether a test talks in real time, or is held to a time."""
    marks = ("alone", "stack", "browser")
    marked = any(item.get_closest_marker(mark) for mark in marks)
    return marked or not is_patient(item.path)


class Timed:
    """Runs what is timed and may be held again; all else runs as pytest runs it."""

    @staticmethod
    @pytest.hookimpl
    def pytest_runtest_protocol(
        item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        if not is_timed(item) or repeats.is_last(item):
            return None
        repeats.run(item, nextitem)
        return True


@pytest.hookimpl(wrapper=True, tryfirst=True)  # whoever waits has not begun yet
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Run a test, and what is timed and failed again."""
    alone = item.get_closest_marker("alone") is not None or repeats.is_again(item)
    with _turn(item.config, alone=alone):
        if repeats.is_last(item):
            repeats.wait_for_pace(item.config.cache.mkdir("pace"))
        done = yield
    if repeats.is_due(item):
        repeats.run_again(item, nextitem)
    return done


@contextlib.contextmanager
def _turn(config: pytest.Config, *, alone: bool) -> Iterator[None]:
    """Among the workers. Who wants to be alone holds the door, so that nobody begins
    while it waits for those that have begun."""
    folder = config.cache.mkdir("alone")
    with (folder / "door").open("w") as door, (folder / "room").open("w") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        try:
            yield
        finally:  # a process that was forked from here holds it as well
            fcntl.flock(room, fcntl.LOCK_UN)


def pytest_configure(config: pytest.Config) -> None:
    """A worker that fills steps back, with all that it starts."""
    config.pluginmanager.register(Timed, "timed")
    config.pluginmanager.register(repeats, "repeats")
    repeats.note_pace(config.cache.mkdir("pace"))
    if not fills(os.environ.get("PYTEST_XDIST_WORKER")):
        return
    os.nice(NICENESS)
    os.setsid()  # else it would take the group of those it steps back for along
    with contextlib.suppress(OSError):  # a kernel that groups nothing
        AUTOGROUP.write_text(str(NICENESS))
