"""Countdowns, by a clock that the test turns; and once by that of the world."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from scene import Clock

from bot.discord.countdown import Countdown

TIMEOUT_S = 60.0
EARLY_S, LATE_S = 0.015, 0.04
"""What an event loop may be off, on a slow machine."""


class Handle:
    """What `call_later` returns, as far as a countdown uses it."""

    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due, self.call = due, call
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Loop:
    """Calls what is due when its clock is turned on: `off_s` late, or early."""

    def __init__(self, *, off_s: float = 0.0) -> None:
        self.clock = Clock()
        self._off_s = off_s
        self._handles: list[Handle] = []

    @property
    def waiting(self) -> list[Handle]:
        return [one for one in self._handles if not one.is_cancelled]

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Any:
        due = self.clock() + max(delay_s + self._off_s, 0.001)
        self._handles.append(handle := Handle(due, call))
        return handle

    def passes(self, seconds: float) -> None:
        until = self.clock() + seconds
        while due := [one for one in self.waiting if one.due <= until]:
            first = min(due, key=lambda one: one.due)
            self._handles.remove(first)
            self.clock.now = max(self.clock.now, first.due)
            first.call()
        self.clock.now = until


class Bell:
    """Remembers when it was rung."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.rung_at: list[float] = []

    def ring(self) -> None:
        self.rung_at.append(self._loop.clock())


def counting(
    loop: Loop, bell: Bell, *, since: Callable[[], float] | None = None
) -> Countdown:
    began_at = loop.clock()
    made = Countdown(
        TIMEOUT_S,
        bell.ring,
        since=since or (lambda: began_at),
        clock=loop.clock,
        call_later=loop.call_later,
    )
    made.start()
    return made


@pytest.mark.parametrize("off_s", [-EARLY_S, 0.0, LATE_S])
def test_it_runs_out_within_fifty_milliseconds_of_its_time(off_s: float) -> None:
    loop = Loop(off_s=off_s)
    bell = Bell(loop)
    began_at = loop.clock()
    counting(loop, bell)
    loop.passes(2 * TIMEOUT_S)
    assert len(bell.rung_at) == 1
    assert 0 <= bell.rung_at[0] - began_at - TIMEOUT_S <= 0.05


def test_it_does_not_run_out_when_it_was_stopped_in_time() -> None:
    loop = Loop()
    bell = Bell(loop)
    countdown = counting(loop, bell)
    loop.passes(TIMEOUT_S - 0.001)
    countdown.stop()
    loop.passes(TIMEOUT_S)
    assert not bell.rung_at
    assert not loop.waiting


def test_it_begins_anew_with_what_it_counts_from() -> None:
    loop = Loop()
    bell = Bell(loop)
    spoken_at = [loop.clock()]
    counting(loop, bell, since=lambda: spoken_at[0])
    for _ in range(5):
        loop.passes(TIMEOUT_S / 2)
        spoken_at[0] = loop.clock()
    assert not bell.rung_at
    loop.passes(2 * TIMEOUT_S)
    assert bell.rung_at == [spoken_at[0] + TIMEOUT_S]


def test_a_second_start_takes_the_place_of_the_first() -> None:
    loop = Loop()
    bell = Bell(loop)
    counting(loop, bell).start()
    assert len(loop.waiting) == 1
    loop.passes(2 * TIMEOUT_S)
    assert len(bell.rung_at) == 1


async def test_it_runs_out_once_in_real_time() -> None:
    over = asyncio.Event()
    began_at = time.monotonic()
    rung_at: list[float] = []

    def ring() -> None:
        rung_at.append(time.monotonic())
        over.set()

    Countdown(0.2, ring, since=lambda: began_at).start()
    async with asyncio.timeout(10):
        await over.wait()
    assert len(rung_at) == 1
    assert rung_at[0] - began_at >= 0.2
