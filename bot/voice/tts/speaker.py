"""The speaker: what every source of sound uses to say something.

Owns the road from text to samples a source can send: cleaned, made by the engine or
found among what was said before, resampled once, brought to one level.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

import numpy as np
import soxr
import structlog
from numpy.typing import NDArray

from bot.voice.tts.engine import Block, SpeechError, Voice
from bot.voice.tts.loudness import Leveller
from bot.voice.tts.prompts import Prompt, Prompts
from bot.voice.tts.wording import clean

log = structlog.get_logger(__name__)

Pcm = NDArray[np.int16]

MAX_SPEECH_S = 180.0
"""More than any text of wording.MAX_CHARS takes: an engine that goes on is broken."""


class Speaker:
    """One engine for all calls of a process. Rates are 8000, 16000 or 48000 Hz."""

    def __init__(
        self,
        voice: Voice,
        *,
        language: str = "en",
        level_dbfs: float = -26.0,
        cache_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        self._voice = voice
        self._language = language
        self._level_dbfs = level_dbfs
        self._prompts = Prompts(max_bytes=cache_bytes)

    async def speak(
        self, text: str, *, rate: int, language: str = ""
    ) -> AsyncGenerator[Pcm, None]:
        """The text as mono samples at `rate`, in pieces of any length.

        Pieces are shared with others: never write into them. Raises SpeechError. To
        stop, leave: `async with aclosing(speaker.speak(…)) as pieces`.
        """
        prompt = self._prompt(text, rate=rate, language=language)
        kept = self.kept(text, rate=rate, language=language)
        if kept is not None or not prompt.text:
            if kept is not None and len(kept):
                yield kept
            return
        said = []
        async with aclosing(self._say(prompt)) as pieces:
            async for pcm in pieces:
                pcm.flags.writeable = False
                said.append(pcm)
                yield pcm
        self._prompts.put(prompt, _joined(said))

    def kept(self, text: str, *, rate: int, language: str = "") -> Pcm | None:
        """The whole of it, at once, if it was said or prepared before."""
        return self._prompts.get(self._prompt(text, rate=rate, language=language))

    async def prepare(
        self, texts: Iterable[str], *, rate: int, language: str = ""
    ) -> bool:
        """Make these ready to be said at once, and keep them. Whether all could be."""
        well = True
        for text in texts:
            prompt = self._prompt(text, rate=rate, language=language)
            try:
                speech = self.speak(text, rate=rate, language=language)
                said = [pcm async for pcm in speech]
            except SpeechError as e:
                log.warning("tts.not_prepared", code=e.code, error=e.message)
                well = False
            else:
                self._prompts.pin(prompt, _joined(said))
        return well

    async def close(self) -> None:
        await self._voice.close()

    def _prompt(self, text: str, *, rate: int, language: str) -> Prompt:
        language = language or self._language
        return Prompt(clean(text), language, self._voice.name, rate)

    async def _say(self, prompt: Prompt) -> AsyncGenerator[Pcm, None]:
        road = _Road(rate=prompt.rate, level_dbfs=self._level_dbfs)
        blocks = self._voice.speak(prompt.text, language=prompt.language)
        async with aclosing(blocks):
            async for block in blocks:
                if len(pcm := road.put(block)):
                    yield pcm
                # An engine ahead of us must not hold the loop for all of its speech.
                await asyncio.sleep(0)
        if len(pcm := road.flush()):
            yield pcm


class _Road:
    """One speech from the engine's rate and level to ours."""

    def __init__(self, *, rate: int, level_dbfs: float) -> None:
        self._rate = rate
        self._leveller = Leveller(rate=rate, target_dbfs=level_dbfs)
        self._from = 0
        self._stream: soxr.ResampleStream | None = None
        self._seconds = 0.0

    def put(self, block: Block) -> Pcm:
        self._seconds += len(block.pcm) / block.rate
        if self._seconds > MAX_SPEECH_S:
            raise SpeechError("tts_too_long", "The voice speaks without end.")
        if not self._from:
            self._start(block.rate)
        assert block.rate == self._from, "one speech has one rate"
        sound = block.pcm.astype(np.float32) / np.float32(32768)
        if self._stream is not None:
            sound = self._stream.resample_chunk(sound)
        return _rounded(self._leveller.put(sound))

    def flush(self) -> Pcm:
        rest = np.zeros(0, np.float32)
        if self._stream is not None:
            rest = self._stream.resample_chunk(rest, last=True)
        return _rounded(
            np.concatenate([self._leveller.put(rest), self._leveller.flush()])
        )

    def _start(self, rate: int) -> None:
        self._from = rate
        if rate != self._rate:
            self._stream = soxr.ResampleStream(
                rate, self._rate, 1, dtype="float32", quality="HQ"
            )


def _rounded(sound: NDArray[np.float32]) -> Pcm:
    return np.clip(np.rint(sound * 32768), -32768, 32767).astype(np.int16)


def _joined(pieces: list[Pcm]) -> Pcm:
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
