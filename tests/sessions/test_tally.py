"""The tally of a track: what is missing of it, and not what nobody said."""

from __future__ import annotations

import numpy as np
import pytest

from sessions import measures
from sessions.audio.frames import SAMPLES_PER_MS, Frame, Placed
from sessions.capture.tally import TELL_EVERY, Tally
from sessions.participants import Losses

RATE = 48_000
PIECE = np.zeros(20 * SAMPLES_PER_MS, np.int16)
SOURCE = "tally"


def at(ms: int, *, missing_ms: int | None = None) -> Placed:
    missing = None if missing_ms is None else missing_ms * SAMPLES_PER_MS
    return Placed(ms * SAMPLES_PER_MS, PIECE, RATE, missing)


@pytest.fixture
def tally() -> Tally:
    return Tally(SOURCE)


def test_a_hole_in_a_stream_without_pauses_is_lost(tally: Tally) -> None:
    for ms in (0, 20, 80, 100, 1100):  # 40 ms are no hole yet
        tally.placed(at(ms))
    assert tally.take_losses() == Losses(gaps=1, gap_ms=980)


def test_a_pause_in_which_nothing_was_sent_is_no_hole(tally: Tally) -> None:
    for ms in (0, 20, 5000, 9000):
        tally.placed(at(ms, missing_ms=0))
    assert tally.take_losses() == Losses()


def test_of_a_pause_with_lost_packets_these_are_lost(tally: Tally) -> None:
    tally.placed(at(0, missing_ms=0))
    tally.placed(at(5000, missing_ms=60))
    tally.placed(at(5040, missing_ms=20))
    assert tally.take_losses() == Losses(gaps=1, gap_ms=60)


def test_what_was_taken_is_not_taken_again_and_what_is_told_not_told(
    tally: Tally,
) -> None:
    before = (_value("gaps_total"), _value("gap_seconds_total"))
    for ms in (0, 120, 240):
        tally.placed(at(ms))
    for _ in range(TELL_EVERY):
        tally.arrived(Frame(PIECE, RATE, 0.0))
    assert tally.take_losses() == Losses(gaps=2, gap_ms=200)
    tally.placed(at(360))
    tally.close()
    assert tally.take_losses() == Losses(gaps=1, gap_ms=100)
    assert tally.take_losses() == Losses()
    assert _value("gaps_total") - before[0] == 3
    assert _value("gap_seconds_total") - before[1] == pytest.approx(0.3)


def _value(name: str) -> float:
    labels = {"source": SOURCE}
    return measures._here.get_sample_value(f"parley_{name}", labels) or 0.0


def test_what_waited_too_long_to_be_taken_in_is_counted(tally: Tally) -> None:
    before = _value("frames_waited_total")
    for waited_s in (0.0, 0.04, 0.041, 3.0):
        tally.came(waited_s)
        tally.arrived(Frame(PIECE, RATE, 0.0))
    tally.close()
    assert _value("frames_waited_total") - before == 2
