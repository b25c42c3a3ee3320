"""Sound that waited is taken in together, and judged as if it had not."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from sessions.audio.frames import Placed
from transcripts.detection import Detection, new_ear
from transcripts.hearing import Hearing
from transcripts.vad import Floats, VadChoice, VadState

PACKET = 960
ZERO = 48_000


class Notes:
    """A detector that hears no speech, and notes what it was asked."""

    def __init__(self) -> None:
        self.windows: list[Floats] = []

    def __call__(self, windows: Floats, states: list[VadState]) -> Floats:
        self.windows += list(windows)
        return np.zeros(len(windows), np.float32)


def tone(samples: int) -> NDArray[np.int16]:
    found = 8000 * np.sin(np.arange(samples) * 0.05)
    return found.astype(np.int16)


def judged(packets: list[Placed], *, at_once: bool) -> NDArray[np.float32]:
    """What the detector is given of them."""
    notes = Notes()
    detection = Detection(lambda: VadChoice(cast("Any", notes)), clock=lambda: 0.0)
    hearing = Hearing(cast("Any", None), new_ear(), wake=lambda: None)
    for packet in packets:
        hearing.hear(packet)
        if not at_once:
            detection.step([hearing], 0.0)
    detection.step([hearing], 0.0)
    return np.concatenate(notes.windows)


def packets(sound: NDArray[np.int16], at: int = ZERO) -> list[Placed]:
    return [
        Placed(at + first, sound[first : first + PACKET], 48_000)
        for first in range(0, len(sound), PACKET)
    ]


@pytest.fixture
def resamplings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much was resampled each time."""
    found: list[int] = []

    class Counted:
        def __init__(self, *how: Any, **more: Any) -> None:
            self._stream = soxr.ResampleStream(*how, **more)

        def resample_chunk(self, pcm: Any, **how: Any) -> Any:
            found.append(len(pcm))
            return self._stream.resample_chunk(pcm, **how)

    monkeypatch.setattr(
        "transcripts.ear.soxr", type("soxr", (), {"ResampleStream": Counted})
    )
    return found


@pytest.mark.parametrize("gap", [0, 3 * PACKET], ids=["on end", "with a hole"])
def test_together_it_sounds_as_packet_by_packet(
    gap: int, resamplings: list[int]
) -> None:
    sound = tone(200 * PACKET)
    early = packets(sound[: 60 * PACKET])
    late = packets(sound[60 * PACKET :], ZERO + 60 * PACKET + gap)
    alone = judged(early + late, at_once=False)
    each = len(resamplings)
    together = judged(early + late, at_once=True)
    assert len(together) == len(alone)
    assert np.abs(together - alone).max() < 1e-3
    assert each >= 200
    assert len(resamplings) - each <= 8
