"""The addresses of a session: its page, its sockets, its feed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.conf import settings

from sessions import access

if TYPE_CHECKING:
    from django.http import HttpRequest

    from sessions.models import VoiceSession


def of(session: VoiceSession, *, base: HttpRequest) -> dict[str, str]:
    """page_url, audio_url, live_url and events_url, absolute, with the token: only for
    whoever may open the session."""
    root = settings.PUBLIC_URL or base.build_absolute_uri("/").rstrip("/")
    sockets = root.replace("http", "ws", 1)
    query = _query(session)
    return {
        "page_url": f"{root}/session/{session.public_id}{query}",
        "audio_url": f"{sockets}/session/{session.public_id}/audio{query}",
        "live_url": f"{sockets}/session/{session.public_id}/live{query}",
        "events_url": f"{root}/api/sessions/{session.public_id}/events{query}",
    }


def page_of(session: VoiceSession) -> str:
    """Its page, for whoever is told outside of the web: absolute, with the token."""
    return absolute(f"/session/{session.public_id}{_query(session)}")


def absolute(path: str) -> str:
    """An address of this installation, for whoever is told outside of the web."""
    if not path.startswith("/"):
        return path
    root = settings.PUBLIC_URL or f"http://{settings.WEB_HOST}:{settings.WEB_PORT}"
    return f"{root}{path}"


def _query(session: VoiceSession) -> str:
    return f"?{urlencode({'token': access.token_of(session)})}"
