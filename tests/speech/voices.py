"""Synthetic speech for tests: espeak-ng through ctypes, unseen voices, unseen phrases.

Owns the words the demo model knows and the line between what it was trained on and what
it was not. Never needs torch, and needs the library libespeak-ng only when it speaks.
"""

from __future__ import annotations

import ctypes
import random
import threading
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.int16]

SAMPLE_RATE_HZ = 16_000

_WORDS = """
    zero one two three four five six seven eight nine yes no hello start stop left
    right up down record meeting please open close save note task done next back today
    tomorrow monday friday team project budget review send message call thank you and
    the we need new plan report question answer
"""
VOCABULARY: tuple[str, ...] = tuple(_WORDS.split())

UNSEEN_VARIANTS: tuple[str, ...] = ("m3", "f2", "linda", "john")
"""espeak variants that no training voice uses."""

UNSEEN_VOICES: tuple[str, ...] = (
    "en-us+m3",
    "en+f2",
    "en-us+linda",
    "en+john",
    "en-us+f2",
    "en+m3",
)
"""Names for `speak(voice=…)` that the model was never trained on."""

_HELD_OUT_SHARE = 10  # one sequence of words in ten is kept from training

# Numbers of espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_UTF8 = 1
_EVENT_WORD = 1
_EVENT_LIST_END = 0
_RATE, _PITCH, _RANGE, _WORD_GAP = 1, 3, 4, 7


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a voice speaks: espeak's own scales, word gap in units of 10 ms."""

    rate_wpm: int = 170
    pitch: int = 50
    pitch_range: int = 50
    word_gap: int = 0


@dataclass(frozen=True, slots=True)
class Speech:
    """What espeak said: samples at `rate_hz`, and when each word of the text began."""

    samples: Samples
    rate_hz: int
    word_starts_s: tuple[float | None, ...]


class SpeechUnavailableError(RuntimeError):
    """libespeak-ng is not installed, or it does not know the voice."""


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """The one espeak-ng of this process. Its state is global, hence the lock."""

    def __init__(self) -> None:
        name = _installed()
        try:
            self._library: Any = ctypes.CDLL(name)
        except OSError as error:
            raise SpeechUnavailableError(f"cannot load {name}") from error
        self.rate_hz: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, 0)
        if self.rate_hz <= 0:
            raise SpeechUnavailableError("espeak-ng found no voice data")
        self._lock = threading.Lock()
        self._chunks: list[bytes] = []
        self._words: list[tuple[int, float]] = []
        self._callback = _CALLBACK(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, *, voice: str, delivery: Delivery) -> Speech:
        """Speak `text`; raises SpeechUnavailableError for a voice espeak lacks."""
        with self._lock:
            if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise SpeechUnavailableError(f"espeak-ng has no voice {voice!r}")
            for parameter, value in (
                (_RATE, delivery.rate_wpm),
                (_PITCH, delivery.pitch),
                (_RANGE, delivery.pitch_range),
                (_WORD_GAP, delivery.word_gap),
            ):
                self._library.espeak_SetParameter(parameter, value, 0)
            self._chunks, self._words = [], []
            data = text.encode() + b"\0"
            self._library.espeak_Synth(data, len(data), 0, 0, 0, _UTF8, None, None)
            samples = np.frombuffer(b"".join(self._chunks), dtype=np.int16)
            return Speech(samples, self.rate_hz, _starts(text, self._words))

    def _collect(self, wav: Any, count: int, events: Any) -> int:
        if wav and count > 0:
            self._chunks.append(ctypes.string_at(wav, count * 2))
        index = 0
        while events[index].type != _EVENT_LIST_END:
            event = events[index]
            if event.type == _EVENT_WORD:
                position = event.text_position - 1
                self._words.append((position, event.audio_position_ms / 1000))
            index += 1
        return 0


def _installed() -> str:
    """The machine's library, by its path: its name alone would find the one of
    espeakng-loader, where the product has loaded that into this process."""
    name = "libespeak-ng.so.1"
    folders = ("lib*", "lib/*", "local/lib")
    found = [path for at in folders for path in Path("/usr").glob(f"{at}/{name}")]
    return str(found[0]) if found else name


def _starts(text: str, heard: list[tuple[int, float]]) -> tuple[float | None, ...]:
    """Start of each word of `text` in seconds; None where espeak merged two words."""
    at = dict(reversed(heard))
    starts: list[float | None] = []
    position = 0
    for word in text.split():
        position = text.index(word, position)
        starts.append(at.get(position))
        position += len(word)
    return tuple(starts)


@lru_cache(maxsize=1)
def espeak() -> Espeak:
    """The process's espeak-ng, loaded at the first call."""
    return Espeak()


def speak(
    text: str,
    *,
    voice: str = UNSEEN_VOICES[0],
    delivery: Delivery = Delivery(),
    lead_s: float = 0.0,
    tail_s: float = 0.0,
) -> Samples:
    """Mono int16 at 16 kHz: `lead_s` of silence, the text, `tail_s` of silence.

    Commas and full stops in `text` make espeak's own pauses.
    """
    speech = espeak().say(text, voice=voice, delivery=delivery)
    spoken = resample(speech.samples, speech.rate_hz)
    return np.concatenate([silence(lead_s), spoken, silence(tail_s)])


def speak_phrases(
    phrases: list[str],
    *,
    voice: str = UNSEEN_VOICES[0],
    pause_s: float = 0.5,
    delivery: Delivery = Delivery(),
) -> Samples:
    """The phrases one after the other with `pause_s` of silence between them."""
    parts: list[Samples] = []
    for phrase in phrases:
        parts += [trim(speak(phrase, voice=voice, delivery=delivery)), silence(pause_s)]
    return np.concatenate(parts[:-1]) if parts else silence(0.0)


def silence(seconds: float) -> Samples:
    """Digital silence, int16 at 16 kHz."""
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), dtype=np.int16)


def resample(samples: Samples, rate_hz: float) -> Samples:
    """From `rate_hz` to 16 kHz."""
    return np.asarray(soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ), dtype=np.int16)


def trim(samples: Samples, *, threshold: int = 60) -> Samples:
    """Without the silence around: from the first to the last sample >= threshold."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) >= threshold)
    return samples[loud[0] : loud[-1] + 1] if loud.size else samples[:0]


def is_held_out(words: list[str]) -> bool:
    """Whether this sequence of words was kept from training (never a single word)."""
    text = " ".join(words).encode()
    return len(words) > 1 and zlib.crc32(text) % _HELD_OUT_SHARE == 0


def unseen_phrases(
    count: int, *, seed: int, min_words: int = 2, max_words: int = 6
) -> list[str]:
    """`count` sequences of known words that the model was never trained on.

    The length is drawn before the words, so that lengths are equally frequent.
    """
    if min_words < 2:
        raise ValueError("a single word cannot be unseen: min_words >= 2")
    random_source = random.Random(seed)
    phrases: list[str] = []
    while len(phrases) < count:
        length = random_source.randint(min_words, max_words)
        words: list[str] = []
        while not is_held_out(words):
            words = random_source.choices(VOCABULARY, k=length)
        phrases.append(" ".join(words))
    return phrases
