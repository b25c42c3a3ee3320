"""What the session page tells its scripts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from sessions import consent
from sessions.models import State, VoiceSession

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class PageConfig:
    """Read by `session.js`. Times are ISO 8601; addresses are on the page's origin."""

    id: str
    state: str
    end_reason: str
    started_at: str
    ended_at: str
    now: str
    last_seq: int
    token: str
    csrf: str
    page_url: str
    api_url: str
    audio_url: str
    worklet_url: str
    consent: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def config_of(
    session: VoiceSession, *, token: str, csrf: str, page_url: str, worklet_url: str
) -> PageConfig:
    """The configuration of one reader's page."""
    return PageConfig(
        id=str(session.public_id),
        state=shown_state(session),
        end_reason=session.end_reason,
        started_at=_iso(session.started_at),
        ended_at=_iso(session.ended_at),
        now=_iso(timezone.now()),
        last_seq=session.last_seq,
        token=token,
        csrf=csrf,
        page_url=page_url,
        api_url=f"/api/sessions/{session.public_id}",
        audio_url=f"/session/{session.public_id}/audio",
        worklet_url=worklet_url,
        consent=consent.told(session).to_json(),
    )


def shown_state(session: VoiceSession) -> str:
    """The state people see: an active session that was asked to stop is stopping."""
    if session.state == State.ACTIVE and not session.is_open:
        return "stopping"
    return session.state


def _iso(time: datetime | None) -> str:
    return time.isoformat() if time else ""
