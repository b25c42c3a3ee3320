"""What was said, for the pages of this package: asked from whoever keeps the words."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from sessions.models import VoiceSession


def said(
    words: str, *, sessions: QuerySet[VoiceSession] | None, most: int
) -> list[Any]:
    """The newest lines that hold the words, from the settings' SEARCH."""
    found: list[Any] = import_string(settings.SEARCH)(
        words, sessions=sessions, most=most
    )
    return found
