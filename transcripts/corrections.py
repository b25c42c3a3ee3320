"""THE writer of corrections: what people make of a line that the model misheard.

The line itself stays as it was heard. Whoever corrects is told with it, and each
correction is kept. Never asks who may correct: the edges do.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from sessions import events
from sessions.errors import VoiceError
from sessions.models import VoiceSession
from sessions.names import clean
from transcripts import lines
from transcripts.models import Correction, Utterance, UtteranceState

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

log = structlog.get_logger(__name__)

TEXT_MAX = 2000
"""Characters: five times what fits into the longest utterance."""
CORRECTED = "utterance.corrected"
"""The type of event that tells it to pages that are open."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A line as it is now; of one as it was heard, `original` and the rest are None."""

    id: UUID
    text: str
    original: str | None = None
    corrected_by: str | None = None
    corrected_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One text of a line, whose it is (None: the model's), and since when."""

    text: str
    by: str | None
    at: datetime


def correct(
    session: VoiceSession,
    utterance: UUID | str,
    text: str,
    *,
    by: AbstractBaseUser,
    now: datetime | None = None,
) -> Corrected:
    """Put another text in a line's place; its own takes the correction back.

    Raises VoiceError: there is no such line, the text is empty or too long.
    """
    text = _checked(text)
    with transaction.atomic():
        # Locks the row: of two who correct one line, the second sees the first's.
        VoiceSession.objects.select_for_update().get(pk=session.pk)
        row = _find(session, utterance)
        current = row.corrections.filter(is_current=True).first()
        if text != (current.text if current else row.text):
            row.corrections.filter(is_current=True).update(is_current=False)
            current = _write(row, text, by=by, now=now or timezone.now())
            events.append(session.pk, CORRECTED, _told(row, current))
            log.info("utterance.corrected", session=session.pk, utterance=row.pk)
    return _shown(row, current)


def history(session: VoiceSession, utterance: UUID | str) -> list[Version]:
    """All texts of a line, oldest first: the model's own leads. Raises VoiceError."""
    row = _find(session, utterance)
    heard = Version(row.text, None, row.finished_at or row.created_at)
    made = row.corrections.select_related("user").order_by("pk")
    return [heard, *(Version(one.text, one.name, one.at) for one in made)]


def changed(*, since: datetime, until: datetime) -> list[tuple[int, datetime]]:
    """Sessions with lines that were corrected then, and when for the last time."""
    made = Correction.objects.filter(at__gte=since, at__lte=until).order_by()
    return list(made.values_list("utterance__session").annotate(Max("at")))


def _checked(text: str) -> str:
    if len(text) > TEXT_MAX:
        message = f"A line takes {TEXT_MAX} characters at most."
        raise VoiceError("too_long", message, status=422)
    if not (text := clean(text, longest=TEXT_MAX)):
        message = "A line needs words: an empty one cannot be saved."
        raise VoiceError("empty", message, status=422)
    return text


def _find(session: VoiceSession, utterance: UUID | str) -> Utterance:
    rows = Utterance.objects.filter(session=session.pk, state=UtteranceState.DONE)
    rows = rows.select_related("participant__merged_into").defer("audio")
    try:
        return rows.get(public_id=utterance)
    except (Utterance.DoesNotExist, ValidationError, ValueError) as e:
        raise VoiceError("not_found", "There is no such line.", status=404) from e


def _write(
    row: Utterance, text: str, *, by: AbstractBaseUser, now: datetime
) -> Correction | None:
    """The new text's row; None where the line is as it was heard again."""
    is_back = text == row.text
    made = Correction.objects.create(
        utterance=row,
        text=text,
        is_current=not is_back,
        user_id=by.pk,
        name=clean(by.get_username(), longest=80),
        at=now,
    )
    return None if is_back else made


def _told(row: Utterance, current: Correction | None) -> dict[str, Any]:
    """The data of the event: as an `utterance` event's, under the participant's own id,
    by which the log forgets them; nothing of whoever corrected."""
    line = lines.line(row, corrected=current.text if current else None)
    person = row.participant  # whoever it was merged into has events of their own
    own = {"participant": str(person.public_id), "name": person.name}
    words = [asdict(word) for word in line.words]
    return line.to_json() | own | {"words": words}


def _shown(row: Utterance, current: Correction | None) -> Corrected:
    if current is None:
        return Corrected(row.public_id, row.text)
    return Corrected(row.public_id, current.text, row.text, current.name, current.at)


def forget_author(user_id: int, *, before: datetime) -> int:
    """Take somebody's name off what they corrected until a moment; how often."""
    rows = Correction.objects.filter(user=user_id, at__lte=before)
    return rows.update(user=None, name="")
