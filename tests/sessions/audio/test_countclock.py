"""The CountClock: our own frames stand where their number says."""

from __future__ import annotations

import numpy as np

from sessions.audio.countclock import CountClock
from sessions.audio.frames import Frame


def test_frames_stand_where_their_count_says_however_late_they_went_out() -> None:
    clock = CountClock()
    pcm = np.ones(160, np.int16)
    lates_s = (0.0, 0.035, 0.001, 0.0)
    placed = [
        clock.place(Frame(pcm, 8_000, 2.0 + number * 0.02 + late_s))[0]
        for number, late_s in enumerate(lates_s)
    ]
    assert [one.position for one in placed] == [96_000 + n * 960 for n in range(4)]
    (after,) = clock.place(Frame(pcm, 8_000, 3.0, skipped=800))
    assert after.position == placed[-1].end + 4_800
    assert clock.origin == 96_000
    assert clock.received == 5 * 960 + 4_800
    assert clock.tick(9.0) == clock.flush() == []
