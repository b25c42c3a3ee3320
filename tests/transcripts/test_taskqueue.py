"""A worker killed while it waits must not take the queue's lock with it."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing import get_context

import django_q.cluster
import pytest

from transcripts.taskqueue import TaskQueue

FORK = get_context("fork")


def take(queue: TaskQueue, answers: TaskQueue) -> None:
    answers.put("waits")
    answers.put(queue.get())


@pytest.mark.timeout(20)
def test_the_next_worker_hears_after_one_was_killed_waiting() -> None:
    queue, answers = TaskQueue(maxsize=1), TaskQueue()
    first = FORK.Process(target=take, args=(queue, answers), daemon=True)
    first.start()
    assert answers.get(timeout=5) == "waits"
    assert first.pid is not None
    wait_until_asleep(first.pid)
    os.kill(first.pid, signal.SIGKILL)
    first.join(timeout=5)
    second = FORK.Process(target=take, args=(queue, answers), daemon=True)
    second.start()
    assert answers.get(timeout=5) == "waits"
    queue.put("task")
    assert answers.get(timeout=5) == "task"
    second.join(timeout=5)


def test_clusters_use_it() -> None:
    assert django_q.cluster.Queue is TaskQueue


def wait_until_asleep(pid: int) -> None:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            if file.read().rpartition(")")[2].split()[0] == "S":
                return
        time.sleep(0.01)
