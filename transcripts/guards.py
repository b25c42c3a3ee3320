"""Guards against what Whisper makes up out of silence and noise. Pure.

Its own thresholds let much through: the best of several bad results is still returned,
and `no_speech_threshold` counts only when the words are improbable too.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_NO_SPEECH = 0.6
MAX_COMPRESSION = 2.4  # the same words over and over; Whisper's own constant
MAX_CHARS_PER_S = 25.0  # nobody speaks faster; fast speech has about 20
# Root mean square below which a stock phrase is not believed (Vexa's constant).
LOW_RMS = 0.0025
# Below this many characters a rate says nothing.
_LEAST_CHARS = 12
_LEAST_SECONDS = 0.4

# What the training subtitles end with, by language; compared in lower case and without
# the punctuation around it.
STOCK_PHRASES: dict[str, frozenset[str]] = {
    "en": frozenset(
        {
            "you",
            "bye",
            "bye bye",
            "thank you",
            "thank you very much",
            "thanks for watching",
            "thank you for watching",
            "please subscribe",
            "subtitles by the amara.org community",
        }
    ),
    "de": frozenset(
        {
            "vielen dank",
            "tschüss",
            "bis zum nächsten mal",
            "untertitel im auftrag des zdf",
            "untertitel der amara.org-community",
            "vielen dank fürs zuschauen",
        }
    ),
    "fr": frozenset(
        {
            "merci",
            "merci d'avoir regardé cette vidéo",
            "sous-titres réalisés par la communauté d'amara.org",
        }
    ),
    "es": frozenset(
        {
            "gracias",
            "gracias por ver el video",
            "subtítulos realizados por la comunidad de amara.org",
        }
    ),
}


@dataclass(frozen=True, slots=True)
class Heard:
    """One segment as the model gave it, and how loud its utterance was (0..1)."""

    text: str
    language: str
    start_s: float
    end_s: float
    no_speech_prob: float
    compression_ratio: float
    rms: float


def reason_to_drop(heard: Heard) -> str:
    """Why this segment is not believed; empty when it is."""
    if heard.no_speech_prob > MAX_NO_SPEECH:
        return "no_speech"
    if heard.compression_ratio > MAX_COMPRESSION:
        return "repetition"
    if _chars_per_s(heard) > MAX_CHARS_PER_S:
        return "too_fast"
    if heard.rms < LOW_RMS and _is_stock_phrase(heard.text, heard.language):
        return "stock_phrase"
    return ""


def _chars_per_s(heard: Heard) -> float:
    text = heard.text.strip()
    if len(text) < _LEAST_CHARS:
        return 0.0
    return len(text) / max(heard.end_s - heard.start_s, _LEAST_SECONDS)


def _is_stock_phrase(text: str, language: str) -> bool:
    bare = text.strip().strip(".,!?…:;\"'-–♪ ").lower()
    return bare in STOCK_PHRASES.get(language, frozenset())
