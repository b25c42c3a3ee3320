"""Piper, where its extra is installed: neural voices on a CPU, one language each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from bot.voice.tts.engine import Block, SpeechError
from bot.voice.tts.threads import Put, blocks_of

log = structlog.get_logger(__name__)

MISSING = "TTS=piper needs the extra: .uv/bin/uv sync --inexact --extra piper"


class Piper:
    """The voice of one model, a sentence at a time; loaded when it first speaks."""

    def __init__(self, *, model: str, load: Callable[[str], Any] | None = None) -> None:
        self.name = f"piper:{model}"
        self._model = model
        self._load = load or _load
        self._voice: Any = None  # the thread's
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="piper")

    def speak(self, text: str, *, language: str) -> AsyncGenerator[Block, None]:
        return blocks_of(lambda put: self._say(text, put), executor=self._thread)

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _say(self, text: str, put: Put) -> None:
        if self._voice is None:
            self._voice = self._load(self._model)
        # Two square brackets would make it read phonemes.
        text = text.replace("[[", "[ [")
        try:
            for chunk in self._voice.synthesize(text):
                pcm = chunk.audio_int16_array.reshape(-1)
                if not put(Block(pcm, chunk.sample_rate)):
                    return
        except Exception as e:
            # Two native libraries and a file of somebody else's, each with errors of
            # its own; the text may be in them, so only their kind is told.
            message = f"piper gave up ({type(e).__name__})."
            raise SpeechError("tts_failed", message) from None


def _load(model: str) -> Any:
    """The voice of a file `.onnx`, with its `.onnx.json` beside it."""
    try:
        from piper import PiperVoice
    except ImportError as e:
        raise SpeechError("tts_unavailable", MISSING) from e
    try:
        voice = PiperVoice.load(model)
    except Exception as e:
        # A missing or broken file: json's, onnxruntime's or the system's error.
        message = f"TTS_PIPER_MODEL cannot be loaded ({type(e).__name__})."
        raise SpeechError("tts_unavailable", message) from e
    log.info("piper.loaded", rate=voice.config.sample_rate)
    return voice
