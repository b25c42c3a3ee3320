"""System checks: what is wrong with the settings is said at start-up, with a hint."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

from sessions import finish


@register
def check_dotted_paths(**_: Any) -> list[CheckMessage]:
    """Every path that is looked up by name leads somewhere."""
    paths = [*settings.CAPTURE_SINKS, *finish.STEPS, settings.SPEECH_STATE]
    return [error for path in paths if (error := _import_error(path))]


def _import_error(path: str) -> Error | None:
    try:
        import_string(path)
    except ImportError as e:
        hint = f"It is named in CAPTURE_SINKS, SPEECH_STATE or sessions.finish: {e}"
        return Error(f"{path} cannot be imported.", hint=hint, id="sessions.E001")
    return None


@register
def check_speech_lengths(**_: Any) -> list[CheckMessage]:
    """Endpointing that could never work."""
    if settings.VAD_RELEASE <= settings.VAD_THRESHOLD <= 1:
        return []
    hint = "Both are probabilities; the release is the lower one."
    message = "VAD_RELEASE must not exceed VAD_THRESHOLD."
    return [Error(message, hint=hint, id="sessions.E002")]
