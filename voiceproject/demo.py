"""The demo's conversation: recorded phrases, laid out as what each microphone hears."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 16_000
LEAD_S = 1.0
TURN_S = 0.9
"""Between two people. A person's own phrases need more than VAD_SILENCE_MS to be two
lines."""
BREATH_S = 1.3

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Clip:
    """One phrase somebody says: mono samples at 16 kHz."""

    speaker: str
    samples: Samples


def read_conversation(folder: Path) -> list[Clip]:
    """The clips of `clips.json`, in the order they are said."""
    index = json.loads((folder / "clips.json").read_text(encoding="utf-8"))
    return [Clip(entry["speaker"], _decoded(folder / entry["file"])) for entry in index]


def microphones(clips: list[Clip], *, times: int = 1) -> dict[str, Samples]:
    """What each speaker's microphone hears while all of it is said `times` times.

    Equally long for everybody: a microphone hears silence while others talk.
    """
    starts, end = _starts(clips * times)
    heard = {clip.speaker: np.zeros(end, np.int16) for clip in clips}
    for clip, start in zip(clips * times, starts, strict=True):
        heard[clip.speaker][start : start + len(clip.samples)] = clip.samples
    return heard


def _starts(clips: list[Clip]) -> tuple[list[int], int]:
    """Where each clip begins, and where all is over, in samples."""
    at, before, starts = int(LEAD_S * RATE), "", []
    for clip in clips:
        at += int((BREATH_S if clip.speaker == before else TURN_S) * RATE)
        starts.append(at)
        at += len(clip.samples)
        before = clip.speaker
    return starts, at + int(LEAD_S * RATE)


def _decoded(path: Path) -> Samples:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(path)) as file:
        frames = [f for raw in file.decode(audio=0) for f in resampler.resample(raw)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])
