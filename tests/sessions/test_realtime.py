"""Whose work may wait stands back, and nobody else."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping

import pytest
from scene import Clock, eventually

from sessions import realtime
from sessions.capture.desk import TRIM_S, Desk
from transcripts.live import Room
from transcripts.vad import EnergyVad, VadChoice


def nice(thread: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, thread)


class Noting:
    """Lies on the desk for a moment."""

    is_unsynced = False
    ids: Mapping[str, int] = {}
    nice: int | None = None

    def work(self) -> bool:
        self.nice = nice(threading.get_native_id())
        return False

    def sync(self) -> None: ...


async def test_encoding_stands_back_and_the_loop_does_not() -> None:
    before, worker = nice(threading.get_native_id()), Noting()
    Desk().put(worker)
    await eventually(lambda: worker.nice is not None)
    assert worker.nice == min(before + realtime.BACK, 19)
    assert nice(threading.get_native_id()) == before


async def test_detection_stands_back() -> None:
    room = Room(lambda: VadChoice(EnergyVad()))
    loop, before = asyncio.get_running_loop(), nice(threading.get_native_id())
    found = await loop.run_in_executor(room._thread, threading.get_native_id)
    assert nice(found) == min(before + realtime.BACK, 19)
    room._thread.shutdown()


def test_where_it_is_forbidden_the_work_is_done_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(realtime.os, "setpriority", forbidden)
    realtime.stand_back()


async def test_memory_is_given_back_once_a_minute_while_there_is_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, trims = Clock(), []
    monkeypatch.setattr(realtime, "trim", lambda: trims.append(clock.now))
    monkeypatch.setattr("sessions.capture.desk.LOOK_S", 0.001)

    class Working(Noting):
        left = 7

        def work(self) -> bool:
            clock.passes(TRIM_S / 3)
            self.left -= 1
            return self.left > 0

    worker = Working()
    Desk(clock).put(worker)
    await eventually(lambda: not worker.left)
    assert len(trims) == 1


def test_to_give_back_what_is_free_harms_nobody() -> None:
    kept = [bytes(1000) for _ in range(10_000)][::100]
    realtime.trim()
    assert all(len(one) == 1000 for one in kept)
