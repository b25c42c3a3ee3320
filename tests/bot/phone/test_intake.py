"""How fast a line is read."""

from __future__ import annotations

import pytest

from bot.phone.intake import (
    AHEAD_S,
    BURST_S,
    KEY,
    OTHERS_BURST,
    OTHERS_PER_S,
    PACE,
    Intake,
)

FRAME_S = 0.02


def read_for(seconds: float, *, speed: float, late_s: float = 0.0) -> float:
    """Seconds of sound read from one who sends so much faster than time."""
    intake, now, sent_s, heard_s, paused_until = Intake(now=0.0), 0.0, 0.0, 0.0, 0.0
    while now < seconds:
        now += FRAME_S
        sent_s += FRAME_S * speed
        while now >= paused_until and heard_s + FRAME_S <= sent_s:
            heard_s += FRAME_S
            paused_until = now + intake.heard(FRAME_S, now=now, late_s=late_s)
    return heard_s


def test_who_speaks_in_time_is_never_paused() -> None:
    for late_s in (0.0, 0.5):
        assert read_for(60, speed=1.0, late_s=late_s) > 59.9


def test_what_a_broken_network_held_back_comes_through() -> None:
    intake = Intake(now=0.0)
    waits = [intake.heard(FRAME_S, now=30.0, late_s=0.0) for _ in range(100)]
    assert not any(waits[: int(BURST_S / FRAME_S) - 1])
    assert intake.is_behind(30.0)


def test_a_flood_is_read_a_quarter_faster_than_time() -> None:
    heard_s = read_for(60, speed=1000.0)
    assert 60 * 1.1 < heard_s < BURST_S + 60 * PACE + 1


def test_a_flood_is_read_no_faster_than_time_while_we_lag() -> None:
    assert read_for(60, speed=1000.0, late_s=0.3) <= 60 + AHEAD_S + FRAME_S


def test_of_a_line_that_is_gone_what_is_of_its_time_is_wanted() -> None:
    """One whose beginning waited in the kernel has sent more than it was read."""
    intake = Intake(now=100.0)
    for _ in range(int(12 / FRAME_S)):
        intake.heard(FRAME_S, now=104.0, late_s=0.0)
    assert intake.has_more_to_say(104.0)
    for _ in range(int(3 / FRAME_S)):
        intake.heard(FRAME_S, now=104.0, late_s=0.0)
    assert not intake.has_more_to_say(104.0)


def test_a_number_dialled_in_a_second_is_read_at_once() -> None:
    intake = Intake(now=0.0)
    assert not any(intake.other(KEY, now=30.0 + n / 20) for n in range(40))


def test_a_flood_of_keys_is_read_as_fast_as_a_hand() -> None:
    intake, now, keys = Intake(now=0.0), 0.0, 0
    while now < 60:
        pause_s = intake.other(KEY, now=now)
        keys += 1
        now += max(pause_s, 0.001)
    assert keys <= OTHERS_BURST / KEY + 60 * OTHERS_PER_S / KEY + 1


def test_what_came_at_once_is_paid_for_before_the_next() -> None:
    intake = Intake(now=0.0)
    pauses = [intake.other(KEY, now=1.0) for _ in range(1_024)]
    assert pauses[-1] == pytest.approx((1_024 * KEY - OTHERS_BURST) / OTHERS_PER_S)
