"""`{% kept session %}`: until when a session is kept, in plain words, on any page."""

from __future__ import annotations

from django import template

from sessions import keeping
from sessions.models import VoiceSession

register = template.Library()


@register.inclusion_tag("parts/kept.html")
def kept(session: VoiceSession) -> dict[str, object]:
    found = keeping.of(session)
    return {"kept": found, "sentence": keeping.sentence(found)}
