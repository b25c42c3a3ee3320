"""Voice detection: all tracks in one call hear what each would alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from speech import voices

from transcripts import vad
from transcripts.vad import STILL, WINDOW, EnergyVad, Floats, SileroVad, VadState


@pytest.fixture(scope="module")
def silero() -> SileroVad:
    return SileroVad(vad.model_path())


def windows_of(pcm: np.ndarray) -> Floats:
    count = len(pcm) // WINDOW
    cut = pcm[: count * WINDOW].reshape(count, WINDOW)
    return cut.astype(np.float32) / np.float32(32768)


def tracks(count: int) -> list[Floats]:
    phrases = voices.unseen_phrases(count, seed=2)
    pause = voices.silence(0.6)
    return [
        windows_of(np.concatenate([pause[: 999 * n], voices.speak(text), pause]))
        for n, text in enumerate(phrases)
    ]


def alone(detector: SileroVad, track: Floats) -> list[float]:
    state = VadState()
    return [float(detector(window[None], [state])[0]) for window in track]


def test_a_batch_hears_exactly_what_each_track_hears_alone(silero: SileroVad) -> None:
    said = tracks(9)
    states = [VadState() for _ in said]
    together: list[list[float]] = [[] for _ in said]
    for at in range(max(map(len, said))):
        due = [n for n, track in enumerate(said) if at < len(track)]
        batch = np.stack([said[n][at] for n in due])
        for n, chance in zip(due, silero(batch, [states[n] for n in due]), strict=True):
            together[n].append(float(chance))
    assert together == [alone(silero, track) for track in said]
    assert all(max(chances) > 0.9 for chances in together)


def test_more_tracks_than_one_call_takes_are_heard_too(silero: SileroVad) -> None:
    window = tracks(1)[0][20]
    many = silero(np.stack([window] * 150), [VadState() for _ in range(150)])
    assert len(set(many.tolist())) == 1
    assert silero(np.zeros((0, WINDOW), np.float32), []).tolist() == []


def test_a_muted_track_costs_no_call_and_is_heard_as_before_when_it_speaks(
    silero: SileroVad, monkeypatch: pytest.MonkeyPatch
) -> None:
    muted = np.zeros((5 * STILL, WINDOW), np.float32)
    (said,) = tracks(1)
    track = np.concatenate([said, muted, said])
    asked = Asked(silero)
    monkeypatch.setattr(silero, "_run", asked)
    rested = np.array(alone(silero, track))
    assert track.any(axis=1).sum() <= asked.windows <= len(track) - 4 * STILL
    monkeypatch.setattr(vad, "STILL", len(track))
    restless = np.array(alone(silero, track))
    assert ((rested > 0.5) != (restless > 0.5)).sum() <= 2  # of a beginning
    assert rested[-len(said) :].max() > 0.9


class Asked:
    """Counts the windows that reach the model."""

    def __init__(self, silero: SileroVad) -> None:
        self._run = silero._run
        self.windows = 0

    def __call__(self, outputs: None, feed: dict[str, Any]) -> Any:
        self.windows += len(feed["input"])
        return self._run(outputs, feed)


def test_silence_and_hum_are_no_speech(silero: SileroVad) -> None:
    t = np.arange(32_000) / 16_000
    hum = (3000 * np.sin(2 * np.pi * 50 * t)).astype(np.int16)
    for sound in (voices.silence(2.0), hum):
        assert max(alone(silero, windows_of(sound))) < 0.5


@pytest.mark.parametrize("content", [None, b"", b"not a model"])
def test_a_model_that_cannot_be_loaded_gives_way_to_loudness(
    tmp_path: Path, content: bytes | None
) -> None:
    broken = tmp_path / "broken.onnx"
    if content is not None:
        broken.write_bytes(content)
    chosen = vad.choose(broken)
    assert chosen.degraded
    assert "loudness" in chosen.message
    assert isinstance(chosen.vad, EnergyVad)
    assert not vad.choose().degraded


def test_loudness_finds_a_voice_above_the_rooms_noise() -> None:
    noise = np.random.default_rng(1).normal(0, 60, 32_000)
    voice = voices.speak("please open the project").astype(float)
    pcm = np.concatenate([noise, voice + noise[: len(voice)], noise]).astype(np.int16)
    state, detector = VadState(), EnergyVad()
    chances = [float(detector(window[None], [state])[0]) for window in windows_of(pcm)]
    first, last = 32_000 // WINDOW, (32_000 + len(voice)) // WINDOW
    assert max(chances[5 : first - 1]) < 0.5
    assert np.mean(np.array(chances[first:last]) > 0.5) > 0.5
    assert max(chances[last + 3 :]) < 0.5
