"""Speech to text: the engine port, and faster-whisper behind it.

Knows audio and words; knows no rows, no sessions and no queue.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import structlog
from django.conf import settings
from numpy.typing import NDArray

from transcripts import guards, weights
from transcripts.guards import Heard
from transcripts.recognised import Recognised, Word
from transcripts.weights import ModelMissingError

__all__ = ["AUDIO_RATE", "Engine", "ModelMissingError", "WhisperEngine"]

log = structlog.get_logger(__name__)

AUDIO_RATE = 16_000
"""Engines take 16-bit little-endian mono PCM at this rate."""

# Hotwords share 448 positions with the text they precede.
HOTWORD_TOKENS = 100
# The second temperature repairs most repetitions; four more cost seconds for nothing.
_TEMPERATURES = [0.0, 0.4]
# The decoder's limit for the text of one window.
_MAX_NEW_TOKENS = 224


class Engine(Protocol):
    """Made once per worker process; making it loads the model and warms it up.

    The constructor raises ModelMissingError when there is nothing to load. Methods may
    be called from several threads. `language` is a code, or empty: detect it.
    """

    name: str
    demo: bool

    def final(self, audio: bytes, *, language: str) -> Recognised:
        """The words of a whole utterance, with their times."""

    def partial(self, audio: bytes, *, language: str) -> Recognised:
        """The words so far, quickly and without times."""


class WhisperEngine:
    """faster-whisper from a local folder: of STT_MODEL, which may be downloaded, or of
    another model that is there already."""

    def __init__(self, model: str = "") -> None:
        found = weights.locate(model) if model else weights.fetch()
        self.name, self.demo = found.name, found.demo
        self._model = _load(found)
        self._languages = frozenset(self._model.supported_languages)
        self._hotwords = cut_to_budget(settings.STT_HOTWORDS, count=self._count_tokens)
        self._warm_up()
        log.info("model.ready", model=self.name, demo=self.demo)

    def final(self, audio: bytes, *, language: str) -> Recognised:
        pcm = to_float(audio)
        if not pcm.size:
            return Recognised()
        segments, info = self._model.transcribe(
            pcm,
            language=self._known(language),
            beam_size=settings.STT_BEAM_SIZE,
            temperature=_TEMPERATURES,
            condition_on_previous_text=False,
            word_timestamps=True,
            hotwords=self._hotwords or None,
        )
        # The work is done while iterating.
        kept = _believed(segments, language=info.language, rms=rms(pcm))
        return _recognised(kept, info)

    def partial(self, audio: bytes, *, language: str) -> Recognised:
        pcm = to_float(audio)
        if not pcm.size:
            return Recognised()
        seconds = pcm.size / AUDIO_RATE
        with self._model.context(seconds, enabled=settings.STT_PARTIAL_CONTEXT):
            segments, info = self._model.transcribe(
                pcm,
                language=self._known(language),
                beam_size=1,
                temperature=0.0,
                condition_on_previous_text=False,
                without_timestamps=True,
                max_new_tokens=min(_MAX_NEW_TOKENS, 12 + math.ceil(6 * seconds)),
                hotwords=self._hotwords or None,
            )
            kept = _believed(segments, language=info.language, rms=rms(pcm))
        return _recognised(kept, info)

    def _known(self, language: str) -> str | None:
        """The code as the model knows it; None, so that it detects, if it does not."""
        code = language.lower().replace("_", "-").split("-")[0]
        return code if code in self._languages else None

    def _count_tokens(self, text: str) -> int:
        encoded = self._model.hf_tokenizer.encode(text, add_special_tokens=False)
        return len(encoded.ids)

    def _warm_up(self) -> None:
        """The first call allocates and compiles; nobody should wait for that."""
        noise = np.random.default_rng(0).normal(0, 300, AUDIO_RATE)
        self.final(noise.astype("<i2").tobytes(), language="en")


def cut_to_budget(hotwords: str, *, count: Any, budget: int = HOTWORD_TOKENS) -> str:
    """As many of the leading words as fit; `count(text)` says how many tokens."""
    kept = ""
    for word in hotwords.split():
        longer = f"{kept} {word}".strip()
        if count(f" {longer}") > budget:
            log.warning("stt.hotwords_cut", kept=len(kept.split()), tokens=budget)
            break
        kept = longer
    return kept.rstrip(",; ")


def to_float(audio: bytes) -> NDArray[np.float32]:
    """16-bit little-endian PCM as floats from -1 to 1."""
    whole = len(audio) - len(audio) % 2
    return np.frombuffer(audio[:whole], "<i2").astype(np.float32) / 32768.0


def rms(pcm: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(pcm, dtype=np.float64))))


def _load(found: weights.Weights) -> Any:
    # Imported here: half a second, and only the workers need it.
    from transcripts.whisper import Whisper

    try:
        return Whisper(
            str(found.folder),
            device=settings.STT_DEVICE,
            compute_type=settings.STT_COMPUTE_TYPE,
            cpu_threads=settings.STT_CPU_THREADS,
            local_files_only=True,
        )
    except Exception as e:
        # A truncated file, a compute type this device lacks, a GPU that is away: three
        # native libraries read the folder, each with errors of its own.
        log.warning("model.load_failed", model=found.name, exc_info=True)
        message = f"Speech model {found.name!r} could not be loaded: {_short(e)}"
        raise ModelMissingError(message) from e


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__


def _believed(segments: Iterable[Any], *, language: str, rms: float) -> list[Any]:
    kept = []
    for segment in segments:
        heard = Heard(
            text=segment.text,
            language=language,
            start_s=segment.start,
            end_s=segment.end,
            no_speech_prob=segment.no_speech_prob,
            compression_ratio=segment.compression_ratio,
            rms=rms,
        )
        reason = guards.reason_to_drop(heard)
        if reason:
            log.info("segment.dropped", reason=reason, chars=len(segment.text))
        else:
            kept.append(segment)
    return kept


def _recognised(segments: list[Any], info: Any) -> Recognised:
    text = " ".join(" ".join(segment.text for segment in segments).split())
    words = tuple(
        Word(word.word.strip(), word.start, word.end, round(word.probability, 3))
        for segment in segments
        for word in segment.words or ()
        if word.word.strip()
    )
    return Recognised(
        text=text,
        words=words,
        language=info.language,
        language_probability=float(info.language_probability),
        confidence=_confidence(segments, words),
        no_speech_prob=max((s.no_speech_prob for s in segments), default=0.0),
    )


def _confidence(segments: list[Any], words: tuple[Word, ...]) -> float:
    """The mean probability of the words, or of the tokens where there are none."""
    if words:
        return round(sum(word.probability for word in words) / len(words), 3)
    if not segments:
        return 0.0
    mean = sum(segment.avg_logprob for segment in segments) / len(segments)
    return round(min(1.0, math.exp(mean)), 3)
