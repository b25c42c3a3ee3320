"""The TrackClock against streams whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from sessions.audio.clock import TrackClock
from sessions.audio.frames import TIMELINE_RATE, Frame, Placed

RATE = 16_000
FRAME_S = 0.02
PROMISE_MS = 40.0


@dataclass
class Sender:
    """A microphone whose truth is known: sample k's value names its moment.

    Two seconds of tone, one of quiet, and so on. `ppm` is how much faster than time its
    sound card runs.
    """

    seconds: float
    ppm: float = 0.0
    jitter_ms: float = 0.0
    delay_ms: float = 5.0
    stalls: dict[float, float] = field(default_factory=dict)  # at -> for, seconds
    holes: dict[float, float] = field(default_factory=dict)  # at -> for, seconds
    loud: bool = False
    seed: int = 1

    def frames(self) -> list[tuple[Frame, NDArray[np.float64]]]:
        """Frames in the order they arrive, each with its samples' true moments."""
        rng = np.random.default_rng(self.seed)
        n = int(FRAME_S * RATE)
        step = 1 / RATE / (1 + self.ppm / 1e6)
        made: list[tuple[Frame, NDArray[np.float64]]] = []
        moment, free_at = 1.0, 0.0
        holes = dict(self.holes)
        while moment < 1.0 + self.seconds:
            for at in [at for at in holes if at <= moment]:
                moment += holes.pop(at)
            truth: NDArray[np.float64] = moment + np.arange(n, dtype=np.float64) * step
            moment += n * step
            sent = self._after_stalls(moment)
            delay = (self.delay_ms + rng.uniform(0, self.jitter_ms)) / 1000
            free_at = max(free_at, sent + delay)  # TCP keeps the order
            made.append((Frame(self._sound(truth), RATE, free_at), truth))
        return made

    def _after_stalls(self, moment: float) -> float:
        for at, length in self.stalls.items():
            if at <= moment < at + length:
                return at + length
        return moment

    def _sound(self, truth: NDArray[np.float64]) -> NDArray[np.int16]:
        speaking = (truth % 3.0) < 2.0
        tone = 8000 * np.sin(2 * np.pi * 220 * truth)
        return np.where(speaking | self.loud, tone, 3.0).astype(np.int16)


def worst_error_ms(sender: Sender) -> float:
    """The largest distance of any placed speech from its truth, in ms."""
    clock = TrackClock()
    moments: list[NDArray[np.float64]] = []
    placed: list[Placed] = []
    worst = 0.0
    for frame, truth in sender.frames():
        moments.append(truth)
        placed = clock.place(frame)
        worst = max(worst, _errors(placed, moments, sender))
    worst = max(worst, _errors(clock.flush(), moments, sender))
    assert not moments, "sound was swallowed"
    return worst


def _errors(
    placed: list[Placed],
    moments: list[NDArray[np.float64]],
    sender: Sender,
) -> float:
    worst = 0.0
    for piece in placed:
        truth = moments.pop(0)
        truth = truth[len(truth) - len(piece.pcm) :]
        at = (piece.position + np.arange(len(truth)) * 3) / TIMELINE_RATE
        if np.abs(piece.pcm).max(initial=0) > 100:  # speech
            worst = max(worst, float(np.abs(at - truth).max()) * 1000)
    return worst


def test_it_counts_samples_exactly_when_nothing_goes_wrong() -> None:
    clock = TrackClock()
    placed = [p for f, _ in Sender(30.0).frames() for p in clock.place(f)]
    ends = [p.end for p in placed[:-1]]
    assert [p.position for p in placed[1:]] == ends


@pytest.mark.parametrize("ppm", [-1000.0, 1000.0])
def test_drift_never_moves_speech_beyond_the_promise(ppm: float) -> None:
    assert worst_error_ms(Sender(60.0, ppm=ppm, jitter_ms=10)) < PROMISE_MS


def test_drift_is_taken_out_of_a_voice_that_never_pauses() -> None:
    assert worst_error_ms(Sender(60.0, ppm=1000, loud=True)) < PROMISE_MS
    assert worst_error_ms(Sender(60.0, ppm=-1000, loud=True)) < PROMISE_MS


@pytest.mark.parametrize("stall_s", [0.2, 1.0, 15.0, 29.0])
def test_a_stall_and_its_burst_keep_their_place(stall_s: float) -> None:
    sender = Sender(72.0, stalls={5.0: stall_s, 40.0: stall_s}, jitter_ms=10)
    assert worst_error_ms(sender) < PROMISE_MS


def test_jitter_does_not_move_anything() -> None:
    assert worst_error_ms(Sender(40.0, jitter_ms=60)) < PROMISE_MS


@pytest.mark.parametrize("hole_s", [0.1, 0.5, 3.0, 60.0])
def test_what_was_never_sent_becomes_a_gap(hole_s: float) -> None:
    sender = Sender(30.0, holes={5.3: hole_s, 20.3: hole_s}, jitter_ms=5)
    assert worst_error_ms(sender) < PROMISE_MS


def test_holes_stalls_drift_and_jitter_together_stay_within_the_promise() -> None:
    sender = Sender(
        200.0,
        ppm=300,
        jitter_ms=20,
        stalls={20.0: 2.0, 90.0: 8.0, 150.0: 1.0},
        holes={50.3: 4.0, 120.2: 0.4, 170.0: 30.0},
    )
    assert worst_error_ms(sender) < PROMISE_MS


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


def test_a_late_first_frame_does_not_displace_the_stream() -> None:
    clock = TrackClock()
    pcm = np.full(320, 5000, np.int16)
    placed: list[Placed] = []
    for k in range(200):
        arrival = max(1.02 + k * 0.02, 1.35)  # the loop was busy for the first 330 ms
        placed += clock.place(Frame(pcm, RATE, arrival))
    assert abs(placed[0].position - 48_000) <= 0.002 * TIMELINE_RATE
    assert [p.position for p in placed[1:]] == [p.end for p in placed[:-1]]
