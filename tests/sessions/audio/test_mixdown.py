"""The mix: in step, as loud as wanted, the same in any windows, silent where silent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sessions.audio.limiter import SIDE, amplitude, true_peaks
from sessions.audio.loudness import LoudnessMeter, integrated
from sessions.audio.mixdown import finished, mix_to_mp3
from sessions.audio.mixture import WINDOW, Fit, Mixture
from sessions.audio.mp3frames import frames_for

SECOND = 48_000


@dataclass
class Spoken:
    """A track that holds one sound at one place."""

    position: int
    sound: NDArray[np.float32]
    asked: int = 0

    def sounds(
        self, start: int, stop: int
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        self.asked += 1
        first, last = max(start, self.position), min(stop, self.position + self.length)
        if first < last:
            yield first, self.sound[first - self.position : last - self.position]

    @property
    def length(self) -> int:
        return len(self.sound)


def voice(seconds: float, level: float, seed: int) -> NDArray[np.float32]:
    """Low noise in syllables: about as peaky as speech."""
    count = int(seconds * SECOND)
    noise = np.random.default_rng(seed).normal(0, 1, count)
    noise = np.convolve(noise, np.hanning(30) / 8, "same")
    syllables = np.abs(np.sin(np.arange(count) / 5_000)) ** 3
    return np.asarray(noise * syllables * level, dtype=np.float32)


class Heard:
    """An encoder that keeps what it is given."""

    def __init__(self, end: int) -> None:
        self.pcm = np.zeros(end, np.int16)
        self.given = 0
        self._behind = 0

    def __call__(self, position: int, pcm: NDArray[np.int16]) -> None:
        assert position >= self._behind
        self._behind = position + len(pcm)
        self.pcm[position : self._behind] = pcm
        self.given += len(pcm)

    def loudness(self) -> float | None:
        meter = LoudnessMeter()
        meter.add(0, self.pcm)
        return integrated(meter.energies())


TALK = [
    Spoken(5_001, voice(1.5, 0.2, 1)),
    Spoken(50_003, voice(0.7, 0.9, 2)),
    Spoken(3 * SECOND + 7, voice(0.8, 0.3, 3)),
]
END = 4 * SECOND


def mixed(
    tracks: list[Spoken], *, end: int = END, window: int = WINDOW
) -> tuple[Fit, Heard]:
    heard = Heard(end)
    with finished(tracks, end=end, window=window) as mix:
        for position, pcm in mix.sounds(0, end):
            heard(position, pcm)
    return mix.fit, heard


def test_the_limited_mix_has_the_loudness_that_is_wanted() -> None:
    result, heard = mixed(TALK)
    assert heard.loudness() == pytest.approx(-16.0, abs=0.15)
    assert result.loudness_lufs == pytest.approx(-16.0, abs=0.05)
    pcm = np.pad(heard.pcm.astype(np.float32) / np.float32(32_768), SIDE)
    assert amplitude(-2.0) < true_peaks(pcm).max() <= amplitude(-1.45)


def test_what_the_encoder_takes_is_made_up_for() -> None:
    given = bytearray()
    result = mix_to_mp3(
        TALK, end=END, write=given.extend, target_lufs=-17, loss_lu=1.0, parts=1
    )
    assert result.loudness_lufs == pytest.approx(-16, abs=0.05)
    assert len(given) == 384 * frames_for(END)


def test_everybody_stands_at_their_sample() -> None:
    ticks = [Spoken(at, np.full(1, 0.02, np.float32)) for at in (0, 77_777, 191_999)]
    _, heard = mixed(ticks)
    assert np.flatnonzero(heard.pcm).tolist() == [0, 77_777, 191_999]


def test_who_speaks_together_is_summed() -> None:
    sound = voice(1, 0.05, 4)
    once, _ = mixed([Spoken(0, sound)])
    twice, _ = mixed([Spoken(0, sound), Spoken(0, sound)])
    assert once.before_lufs is not None
    assert twice.before_lufs == pytest.approx(once.before_lufs + 6.02, abs=0.01)


def test_windows_of_any_length_give_the_same_master() -> None:
    _, whole = mixed(TALK)
    _, parts = mixed(TALK, window=SECOND // 3)
    apart = np.abs(whole.pcm.astype(np.int32) - parts.pcm)
    assert apart.max() <= 4  # each window is stored in 16 bits of its own scale


def test_silence_stays_silence() -> None:
    result, heard = mixed([Spoken(0, np.zeros(SECOND, np.float32))])
    assert not heard.pcm.any()
    assert result == Fit(0.0, None, None)
    assert mixed([])[0] == Fit(0.0, None, None)
    assert mixed(TALK, end=0)[0] == Fit(0.0, None, None)


def test_where_nobody_speaks_nothing_is_encoded() -> None:
    _, heard = mixed([Spoken(SECOND, voice(0.5, 0.1, 5))], end=60 * SECOND)
    assert heard.given < SECOND


def test_noise_alone_is_not_made_loud() -> None:
    hiss = Spoken(0, voice(1, 0.0008, 6))
    result, _ = mixed([hiss])
    assert result.gain_db <= 30


def test_a_part_comes_out_as_in_the_whole(tmp_path: Path) -> None:
    with Mixture(tmp_path) as mixture:
        mixture.add(TALK, END)
        whole = dict(mixture.sounds(gain_db=9, ceiling_dbtp=-1.5))
        first = mixture.sounds(0, 60_000, gain_db=9, ceiling_dbtp=-1.5)
        then = mixture.sounds(60_000, END, gain_db=9, ceiling_dbtp=-1.5)
        joined, expected = np.zeros(END, np.float32), np.zeros(END, np.float32)
        for position, sound in [*first, *then]:
            joined[position : position + len(sound)] = sound
        for position, sound in whole.items():
            expected[position : position + len(sound)] = sound
    assert np.abs(joined - expected).max() < 1e-6
    assert not list(tmp_path.iterdir())


def test_progress_rises_to_one() -> None:
    seen: list[float] = []
    with Mixture(window=SECOND // 2) as mixture:
        mixture.add(TALK, END, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) == 8


def test_windows_added_while_people_speak_are_the_whole() -> None:
    with Mixture() as live, Mixture() as whole:
        for stop in (70_000, 150_000, END):
            live.add(TALK, stop)
        whole.add(TALK, END)
        added, at_once = (
            mixture.fit(-16, ceiling_dbtp=-1.5) for mixture in (live, whole)
        )
    assert added.gain_db == pytest.approx(at_once.gain_db, abs=0.05)


def test_a_track_that_cannot_be_read_says_so() -> None:
    class Torn(Spoken):
        def sounds(
            self, start: int, stop: int
        ) -> Iterator[tuple[int, NDArray[np.float32]]]:
            raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        mixed([*TALK, Torn(0, voice(1, 0.1, 7))])
