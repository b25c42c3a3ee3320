"""Lines of a transcript, for the tests of who finds them."""

from __future__ import annotations

from sessions.models import Participant, VoiceSession
from transcripts.models import Utterance, UtteranceState


def said(
    session: VoiceSession,
    text: str,
    *,
    at_s: int = 0,
    name: str = "Ada",
    language: str = "en",
) -> Utterance:
    """A second of somebody's, from there on."""
    person, _ = Participant.objects.get_or_create(
        session=session, key=name, defaults={"name": name}
    )
    return Utterance.objects.create(
        session=session,
        participant=person,
        start=at_s * 48_000,
        end=(at_s + 1) * 48_000,
        audio_start=at_s * 48_000,
        state=UtteranceState.DONE,
        text=text,
        language=language,
    )
