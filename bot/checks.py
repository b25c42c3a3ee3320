"""System checks of the settings of voices and responders."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004
from django.utils.module_loading import import_string

from bot.voice.address import is_http
from bot.voice.responder import build as responders
from bot.voice.responder.port import EXTENSION
from bot.voice.tts import build as voices
from bot.voice.tts.piper import MISSING


@register
def check_engines(**_: Any) -> list[CheckMessage]:
    """Who speaks and who answers is there."""
    return [
        *_check_engine("TTS", settings.TTS, of=voices.ENGINES, number=1),
        *_check_engine(
            "RESPONDER", settings.RESPONDER, of=responders.ENGINES, number=2
        ),
    ]


@register
def check_servers(**_: Any) -> list[CheckMessage]:
    """A server that is asked has an address and a model."""
    return [
        message
        for name, number in (("TTS", 3), ("RESPONDER", 5))
        if getattr(settings, name) == "openai"
        for message in _check_server(name, number=number)
    ]


@register
def check_piper(**_: Any) -> list[CheckMessage]:
    if settings.TTS != "piper":
        return []
    found: list[CheckMessage] = []
    if find_spec("piper") is None:
        message = "TTS=piper, but piper is not installed."
        found.append(Error(message, hint=MISSING, id="bot.E007"))
    if not settings.TTS_PIPER_MODEL:
        message = "TTS=piper needs TTS_PIPER_MODEL."
        hint = "The path of a voice: a file .onnx with its .onnx.json beside it."
        found.append(Error(message, hint=hint, id="bot.E008"))
    return found


@register
def check_responder(**_: Any) -> list[CheckMessage]:
    """What the responder may do makes sense."""
    found: list[CheckMessage] = []
    for name in settings.RESPONDER_TRANSFERS:
        if not EXTENSION.fullmatch(name):
            message = f"RESPONDER_TRANSFERS: {name!r} is no extension of a dialplan."
            hint = "Letters, digits and _ . + * # - only, at most 64."
            found.append(Error(message, hint=hint, id="bot.E009"))
    if settings.RESPONDER_TRANSFERS and not settings.RESPONDER_TOOLS:
        message = "RESPONDER_TOOLS=False: nobody is ever transferred."
        hint = "Unset RESPONDER_TRANSFERS, or let it use tools."
        found.append(Warning(message, hint=hint, id="bot.W001"))
    if settings.RESPONDER != "none" and settings.TTS == "none":
        message = "TTS=none: what the responder says is not heard by anybody."
        hint = "Set TTS=espeak, or RESPONDER=none."
        found.append(Warning(message, hint=hint, id="bot.W002"))
    return found


def _check_engine(
    name: str, value: str, *, of: tuple[str, ...], number: int
) -> list[CheckMessage]:
    if value in of:
        return []
    hint = f"One of {', '.join(of)}, or the dotted path of a class."
    try:
        import_string(value)
    except ImportError as e:
        message = f"{name}={value!r} cannot be imported."
        return [Error(message, hint=f"{hint} {e}", id=f"bot.E00{number}")]
    return []


def _check_server(name: str, *, number: int) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    url = getattr(settings, f"{name}_URL")
    if not is_http(url):
        message = f"{name}=openai needs {name}_URL, an address of http or https."
        hint = f"{name}_URL=https://api.openai.com/v1"
        found.append(Error(message, hint=hint, id=f"bot.E00{number}"))
    elif _is_in_the_clear(url) and getattr(settings, f"{name}_KEY"):
        message = f"{name}_KEY goes to {name}_URL unencrypted."
        hint = "Use https."
        found.append(Warning(message, hint=hint, id=f"bot.W00{number}"))
    if not getattr(settings, f"{name}_MODEL"):
        message = f"{name}=openai needs {name}_MODEL."
        hint = "The name of a model that the server has."
        found.append(Error(message, hint=hint, id=f"bot.E00{number + 1}"))
    return found


def _is_in_the_clear(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1")
