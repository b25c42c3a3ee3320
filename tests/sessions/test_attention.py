"""How long a process did not listen is known to it, and to nobody else."""

from __future__ import annotations

import asyncio
import time

import pytest

from sessions.capture.attention import Attention, attention


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_oversleeping_is_time_away() -> None:
    clock = Clock()
    felt = Attention(clock)
    felt.wakes(again_in_s=0.02)
    clock.now += 0.02
    felt.wakes(again_in_s=0.02)
    assert felt.away_s() == 0.0
    clock.now += 0.32
    assert felt.away_s() == pytest.approx(0.3)  # while it still goes on, too
    felt.wakes(again_in_s=0.02)
    clock.now += 0.01
    assert felt.away_s() == pytest.approx(0.3)


async def test_a_busy_loop_is_felt_for_as_long_as_it_is_watched() -> None:
    watched = True
    attention().watch(while_=lambda: watched)
    await asyncio.sleep(0.05)
    before = attention().away_s()
    time.sleep(0.2)  # noqa: ASYNC251 - blocking is what is measured
    assert attention().away_s() - before >= 0.15
    watched = False
    await asyncio.sleep(0.05)
    after = attention().away_s()
    time.sleep(0.1)  # noqa: ASYNC251
    assert attention().away_s() == after
