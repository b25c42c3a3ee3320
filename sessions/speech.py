"""How speech-to-text is doing, for a session's page: asked from whoever does it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string


def speech_state(session_id: int) -> dict[str, Any]:
    """{state, demo, model, behind_s, message}, from the settings' SPEECH_STATE."""
    found: dict[str, Any] = import_string(settings.SPEECH_STATE)(session_id)
    return found
