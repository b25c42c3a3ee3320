"""A worker killed while it waits must not take the queue's lock with it."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection

import django_q.cluster
import pytest

from transcripts.taskqueue import TaskQueue

FORK = get_context("fork")


def take(queue: TaskQueue, answers: Connection) -> None:
    answers.send("waits")
    answers.send(queue.get())


def answer(answers: Connection) -> object:
    """What a taker says: over a pipe, which nobody can die holding."""
    assert answers.poll(10)
    return answers.recv()


@pytest.mark.timeout(40)
def test_the_next_worker_hears_after_one_was_killed_waiting() -> None:
    queue = TaskQueue(maxsize=1)
    answers, telling = FORK.Pipe(duplex=False)
    first = FORK.Process(target=take, args=(queue, telling), daemon=True)
    first.start()
    assert answer(answers) == "waits"
    assert first.pid is not None
    wait_until_asleep(first.pid)
    os.kill(first.pid, signal.SIGKILL)
    first.join(timeout=5)
    second = FORK.Process(target=take, args=(queue, telling), daemon=True)
    second.start()
    assert answer(answers) == "waits"
    queue.put("task")
    assert answer(answers) == "task"
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
