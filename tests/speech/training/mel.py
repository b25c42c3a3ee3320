"""Log-mel frames as faster-whisper computes them, before and after normalisation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from faster_whisper.feature_extractor import FeatureExtractor

FRAME_S = 0.01
MEL_BINS = 80
LOG_FLOOR = -10.0
_N_FFT, _HOP = 400, 160

Frames = npt.NDArray[np.float32]


@lru_cache(maxsize=1)
def _filters() -> tuple[torch.Tensor, torch.Tensor]:
    filters = np.asarray(FeatureExtractor().mel_filters, dtype=np.float32)
    window = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)
    return torch.from_numpy(filters), torch.from_numpy(window)


def raw_log_mel(samples: npt.NDArray[np.float32]) -> Frames:
    """(frames, 80) log10 of mel power, not yet clamped to the window's maximum."""
    filters, window = _filters()
    padded = torch.from_numpy(np.pad(samples, (0, -len(samples) % _HOP)))
    spectrum = torch.stft(
        padded, _N_FFT, _HOP, window=window, center=True, return_complex=True
    )
    power = filters @ spectrum[:, :-1].abs().square()
    return power.clamp(min=1e-10).log10().T.contiguous().numpy()


def normalise(raw: Frames) -> Frames:
    """What the model hears: eight decades below the loudest, around zero."""
    return np.asarray((np.maximum(raw, raw.max() - 8.0) + 4.0) / 4.0, np.float32)
