"""The addresses of a session: its page, its sockets, its feed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.conf import settings

from sessions import access, shares

if TYPE_CHECKING:
    from django.http import HttpRequest

    from sessions.models import Share, VoiceSession


def of(session: VoiceSession, *, base: HttpRequest) -> dict[str, str]:
    """page_url, audio_url, live_url and events_url, absolute, with the token: only for
    whoever may open the session."""
    root = _root(base)
    sockets = root.replace("http", "ws", 1)
    query = _query(session)
    return {
        "page_url": f"{root}/session/{session.public_id}{query}",
        "audio_url": f"{sockets}/session/{session.public_id}/audio{query}",
        "live_url": f"{sockets}/session/{session.public_id}/live{query}",
        "events_url": f"{root}/api/sessions/{session.public_id}/events{query}",
    }


def of_share(row: Share, *, base: HttpRequest) -> str:
    """The link that shows a session to whoever has it, absolute."""
    return f"{_root(base)}/shared/{shares.token_of(row)}"


def page_of(session: VoiceSession) -> str:
    """Its page, for whoever is told outside of the web: absolute, with the token."""
    return absolute(f"/session/{session.public_id}{_query(session)}")


def absolute(path: str) -> str:
    """An address of this installation, for whoever is told outside of the web."""
    if not path.startswith("/"):
        return path
    root = settings.PUBLIC_URL or f"http://{settings.WEB_HOST}:{settings.WEB_PORT}"
    return f"{root}{path}"


def _root(base: HttpRequest) -> str:
    root: str = settings.PUBLIC_URL or base.build_absolute_uri("/").rstrip("/")
    return root


def _query(session: VoiceSession) -> str:
    return f"?{urlencode({'token': access.token_of(session)})}"
