"""The original comes back bit for bit, with silence where nothing arrived."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from decoding import decode

from sessions.audio.frames import Placed
from sessions.audio.original import write_flac


def test_every_bit_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pieces = [rng.integers(-32768, 32767, 320).astype(np.int16) for _ in range(60)]
    track = [Placed(7_000 + n * 960, pcm, 16_000) for n, pcm in enumerate(pieces[:40])]
    track += [
        Placed(7_000 + (n + 25) * 960, pcm, 16_000)
        for n, pcm in enumerate(pieces[40:], start=40)
    ]
    path = tmp_path / "original.flac"
    assert write_flac(path, track, rate=16_000) == 7_000
    found = decode(path)
    gap = np.zeros(25 * 320, np.int16)
    truth = np.concatenate([*pieces[:40], gap, *pieces[40:]])
    assert np.array_equal(found, truth)


def test_a_track_without_sound_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without sound"):
        write_flac(tmp_path / "original.flac", [], rate=16_000)
