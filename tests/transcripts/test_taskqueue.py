"""A worker that is gone must take neither the queue's lock nor its room with it."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection

import django_q.cluster
import pytest

from transcripts.taskqueue import Cluster, Sentinel, TaskQueue

FORK = get_context("fork")


def take(queue: TaskQueue, answers: Connection) -> None:
    answers.send("waits")
    answers.send(queue.get())


def push(queue: TaskQueue, answers: Connection) -> None:
    answers.send("waits")
    queue.put("task")
    answers.send("through")


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


@pytest.mark.timeout(40)
def test_who_waits_for_room_goes_on_when_the_last_worker_is_gone() -> None:
    queue = TaskQueue(maxsize=1)
    queue.put("nobody takes it")
    answers, telling = FORK.Pipe(duplex=False)
    pusher = FORK.Process(target=push, args=(queue, telling), daemon=True)
    pusher.start()
    assert answer(answers) == "waits"
    assert not answers.poll(0.2)
    queue.make_room()
    assert answer(answers) == "through"
    pusher.join(timeout=5)
    assert pusher.exitcode == 0


@pytest.mark.timeout(40)
def test_a_cluster_told_twice_stops_once() -> None:
    cluster = Cluster()
    try:
        cluster.sentinel = FORK.Process(target=time.sleep, args=(0,))
        cluster.sentinel.start()
        cluster.sentinel.is_alive = lambda: True
        cluster.stop_event = Interrupted()
        os.kill(os.getpid(), signal.SIGTERM)
        assert cluster.has_stopped
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Interrupted:
    """An event in the midst of whose setting, its lock held, another signal comes."""

    def __init__(self) -> None:
        self._lock = FORK.Lock()

    def set(self) -> None:
        with self._lock:
            os.kill(os.getpid(), signal.SIGTERM)


def test_clusters_use_it() -> None:
    assert django_q.cluster.Cluster is Cluster
    assert django_q.cluster.Queue is TaskQueue
    assert django_q.cluster.Sentinel is Sentinel


def wait_until_asleep(pid: int) -> None:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            if file.read().rpartition(")")[2].split()[0] == "S":
                return
        time.sleep(0.01)
