"""What we answer in a Discord call: each finished line to the responder, its answer
aloud, a filler when it takes long.

One answer at a time; whoever speaks meanwhile interrupts it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from bot.discord.notices import Notice, text
from bot.voice.responder import port
from bot.voice.turns import Mouth, Turns
from sessions.errors import VoiceError

if TYPE_CHECKING:
    from bot.voice.mouth import Block
    from bot.voice.responder.port import Responder
    from bot.voice.tts.speaker import Speaker

log = structlog.get_logger(__name__)

HISTORY = 40
"""Turns that a responder is reminded of."""


class Chat:
    """Belongs to one call. `answers`: whether anybody is asked at all; what we say by
    ourselves is said all the same."""

    def __init__(
        self,
        mouth: Mouth,
        *,
        responder: Responder,
        speaker: Speaker,
        language: str,
        answers: bool,
        filler_delay_s: float,
        barge_in_s: float,
        hang_up: Callable[[], None],
    ) -> None:
        self.turns = Turns(mouth, self, responder=responder, speaker=speaker)
        self.turns.language = language
        self._mouth = mouth
        self._language = language
        self._answers = answers
        self._filler_delay_s = filler_delay_s
        self._barge_in_s = barge_in_s
        self._hang_up = hang_up
        self._history: deque[port.Turn] = deque(maxlen=HISTORY)
        self._filler: asyncio.TimerHandle | None = None
        self._is_leaving = False

    def say(self, notice: Notice) -> None:
        self.turns.say(text(notice, self._language))

    def heard(self, name: str, words: str) -> None:
        """A finished line of somebody."""
        if not self._answers or not words:
            return
        history = tuple(self._history)
        self._history.append(port.Turn("caller", f"{name}: {words}"))
        self.turns.ask(f"{name}: {words}", history)
        self._stop_filler()
        loop = asyncio.get_running_loop()
        self._filler = loop.call_later(self._filler_delay_s, self._fill)

    def speaks(self, speech_s: float) -> None:
        """Somebody has spoken for so long: we are silent."""
        if speech_s >= self._barge_in_s and self._mouth.is_playing and self._answers:
            self.turns.stop_speaking()

    def said(self, block: Block) -> None:
        """A text of ours was heard, or as much of it as there was time for."""
        if self._answers and not block.is_filler and block.begun is not None:
            self._history.append(port.Turn("us", block.text))

    def stop(self) -> None:
        self._stop_filler()
        self.turns.stop()

    # --- what turns tell --------------------------------------------------------------

    def block_arrived(self) -> None:
        self._stop_filler()

    def answer_failed(self, error: VoiceError) -> None:
        self._stop_filler()
        self.say(Notice.SPOKEN_APOLOGY)

    def all_said(self) -> None:
        if self._is_leaving:
            self._hang_up()

    def asked_for(self, action: port.Transfer | port.HangUp) -> None:
        """Nobody can be handed over in a Discord call."""
        self._is_leaving = isinstance(action, port.HangUp)

    def _fill(self) -> None:
        self._filler = None
        self.turns.say(text(Notice.SPOKEN_FILLER, self._language), is_filler=True)

    def _stop_filler(self) -> None:
        if self._filler is not None:
            self._filler.cancel()
            self._filler = None
