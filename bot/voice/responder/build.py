"""The responder that the settings ask for."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from bot.voice.responder.port import Echo, Listener, Responder

ENGINES = ("none", "echo", "openai")


def build_responder() -> Responder:
    """Made once per process; the caller closes it. Raises ImportError where the path of
    `RESPONDER` leads nowhere, ValueError for an address that is none."""
    match settings.RESPONDER:
        case "none":
            return Listener()
        case "echo":
            return Echo()
        case "openai":
            # Its HTTP client takes a fifth of a second to load, in every process.
            from bot.voice.responder.remote import RemoteResponder

            return RemoteResponder(
                settings.RESPONDER_URL,
                model=settings.RESPONDER_MODEL,
                prompt=settings.RESPONDER_PROMPT,
                key=settings.RESPONDER_KEY,
                transfers=settings.RESPONDER_TRANSFERS,
                may_act=settings.RESPONDER_TOOLS,
                timeout_s=settings.RESPONDER_TIMEOUT_S,
            )
    return cast("Responder", import_string(settings.RESPONDER)())
