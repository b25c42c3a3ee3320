"""How long a process did not listen is known to it, and to nobody else."""

from __future__ import annotations

import asyncio
import time

import pytest

from sessions.capture.attention import ON_TIME, SPANS, WAKE_S, Attention, attention


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def felt(clock: Clock) -> Attention:
    """Watched for a second, and never away."""
    made = Attention(clock)
    wakes(made, clock, after_s=[WAKE_S] * 50)
    return made


def wakes(felt: Attention, clock: Clock, *, after_s: list[float]) -> None:
    for seconds in after_s:
        felt.wakes(again_in_s=WAKE_S)
        clock.now += seconds
    felt.wakes(again_in_s=WAKE_S)


def test_oversleeping_is_time_away(felt: Attention, clock: Clock) -> None:
    began = clock.now
    assert felt.away_s(began - 1) == 0.0
    clock.now += WAKE_S + 0.3
    assert felt.away_s(began) == pytest.approx(0.3)  # while it still goes on, too
    wakes(felt, clock, after_s=[WAKE_S])
    assert felt.away_s(began) == pytest.approx(0.3)
    assert felt.away_s(clock.now) == 0.0
    assert felt.away_s(began + WAKE_S + 0.1) == pytest.approx(0.2)


def test_what_one_absence_left_is_read_before_the_next(
    felt: Attention, clock: Clock
) -> None:
    """A hold is not shorter because the loop was busy in the middle of it."""
    began = clock.now
    wakes(felt, clock, after_s=[0.3, *[WAKE_S] * ON_TIME, 0.2])
    assert felt.away_s(began) == pytest.approx(0.2 - WAKE_S)


def test_absences_without_a_rest_between_them_are_one(
    felt: Attention, clock: Clock
) -> None:
    began = clock.now
    wakes(felt, clock, after_s=[0.3, WAKE_S, 0.2])
    assert felt.away_s(began) == pytest.approx(0.5 - 2 * WAKE_S)


def test_a_loop_that_is_always_a_little_late_listens(
    felt: Attention, clock: Clock
) -> None:
    began = clock.now
    wakes(felt, clock, after_s=[WAKE_S + 0.005] * 500)
    assert felt.away_s(began) < 0.02


def test_a_loop_that_is_never_on_time_is_away(felt: Attention, clock: Clock) -> None:
    began = clock.now
    wakes(felt, clock, after_s=[WAKE_S + 0.03] * 5000)
    assert 7.0 < felt.away_s(began) <= 0.03 * SPANS + 0.001


async def test_a_busy_loop_is_felt_for_as_long_as_it_is_watched() -> None:
    watched = True
    attention().watch(while_=lambda: watched)
    await asyncio.sleep(0.05)
    began = time.monotonic()
    time.sleep(0.2)  # noqa: ASYNC251 - blocking is what is measured
    assert attention().away_s(began) >= 0.15
    watched = False
    await asyncio.sleep(0.05)
    began = time.monotonic()
    time.sleep(0.1)  # noqa: ASYNC251
    assert attention().away_s(began) == 0.0
