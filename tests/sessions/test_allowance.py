"""How much may be sent: a bucket that fills with time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sessions.allowance import Allowance

steps = st.lists(
    st.tuples(
        st.floats(0, 50, allow_nan=False),  # seconds that pass
        st.floats(0, 300, allow_nan=False),  # amount asked for
    ),
    max_size=20,
)


@given(steps, st.floats(0.1, 100), st.floats(1, 200))
def test_nobody_gets_more_than_the_burst_and_what_time_earned(
    script: list[tuple[float, float]], per_second: float, burst: float
) -> None:
    allowance = Allowance(per_second, burst)
    now = begin = 1000.0
    granted = 0.0
    for passed, amount in script:
        now += passed
        if allowance.take(amount, now=now):
            granted += amount
        assert granted <= burst + per_second * (now - begin) + 1e-6 * (granted + 1)


@given(st.lists(st.floats(0.001, 1.0), max_size=50))
def test_sound_in_real_time_is_never_a_flood(pauses: list[float]) -> None:
    allowance = Allowance(1.05, 1.0)
    now = 5.0
    for pause in pauses:
        now += pause
        assert allowance.take(pause, now=now)


def test_a_refusal_costs_nothing() -> None:
    allowance = Allowance(1.0, 10.0)
    assert not allowance.take(11.0, now=0.0)
    assert allowance.take(10.0, now=0.0)
    assert not allowance.take(0.1, now=0.0)
    assert allowance.take(5.0, now=5.0)


def test_it_never_holds_more_than_the_burst() -> None:
    allowance = Allowance(1.0, 10.0)
    assert allowance.take(1.0, now=0.0)
    assert not allowance.take(10.1, now=1_000_000.0)


def test_it_may_begin_with_less() -> None:
    allowance = Allowance(1.0, 10.0, left=2.0)
    assert not allowance.take(3.0, now=7.0)
    assert allowance.take(2.0, now=7.0)
    assert allowance.take(10.0, now=100.0)


def test_a_clock_that_steps_back_takes_nothing_away() -> None:
    allowance = Allowance(1.0, 10.0)
    assert allowance.take(5.0, now=100.0)
    assert allowance.take(5.0, now=50.0)
    assert not allowance.take(1.0, now=50.0)
