"""System checks of the speech and tone settings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004
from django.utils.module_loading import import_string


@register
def check_engine(**_: Any) -> list[CheckMessage]:
    """The class that turns sound into words is there."""
    try:
        import_string(settings.STT_ENGINE)
    except ImportError as e:
        message = f"STT_ENGINE={settings.STT_ENGINE!r} cannot be imported."
        return [Error(message, hint=str(e), id="transcripts.E001")]
    return []


@register
def check_tones(**_: Any) -> list[CheckMessage]:
    """Nobody believes that a sidecar is asked while labels are made up."""
    if not (settings.TONE_CLASSIFIER and settings.TONE_CLASSIFIER_URL):
        return []
    message = "TONE_CLASSIFIER=mock hides TONE_CLASSIFIER_URL: nothing is sent there."
    hint = "Unset one of them."
    return [Warning(message, hint=hint, id="transcripts.W001")]
