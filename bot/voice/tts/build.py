"""The speaker that the settings ask for."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from bot.voice.tts.engine import Mute, Voice
from bot.voice.tts.espeak import Espeak
from bot.voice.tts.piper import Piper
from bot.voice.tts.speaker import Speaker

ENGINES = ("espeak", "piper", "openai", "none")


def build_speaker() -> Speaker:
    """Made once per process; the caller closes it."""
    return Speaker(
        build_voice(),
        language=settings.TTS_LANGUAGE,
        level_dbfs=settings.TTS_LEVEL_DBFS,
        cache_bytes=settings.TTS_CACHE_MB * 1024 * 1024,
    )


def build_voice() -> Voice:
    """The engine of `TTS`. Raises ImportError where its path leads nowhere, ValueError
    for an address that is none."""
    match settings.TTS:
        case "none":
            return Mute()
        case "espeak":
            return Espeak(variant=settings.TTS_VOICE)
        case "piper":
            return Piper(model=settings.TTS_PIPER_MODEL)
        case "openai":
            # Its HTTP client takes a fifth of a second to load, in every process.
            from bot.voice.tts.remote import RemoteVoice

            return RemoteVoice(
                settings.TTS_URL,
                model=settings.TTS_MODEL,
                key=settings.TTS_KEY,
                voice=settings.TTS_VOICE,
                kind=settings.TTS_FORMAT,
                timeout_s=settings.TTS_TIMEOUT_S,
            )
    return cast("Voice", import_string(settings.TTS)())
