"""The ear: what is cut out stands where it was said, whatever the track did."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sessions.audio.frames import Placed
from transcripts.ear import Cut, Ear
from transcripts.speech import Endpointing


def tone(seconds: float, rate: int = 16_000, level: float = 0.5) -> NDArray[np.int16]:
    t = np.arange(round(seconds * rate)) / rate
    return (level * 32767 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)


def silence(seconds: float, rate: int = 16_000) -> NDArray[np.int16]:
    return np.zeros(round(seconds * rate), np.int16)


def hear(ear: Ear) -> list[Cut]:
    """Let the ear judge by loudness: what is in a window decides."""
    cuts: list[Cut | None] = []
    while True:
        if (window := ear.window()) is not None:
            cuts.append(ear.judge(0.9 if np.abs(window).max() > 0.1 else 0.0))
        elif ear.jumping:
            cuts.append(ear.settle())
        else:
            return [cut for cut in cuts if cut]


def make_ear() -> Ear:
    return Ear(Endpointing(silence_ms=800), preroll_ms=400)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
def test_it_finds_speech_at_its_place_at_every_rate(rate: int) -> None:
    ear = make_ear()
    sound = np.concatenate([silence(1, rate), tone(1.5, rate), silence(1.5, rate)])
    step = rate // 50
    for i in range(0, len(sound), step):
        position = 480_000 + i * (48_000 // rate)
        ear.add(Placed(position, sound[i : i + step], rate))
    (cut,) = hear(ear)
    assert abs(cut.start - (480_000 + 48_000)) <= 33 * 48
    assert abs(cut.end - (480_000 + 48_000 * 2.5)) <= 65 * 48
    assert cut.audio_start == pytest.approx(cut.start - 400 * 48, abs=1)
    loud = np.flatnonzero(np.abs(cut.audio) > 1000)
    onset = cut.audio_start + loud[0] * 3
    assert abs(onset - (480_000 + 48_000)) <= 1 * 48


def test_a_long_gap_ends_the_utterance_and_the_next_stands_behind_it() -> None:
    ear = make_ear()
    ear.add(Placed(0, tone(1.0), 16_000))
    ear.add(Placed(48_000 * 61, tone(1.0), 16_000))
    ear.end()
    first, second = hear(ear)
    assert (first.start, first.end // 4800) == (0, 10)
    assert second.start == 48_000 * 61
    assert ear.closed


def test_where_nobody_speaks_a_long_gap_costs_no_windows() -> None:
    ear = make_ear()
    ear.add(Placed(0, np.concatenate([tone(1.0), silence(1.0)]), 16_000))
    assert len(hear(ear)) == 1
    ear.add(Placed(48_000 * 61, tone(1.0), 16_000))
    assert ear.window() is None
    assert ear.jumping
    ear.end()
    (cut,) = hear(ear)
    assert abs(cut.start - 48_000 * 61) <= 33 * 48


def test_a_short_gap_is_silence_inside_the_utterance() -> None:
    ear = make_ear()
    ear.add(Placed(0, tone(1.0), 16_000))
    ear.add(Placed(48_000 + 24_000, tone(1.0), 16_000))
    ear.end()
    (cut,) = hear(ear)
    loud = np.abs(cut.audio) > 1000
    assert not loud[16_100:23_900].any()
    assert loud[24_010:24_100].any()


def test_ending_flushes_what_is_open() -> None:
    ear = make_ear()
    ear.add(Placed(0, tone(0.7), 16_000))
    ear.end()
    (cut,) = hear(ear)
    assert len(cut.audio) >= 0.7 * 16_000


def test_quiet_speech_is_lifted_for_detection_but_not_in_the_audio() -> None:
    ear = make_ear()
    ear.add(Placed(0, silence(6.0), 16_000))
    ear.add(Placed(48_000 * 6, tone(1.0, level=0.03), 16_000))
    assert hear(ear) == []
    so_far = ear.so_far()
    assert so_far is not None
    assert np.abs(so_far.audio).max() < 0.04 * 32767


def test_utterances_never_share_a_sample() -> None:
    ear = make_ear()
    sound = np.concatenate([tone(1.0), silence(0.9), tone(1.0), silence(1.5)])
    ear.add(Placed(0, sound, 16_000))
    first, second = hear(ear)
    assert first.audio_start + 3 * len(first.audio) <= second.audio_start
