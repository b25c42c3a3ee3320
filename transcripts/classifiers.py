"""What a classifier of tones is, and a synthetic one for demonstrations."""

from __future__ import annotations

import asyncio
from typing import Protocol

import numpy as np

from transcripts.pieces import Piece, Tone


class Classifier(Protocol):
    async def classify(self, piece: Piece) -> list[Tone]:
        """The tones in a piece; none when there are none or nobody answers."""

    async def close(self) -> None: ...


class MockClassifier:
    """Labels made up from loudness and pitch, and marked so."""

    async def classify(self, piece: Piece) -> list[Tone]:
        await asyncio.sleep(0)
        pcm = piece.pcm.astype(np.float32) / 32768.0
        loudness = float(np.sqrt(np.mean(np.square(pcm))))
        if loudness < 0.01:
            return []
        crossings = np.count_nonzero(np.diff(np.signbit(pcm)))
        pitch_hz = crossings * piece.rate / (2 * len(pcm))
        label = "calm" if loudness < 0.1 else "lively" if pitch_hz < 800 else "excited"
        return [Tone(label, min(0.95, 0.6 + loudness), mock=True)]

    async def close(self) -> None:
        return None
