"""The TrackClock frame by frame."""

from __future__ import annotations

import numpy as np
import pytest

from sessions.audio.clock import TrackClock
from sessions.audio.frames import TIMELINE_RATE, Frame, Placed

RATE = 16_000


@pytest.mark.parametrize("frames", [2, 10])
def test_a_burst_that_is_cut_off_keeps_its_place(frames: int) -> None:
    """5 s of nothing, and before all that was waiting has come, the end."""
    clock = TrackClock()
    pcm = np.full(640, 5000, np.int16)
    late = [10.0 + k * 0.001 for k in range(frames)]
    for arrival in [1.04 + k * 0.04 for k in range(100)] + late:
        placed = clock.place(Frame(pcm, RATE, arrival))
    placed += clock.flush()
    assert placed[-1].end == 48_000 + (100 + frames) * 1920


def test_a_file_sent_at_once_keeps_every_sample() -> None:
    clock = TrackClock()
    pcm = (8000 * np.sin(np.arange(320))).astype(np.int16)
    placed = [
        p for k in range(1500) for p in clock.place(Frame(pcm, RATE, 1 + k * 0.0005))
    ]
    placed += clock.flush()
    assert sum(len(p.pcm) for p in placed) == 1500 * 320
    assert placed[-1].end - placed[0].position == 1500 * 320 * 3


def test_a_delay_that_grows_is_not_mistaken_for_a_hole() -> None:
    clock = TrackClock()
    pcm = np.full(320, 5000, np.int16)
    placed: list[Placed] = []
    for k in range(500):
        slow = min(max(k - 100, 0) * 0.002, 0.3)  # 300 ms more, little by little
        placed += clock.place(Frame(pcm, RATE, 1.02 + k * 0.02 + slow))
    placed += clock.flush()
    first = placed[0].position
    worst = max(abs(p.position - first - k * 960) for k, p in enumerate(placed))
    assert worst <= 0.040 * TIMELINE_RATE


@pytest.mark.parametrize("listened", [True, False])
def test_a_silence_nobody_listened_to_is_no_hole(listened: bool) -> None:
    """For 300 ms nothing is heard, and all that follows comes 300 ms later."""
    clock = TrackClock()
    pcm = np.full(320, 5000, np.int16)
    placed: list[Placed] = []
    for k in range(200):
        late_s, away_s = (0.3 if k >= 100 else 0.0), (0.28 if k == 100 else 0.0)
        unheard_s = 0.0 if listened else away_s
        placed += clock.place(Frame(pcm, RATE, 1 + k * 0.02 + late_s, 0, unheard_s))
    placed += clock.flush()
    moved = placed[-1].end - placed[0].position - 200 * 960
    assert moved == (0.3 * TIMELINE_RATE if listened else 0)


def test_what_jitter_and_a_stall_delay_together_is_no_hole() -> None:
    """A few frames are late by a little, and then nobody listens for half a second."""
    clock = TrackClock()
    pcm = np.full(320, 5000, np.int16)
    placed: list[Placed] = []
    for k in range(300):
        late_s = 0.045 if 100 <= k < 128 else 0.0
        arrival_s = 1 + k * 0.02 + late_s
        stalled = 105 <= k <= 130
        if stalled:
            arrival_s = 1 + 131 * 0.02 + 0.042
        away_s = 0.5 if k == 105 else 0.0
        placed += clock.place(Frame(pcm, RATE, arrival_s, 0, away_s))
    placed += clock.flush()
    assert placed[-1].end - placed[0].position == 300 * 960


def test_a_stream_that_begins_while_nobody_listens_begins_where_it_did() -> None:
    """Its first 2 s are read five times a second, behind by 0.8 s and less and less;
    not a sample is dropped to bring it into step."""
    clock = TrackClock()
    pcm = np.full(320, 5000, np.int16)
    placed: list[Placed] = []
    for k in range(300):
        read_s = 1 + (k + 1) * 0.02
        if k < 100:
            piece_s = 1 + (k // 10 + 1) * 0.2
            read_s = piece_s + 0.8 * (3 - piece_s) / 2
        unheard_s = 0.12 if k < 100 and k % 10 == 0 else 0.0
        placed += clock.place(Frame(pcm, RATE, read_s, 0, unheard_s))
    placed += clock.flush()
    assert placed[0].position == pytest.approx(1.0 * TIMELINE_RATE, abs=2)
    assert sum(len(one.pcm) for one in placed) == 300 * 320


def test_it_goes_on_at_its_place_over_a_new_connection() -> None:
    clock = TrackClock(origin=48_000, received=480_000)
    backlog = [
        Frame(np.ones(320, np.int16), RATE, 26.0 + k * 0.001) for k in range(750)
    ]
    placed = [p for frame in backlog for p in clock.place(frame)] + clock.flush()
    assert placed[0].position == 48_000 + 480_000
    assert placed[-1].end == 48_000 + 480_000 + 750 * 960


def test_what_the_sender_says_it_skipped_is_a_gap() -> None:
    clock = TrackClock()
    pcm = np.ones(320, np.int16)
    clock.place(Frame(pcm, RATE, 1.02))
    first, second = clock.place(Frame(pcm, RATE, 3.04, skipped=32_000))
    assert second.position - first.end == 96_000


def test_held_sound_is_placed_when_nothing_follows() -> None:
    clock = TrackClock()
    pcm = np.ones(320, np.int16)
    clock.place(Frame(pcm, RATE, 1.02))
    assert clock.tick(1.4) == []
    assert len(clock.tick(1.6)) == 1
    assert clock.place(Frame(pcm, RATE, 9.02)) == []
    assert clock.tick(9.3) == []
    (placed,) = clock.tick(9.6)
    assert abs(placed.position / TIMELINE_RATE - 9.0) < 0.04


def test_pieces_of_unlike_lengths_behind_a_hole_are_no_burst() -> None:
    """What waited is taken together, and the last piece may be a short one."""
    clock, placed = TrackClock(), list[Placed]()
    lengths_s = [0.22] * 5 + [0.22, 0.22, 0.22, 0.04]
    at_s = 1.0
    for number, length_s in enumerate(lengths_s):
        at_s += length_s + (1.0 if number == 5 else 0.0)
        pcm = np.full(round(length_s * RATE), 5000, np.int16)
        placed += clock.place(Frame(pcm, RATE, at_s))
    placed += clock.flush()
    gap = placed[5].position - placed[4].end
    assert abs(gap / TIMELINE_RATE - 1.0) < 0.04


def test_a_late_first_frame_does_not_displace_the_stream() -> None:
    clock = TrackClock()
    pcm = np.full(320, 5000, np.int16)
    placed: list[Placed] = []
    for k in range(200):
        arrival = max(1.02 + k * 0.02, 1.35)  # the loop was busy for the first 330 ms
        placed += clock.place(Frame(pcm, RATE, arrival))
    assert abs(placed[0].position - 48_000) <= 0.002 * TIMELINE_RATE
    assert [p.position for p in placed[1:]] == [p.end for p in placed[:-1]]


def spoken(k: int) -> np.ndarray:
    """20 ms: a second of speech, a second of a pause, and so on."""
    noise = np.random.default_rng(k)
    loudness = 6000 if k % 100 < 50 else 20
    return noise.integers(-loudness, loudness, 320).astype(np.int16)


def test_a_delay_that_was_called_a_hole_is_taken_back_in_the_next_pause() -> None:
    """For 1.6 s a network brings ten frames at once, each 200 ms late, and is then as
    it was before: sound stands where it was said soon, and nothing said is missing."""
    clock = TrackClock()
    placed: list[Placed] = []
    for k in range(1000):
        at_s = 1 + k * 0.02
        if 200 <= k < 280:
            at_s = 1 + (k // 10 * 10 + 10) * 0.02 + 0.2
        placed += clock.place(Frame(spoken(k), RATE, at_s + 0.02))
    placed += clock.flush()
    begin = placed[0].position
    assert abs(placed[-1].end - begin - 1000 * 960) <= 0.01 * TIMELINE_RATE
    heard = {p.pcm[-160:].tobytes(): p.end for p in placed}
    away = [
        heard[spoken(k)[-160:].tobytes()] - begin - (k + 1) * 960 for k in range(1000)
    ]
    astray = np.flatnonzero(np.abs(away) > 0.01 * TIMELINE_RATE)
    assert astray.max() < 280 + 150, "within three seconds"
    whole = {p.pcm.tobytes() for p in placed}
    lost = [k for k in range(1000) if k % 100 < 50 and spoken(k).tobytes() not in whole]
    assert not lost


def test_a_hole_that_was_one_is_not_taken_back() -> None:
    clock = TrackClock()
    placed: list[Placed] = []
    for k in [*range(200), *range(250, 1000)]:
        placed += clock.place(Frame(spoken(k), RATE, 1 + (k + 1) * 0.02))
    placed += clock.flush()
    assert placed[-1].end - placed[0].position == 1000 * 960
    assert sum(len(p.pcm) for p in placed) == 950 * 320


def test_what_came_together_is_moved_no_further_at_once() -> None:
    """What waited is placed in pieces of 200 ms: a pause loses 10 ms of each."""
    clock = TrackClock()
    placed: list[Placed] = []
    together = [spoken(100 * k + 50) for k in range(10)]  # all of it a pause
    late = [*[0.0] * 20, 0.3, *[0.3] * 5, *[0.0] * 60]
    for k, late_s in enumerate(late):
        pcm = np.concatenate(together)
        placed += clock.place(Frame(pcm, RATE, 1 + (k + 1) * 0.2 + late_s))
    placed += clock.flush()
    left_out = [3200 - len(p.pcm) for p in placed]
    assert max(left_out) == 160
    assert sum(left_out) >= 3200
