"""eSpeak NG, by the library that the package espeakng-loader carries.

The library has one state for the whole process, so one thread owns it, and it is loaded
when something is said for the first time.
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import structlog

from bot.voice.tts.engine import Block, SpeechError
from bot.voice.tts.threads import Put, blocks_of

log = structlog.get_logger(__name__)

BLOCK_MS = 200
WORDS_PER_MINUTE = 160
"""espeak's own 175 is hurried for a telephone."""
MAX_SPEECH_S = 90.0
"""Signs it cannot read it names, at length: nobody waits for the end of that, and no
other call for the one thread."""
FALLBACK = "en"

# Numbers of espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_NO_EXIT = 0x8000
_UTF8 = 1
_RATE = 1
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)

_CODE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_VARIANT = re.compile(r"[A-Za-z0-9_ -]{1,32}")
# Codes of ISO 639 that espeak knows by another.
_ALIASES = {"no": "nb", "zh": "cmn", "iw": "he", "tl": "fil"}


class Espeak:
    """espeak-ng, in the language asked for; `variant` is one of its own, such as f3."""

    def __init__(self, *, variant: str = "") -> None:
        self._suffix = f"+{variant}" if _VARIANT.fullmatch(variant) else ""
        self.name = f"espeak{self._suffix}"

    def speak(self, text: str, *, language: str) -> AsyncGenerator[Block, None]:
        def make(put: Put) -> None:
            _library().say(text, names=list(self._names(language)), put=put)

        return blocks_of(make, executor=_thread())

    async def close(self) -> None:
        """Nothing: the library belongs to the process."""

    def _names(self, language: str) -> tuple[str, ...]:
        """Names of espeak's voices for a language, the best first."""
        code = language.lower().replace("_", "-")
        base = code.split("-")[0]
        codes = (code, _ALIASES.get(base, base)) if _CODE.fullmatch(code) else ()
        return tuple(
            name for code in (*codes, FALLBACK) for name in (code + self._suffix, code)
        )


@functools.cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="espeak")


@functools.cache
def _library() -> _Library:
    return _Library()


class _Library:
    """The loaded library. Only the one thread may touch it."""

    def __init__(self) -> None:
        self._espeak, self._rate = _load()
        self._voice = ""
        self._put: Put | None = None
        self._left = 0  # samples that may follow
        self._callback = _CALLBACK(self._take)  # kept: espeak holds only its address
        self._espeak.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, *, names: list[str], put: Put) -> None:
        self._choose(names)
        data = text.encode("utf-8", "ignore") + b"\0"
        self._put, self._left = put, round(MAX_SPEECH_S * self._rate)
        try:
            status = self._espeak.espeak_Synth(
                data, len(data), 0, 0, 0, _UTF8, None, None
            )
        finally:
            self._put = None
        if status != 0:
            raise SpeechError("tts_failed", f"espeak-ng gave up ({status}).")

    def _choose(self, names: list[str]) -> None:
        """The first of these voices that espeak has."""
        for name in names:
            if name == self._voice:
                return
            self._voice = ""
            if self._espeak.espeak_SetVoiceByName(name.encode()) == 0:
                self._espeak.espeak_SetParameter(_RATE, WORDS_PER_MINUTE, 0)
                self._voice = name
                return
        raise SpeechError("tts_failed", f"espeak-ng has no voice {names[-1]!r}.")

    def _take(self, samples: int | None, count: int, _: int | None) -> int:
        """espeak's callback. Not 0: stop."""
        if not samples or count <= 0 or self._put is None:
            return 0
        self._left -= count
        if self._left < 0:
            return 1
        pcm = np.frombuffer(ctypes.string_at(samples, 2 * count), np.int16)
        return 0 if self._put(Block(pcm, self._rate)) else 1


def _load() -> tuple[Any, int]:
    """The library, ready, and its rate in Hz. Raises SpeechError."""
    # By its path: a name would find whatever espeak-ng this process has already.
    try:
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path()
    except (ImportError, OSError, RuntimeError) as e:
        message = "espeak-ng's library cannot be loaded on this machine."
        raise SpeechError("tts_unavailable", message) from e
    rate = library.espeak_Initialize(_SYNCHRONOUS, BLOCK_MS, data.encode(), _NO_EXIT)
    if rate <= 0:
        raise SpeechError("tts_unavailable", "espeak-ng does not find its voices.")
    log.info("espeak.loaded", rate=rate)
    return library, rate
