"""How late the loop is: with time that passes when told to, and once for real."""

from __future__ import annotations

import asyncio
import time

import pytest
from scene import Clock, eventually

from bot.lag import EVERY_S, KEPT, Lag, lag_watched


def wakes_on_time(lag: Lag, clock: Clock, times: int) -> None:
    for _ in range(times):
        clock.passes(lag.wakes())


def test_nothing_is_late_before_anything_was_due() -> None:
    assert Lag().lateness().longest_s == 0.0


def test_a_loop_that_is_there_is_not_late() -> None:
    clock = Clock()
    lag = Lag(clock)
    wakes_on_time(lag, clock, 50)
    assert lag.lateness().longest_s == pytest.approx(0.0, abs=1e-6)


def test_an_absence_counts_for_all_that_fell_due_in_it() -> None:
    """Of 100 in two seconds, five waited: up to 99 ms, each 20 ms less."""
    clock = Clock()
    lag = Lag(clock)
    wakes_on_time(lag, clock, 95)
    clock.passes(0.099)
    lag.wakes()
    late = lag.lateness()
    assert late.longest_s == pytest.approx(0.099)
    assert late.p99_s == pytest.approx(0.079)
    assert late.p50_s == pytest.approx(0.0, abs=1e-6)


def test_who_was_late_is_due_again_at_its_old_times() -> None:
    clock = Clock()
    lag = Lag(clock)
    clock.passes(lag.wakes() + 0.015)
    assert lag.wakes() == pytest.approx(EVERY_S - 0.015)


def test_what_was_long_ago_is_forgotten() -> None:
    clock = Clock()
    lag = Lag(clock)
    lag.wakes()
    clock.passes(0.5)
    wakes_on_time(lag, clock, KEPT)
    assert lag.lateness().longest_s == pytest.approx(0.0, abs=1e-6)


def test_a_process_that_slept_for_hours_costs_no_more_than_a_minute() -> None:
    clock = Clock()
    lag = Lag(clock)
    lag.wakes()
    clock.passes(36_000.0)
    assert 0 < lag.wakes() <= EVERY_S
    assert lag.lateness().longest_s == pytest.approx(60.0, abs=2 * EVERY_S)


async def test_a_loop_that_is_held_up_says_so() -> None:
    async with lag_watched() as lag:
        await asyncio.sleep(0)
        time.sleep(0.1)  # noqa: ASYNC251 (this is what is measured)
        await eventually(lambda: lag.lateness().longest_s >= 0.075)
