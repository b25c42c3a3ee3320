"""Turns: what is asked is answered aloud, block by block, on any source of sound.

One loop for phone and Discord. Text becomes sound while the rest is still being thought
of; whoever listens may interrupt at any moment, and then nothing more comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

import structlog

from bot.voice.tts.engine import SpeechError
from sessions.background import spawn
from sessions.errors import VoiceError

if TYPE_CHECKING:
    from bot.voice.responder.port import HangUp, History, Responder, Transfer
    from bot.voice.tts.speaker import Pcm, Speaker

log = structlog.get_logger(__name__)


class Saying(Protocol):
    """One block on its way to be heard."""

    def put(self, pcm: Pcm) -> None:
        """More of it."""

    def finish(self) -> None:
        """That was all."""


class Mouth(Protocol):
    """A source that can speak."""

    @property
    def rate(self) -> int:
        """Of the sound it takes, in samples a second."""

    @property
    def is_playing(self) -> bool:
        """Whether anything it was given is still to be heard."""

    def begin(self, text: str, *, is_filler: bool) -> Saying:
        """Say this block behind what is being said."""

    def hush(self) -> None:
        """Be silent at once."""


class Told(Protocol):
    """Whoever conducts the conversation."""

    def block_arrived(self) -> None:
        """The answer begins."""

    def answer_failed(self, error: VoiceError) -> None:
        """There is none, or no more of it."""

    def all_said(self) -> None:
        """Everything has been heard, and nothing more comes."""

    def asked_for(self, action: Transfer | HangUp) -> None:
        """The responder wants something done."""


class Turns:
    """One conversation's answers and prompts, in order, one at a time."""

    def __init__(
        self, mouth: Mouth, told: Told, *, responder: Responder, speaker: Speaker
    ) -> None:
        self._mouth = mouth
        self._told = told
        self._responder = responder
        self._speaker = speaker
        self._one_at_a_time = asyncio.Lock()
        self._answering: asyncio.Task[None] | None = None
        self._saying: set[asyncio.Task[None]] = set()
        self._is_expected = False  # somebody waits for the end of what is said
        self.language = ""

    @property
    def is_busy(self) -> bool:
        """Whether more may come than the mouth has."""
        return self._answering is not None or bool(self._saying)

    def ask(self, text: str, history: History) -> None:
        """Answer this; an answer under way is given up."""
        self.stop_answering()
        self._is_expected = True
        task = spawn(self._answer(text, history), name="turns.answer")
        self._answering = task
        task.add_done_callback(self._answered)

    def say(self, text: str, *, is_filler: bool = False) -> None:
        """Say a prompt. A filler is nobody's turn: its end is not told."""
        if not is_filler:
            self._is_expected = True
        task = spawn(self._say(text, is_filler=is_filler), name="turns.say")
        self._saying.add(task)
        task.add_done_callback(self._said)

    def stop_answering(self) -> None:
        """Give up the answer; what the mouth has is still said."""
        if self._answering is not None:
            self._answering.cancel()
            self._answering = None

    def stop_speaking(self) -> None:
        """Be silent at once; nobody is told of an end."""
        self._is_expected = self._answering is not None
        for task in self._saying:
            task.cancel()
        self._saying.clear()
        self._mouth.hush()

    def stop(self) -> None:
        self.stop_answering()
        self.stop_speaking()

    def drained(self) -> None:
        """The mouth has nothing more to say."""
        if self._is_expected and not self.is_busy and not self._mouth.is_playing:
            self._is_expected = False
            self._told.all_said()

    async def _answer(self, text: str, history: History) -> None:
        is_first = True
        try:
            answer = self._responder.respond(history, text, language=self.language)
            async with aclosing(answer) as blocks:
                async for block in blocks:
                    if is_first:
                        is_first = False
                        self._told.block_arrived()
                    if isinstance(block, str):
                        await self._say(block, is_filler=False)
                    else:
                        self._told.asked_for(block)
        except VoiceError as e:
            log.warning("turns.no_answer", code=e.code)
            self._told.answer_failed(e)

    async def _say(self, text: str, *, is_filler: bool) -> None:
        async with self._one_at_a_time:
            saying = self._mouth.begin(text, is_filler=is_filler)
            try:
                async with aclosing(self._sound(text)) as pieces:
                    async for pcm in pieces:
                        saying.put(pcm)
            except SpeechError as e:
                log.warning("turns.not_said", code=e.code)
            finally:
                saying.finish()

    def _sound(self, text: str) -> AsyncGenerator[Pcm, None]:
        return self._speaker.speak(text, rate=self._mouth.rate, language=self.language)

    def _answered(self, task: asyncio.Task[None]) -> None:
        if task is self._answering:
            self._answering = None
            self._fail_if_broken(task)
            self.drained()

    def _said(self, task: asyncio.Task[None]) -> None:
        if task in self._saying:
            self._saying.discard(task)
            self.drained()

    def _fail_if_broken(self, task: asyncio.Task[None]) -> None:
        """A responder's own fault is logged by `spawn`; the caller hears an apology."""
        if not task.cancelled() and task.exception() is not None:
            message = "The responder is broken."
            self._told.answer_failed(VoiceError("responder_broken", message))
