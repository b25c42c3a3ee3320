"""What all calls of a process share: who answers, the voice, the words, the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from bot.phone.call import Rules
from bot.phone.prompts import RECORDED, Prompt, Prompts
from bot.phone.store import CallStore
from bot.voice.responder.build import build_responder
from bot.voice.responder.port import Listener, Responder
from bot.voice.tts.build import build_speaker
from bot.voice.tts.speaker import Speaker

if TYPE_CHECKING:
    from collections.abc import Mapping

PHONE_RATES = (8_000, 16_000)


@dataclass(frozen=True, slots=True)
class Talking:
    """Made once, before the first call."""

    responder: Responder
    speaker: Speaker
    store: CallStore
    rules: Rules
    texts: Mapping[Prompt, Mapping[str, str]]

    @property
    def answers(self) -> bool:
        return self.rules.answers

    def words(self, prompt: Prompt, *, language: str, records: bool = True) -> str:
        prompts = Prompts(
            self.texts,
            records=records,
            answers=self.answers,
            optout_digit=self.rules.optout_digit,
        )
        return prompts.text(prompt, language=language)

    async def prepare(self) -> bool:
        """Have the prompts ready to be said at once: in our language first, and in
        the others where that costs nothing. Whether all could be made."""
        others = sorted(RECORDED) if settings.TTS == "espeak" else []
        well = True
        for language in dict.fromkeys([settings.TTS_LANGUAGE, *others]):
            texts = [self.words(prompt, language=language) for prompt in Prompt]
            for rate in PHONE_RATES:
                well &= await self.speaker.prepare(texts, rate=rate, language=language)
        return well

    async def close(self) -> None:
        await self.responder.close()
        await self.speaker.close()
        await self.store.close()


def build_talking() -> Talking:
    """As the settings ask for it. Raises ImportError and ValueError for what leads
    nowhere; system checks tell it before."""
    responder = build_responder()
    return Talking(
        responder=responder,
        speaker=build_speaker(),
        store=CallStore(
            Path(settings.DATA_DIR) / "calls",
            redis_url=settings.REDIS_URL,
            ttl_s=settings.CALL_STORE_TTL_S,
        ),
        rules=Rules(
            answers=not isinstance(responder, Listener),
            is_greeting_interruptible=settings.CALL_GREETING_INTERRUPTIBLE,
            silence_s=settings.CALL_SILENCE_S,
            filler_delay_s=settings.FILLER_DELAY_S,
            max_s=settings.CALL_MAX_S,
            optout_digit=settings.PHONE_OPTOUT_DIGIT,
        ),
        texts={
            Prompt.GREETING: settings.CALL_GREETING,
            Prompt.STILL_THERE: settings.CALL_STILL_THERE,
            Prompt.FILLER: settings.CALL_FILLER,
            Prompt.APOLOGY: settings.CALL_APOLOGY,
            Prompt.GOODBYE: settings.CALL_GOODBYE,
        },
    )
