"""The TrackClock over minutes of streams whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from sessions.audio.clock import TrackClock
from sessions.audio.frames import TIMELINE_RATE, Frame, Placed

RATE = 16_000
FRAME_S = 0.04
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
        if not self.loud and truth[0] % 3.0 >= 2.0:
            return np.full(len(truth), 3, np.int16)
        return (8000 * np.sin(2 * np.pi * 220 * truth)).astype(np.int16)


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
    again = 10.0 + stall_s
    stalls = {5.0: stall_s, again: stall_s}
    sender = Sender(again + stall_s + 5.0, stalls=stalls, jitter_ms=10)
    assert worst_error_ms(sender) < PROMISE_MS


def test_jitter_does_not_move_anything() -> None:
    assert worst_error_ms(Sender(40.0, jitter_ms=60)) < PROMISE_MS


@pytest.mark.parametrize("hole_s", [0.1, 0.5, 3.0, 60.0])
def test_what_was_never_sent_becomes_a_gap(hole_s: float) -> None:
    sender = Sender(30.0, holes={5.3: hole_s, 20.3: hole_s}, jitter_ms=5)
    assert worst_error_ms(sender) < PROMISE_MS


def test_holes_stalls_drift_and_jitter_together_stay_within_the_promise() -> None:
    sender = Sender(
        100.0,
        ppm=300,
        jitter_ms=20,
        stalls={10.0: 2.0, 45.0: 8.0, 60.0: 1.0},
        holes={25.3: 4.0, 53.2: 0.4, 65.0: 20.0},
    )
    assert worst_error_ms(sender) < PROMISE_MS


@pytest.mark.parametrize("frames", [1, 2, 10])
def test_what_follows_a_hole_and_is_cut_off_stands_behind_it(frames: int) -> None:
    sender = Sender(40.0 + (frames - 0.5) * FRAME_S, holes={11.0: 30.0}, loud=True)
    assert worst_error_ms(sender) < PROMISE_MS
