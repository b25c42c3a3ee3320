"""Any server that speaks OpenAI's `POST /audio/speech`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from bot.voice.endpoint import Endpoint, EndpointError, Patience
from bot.voice.tts.engine import Block, SpeechError
from bot.voice.tts.wav import Samples, WavReader

PCM_RATE = 24_000
"""What OpenAI sends when it is asked for `pcm`, and others after it."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class RemoteVoice:
    """A server's voice, played while it still speaks; `kind` is wav or pcm.

    The server may be behind its own speech by `timeout_s`: what is slower than that in
    the long run could not be listened to.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str,
        key: str = "",
        voice: str = "",
        kind: str = "wav",
        timeout_s: float = 10.0,
    ) -> None:
        self.name = f"openai:{model}:{voice}"
        self._endpoint = Endpoint(f"{url}/audio/speech", key=key)
        self._question = {"model": model, "response_format": kind}
        if voice:
            self._question["voice"] = voice
        self._kind = kind
        self._timeout_s = timeout_s

    async def speak(self, text: str, *, language: str) -> AsyncGenerator[Block, None]:
        patience = Patience(self._timeout_s)
        try:
            async with aclosing(self._receive(text, patience)) as blocks:
                async for block in blocks:
                    patience.earn(len(block.pcm) / block.rate)
                    yield block
        except EndpointError as e:
            message = f"The voice's server {e.message}."
            raise SpeechError(f"tts_{e.reason}", message) from e
        except ValueError as e:
            message = f"The voice's server did not answer with {self._kind}."
            raise SpeechError("tts_no_sound", message) from e

    async def close(self) -> None:
        await self._endpoint.close()

    async def _receive(
        self, text: str, patience: Patience
    ) -> AsyncGenerator[Block, None]:
        question = {**self._question, "input": text}
        asked = self._endpoint.ask(
            question, patience=patience, at_most=MAX_ANSWER_BYTES
        )
        async with asked as answer:
            if answer.content_type.startswith(("text/", "application/json")):
                raise ValueError("words instead of sound")
            reader = WavReader() if self._kind == "wav" else None
            samples = Samples()
            while chunk := await answer.read():
                pcm = reader.feed(chunk) if reader else samples.feed(chunk)
                if len(pcm):
                    yield Block(pcm, reader.rate if reader else PCM_RATE)
            if reader and not reader.rate:
                raise ValueError("no sound at all")
