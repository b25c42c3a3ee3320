"""Voice detection: how likely each 32 ms window holds speech, for many tracks at once.

Silero's ONNX model, found without importing its package (that needs torch). When it
cannot be loaded an energy detector takes over, and says so.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

log = structlog.get_logger(__name__)

WINDOW = 512
"""Samples at 16 kHz of one window: 32 ms. The model knows no other length."""
CONTEXT = 64
"""The last samples of the window before, which the model wants in front; without them
it runs and hears nothing."""
STILL = 32
"""Windows of digital silence in a row, a second, after which the model is not asked
again until there is sound. It would hear the same, but for a window at a beginning."""
BATCH = 32
"""Windows in one call: then each costs 0.04 ms; one alone 0.1, of 64 each 0.045."""
MODEL_FILE = "silero_vad/data/silero_vad_16k_op15.onnx"

Floats = NDArray[np.float32]


@dataclass(slots=True)
class VadState:
    """What the model remembers of one track between windows."""

    memory: Floats = field(default_factory=lambda: np.zeros((2, 128), np.float32))
    context: Floats = field(default_factory=lambda: np.zeros(CONTEXT, np.float32))
    noise: float = 0.0  # the energy detector's idea of the room
    still: int = 0  # windows of digital silence in a row

    def reset(self) -> None:
        self.memory.fill(0)
        self.context.fill(0)
        self.still = 0

    def rests(self, window: Floats) -> bool:
        """Whether the model need not hear this window of a muted track."""
        self.still = 0 if window.any() else self.still + 1
        return self.still > STILL


class Vad(Protocol):
    """Speech probabilities 0…1; `windows` is (n, 512) float32 in ±1, a state each."""

    def __call__(self, windows: Floats, states: list[VadState]) -> Floats: ...


class SileroVad:
    """One ONNX call for many windows of as many tracks: the same result as singly."""

    def __init__(self, model: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._run = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        ).run
        self._rate = np.array(16_000, np.int64)
        self(np.zeros((1, WINDOW), np.float32), [VadState()])  # fails now, or never

    def __call__(self, windows: Floats, states: list[VadState]) -> Floats:
        chances = np.zeros(len(states), np.float32)
        asked = [i for i, one in enumerate(states) if not one.rests(windows[i])]
        for at in range(0, len(asked), BATCH):
            some = asked[at : at + BATCH]
            chances[some] = self._call(windows[some], [states[i] for i in some])
        return chances

    def _call(self, windows: Floats, states: list[VadState]) -> Floats:
        context = np.stack([state.context for state in states])
        feed: dict[str, Any] = {
            "input": np.concatenate([context, windows], axis=1),
            "state": np.stack([state.memory for state in states], axis=1),
            "sr": self._rate,
        }
        probabilities, memory = self._run(None, feed)
        for i, state in enumerate(states):
            state.memory = memory[:, i]
            state.context = windows[i, -CONTEXT:].copy()
        return np.asarray(probabilities, np.float32)[:, 0]


class EnergyVad:
    """Louder than the room: 12 dB above the noise floor is speech, 6 dB may be."""

    FLOOR = 1e-3  # -60 dBFS: quieter is never speech

    def __call__(self, windows: Floats, states: list[VadState]) -> Floats:
        rms = np.sqrt(np.mean(np.square(windows), axis=1))
        return np.array(
            [self._one(float(r), state) for r, state in zip(rms, states, strict=True)],
            np.float32,
        )

    def _one(self, rms: float, state: VadState) -> float:
        # The floor falls at once and rises slowly (about 6 dB in 5 s).
        state.noise = min(max(rms, 1e-5), (state.noise or rms) * 1.0045 + 1e-7)
        above = rms / max(state.noise, self.FLOOR / 2)
        if rms < self.FLOOR:
            return 0.0
        return float(np.clip((np.log2(max(above, 1e-6)) - 0.5) / 3, 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class VadChoice:
    """The detector in use, and what to tell people when it is not the good one."""

    vad: Vad
    degraded: bool = False
    message: str = ""


def model_path() -> Path:
    """The ONNX file inside the silero-vad distribution. Raises FileNotFoundError."""
    try:
        distribution = importlib.metadata.distribution("silero-vad")
    except importlib.metadata.PackageNotFoundError as e:
        raise FileNotFoundError("the package silero-vad is not installed") from e
    path = Path(str(distribution.locate_file(MODEL_FILE)))
    if not path.is_file():
        raise FileNotFoundError(f"silero-vad holds no {MODEL_FILE}")
    return path


def choose(model: Path | None = None) -> VadChoice:
    """The Silero detector, or the energy detector with the reason."""
    try:
        return VadChoice(SileroVad(model or model_path()))
    except Exception as e:
        # Whatever is wrong with a model file or its runtime: people go on being heard.
        log.warning("vad.fallback", reason=type(e).__name__, exc_info=True)
        message = "Voice detection by loudness only: the Silero model cannot be loaded."
        return VadChoice(EnergyVad(), degraded=True, message=message)


@cache
def state() -> VadChoice:
    """The detector of this process, loaded at the first call."""
    return choose()
