"""Keeping: what of a session is kept until when, by the settings and by the word of
whoever manages it, and the same in plain words.

The days of masters are those of all sound: nothing of a voice outlasts them. Deletes
nothing: `retention` does, and asks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format

from sessions import events
from sessions.errors import VoiceError
from sessions.models import Source, Tier, VoiceSession

if TYPE_CHECKING:
    from collections.abc import Iterable

log = structlog.get_logger(__name__)

SETTING = {
    Tier.ORIGINAL: "originals",
    Tier.CHUNK: "chunks",
    Tier.FRAGMENT: "fragments",
    Tier.MASTER: "masters",
    Tier.TRANSCRIPT: "transcripts",
}
"""What the settings call a tier: KEEP_MASTERS_DAYS, and `masters=30` of a source."""
SOUND = (Tier.ORIGINAL, Tier.CHUNK, Tier.FRAGMENT, Tier.MASTER)
KEEPING = "keeping"
"""The type of the event that tells of a change."""
LATEST = date(9000, 1, 1)
"""Of what a person may ask for: times beyond it cannot be reckoned with."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Of one session. A time that is None is for ever, or unknown while it runs: then
    the days count from its end, and 0 days are for ever."""

    records: bool = True
    sound_until: datetime | None = None
    words_until: datetime | None = None
    sound_days: int = 0
    words_days: int = 0
    sound_deleted_at: datetime | None = None
    words_deleted_at: datetime | None = None
    is_over: bool = False
    has_own_word: bool = False


def days_of(tier: Tier, source: str) -> int:
    """How many days a tier is kept for a source's sessions; 0 is for ever."""
    days = _own_days(tier, source)
    if tier in SOUND and (longest := _own_days(Tier.MASTER, source)):
        return min(days or longest, longest)
    return days


def of(session: VoiceSession) -> Kept:
    """What is kept of a session until when. Asks nothing of the database."""
    sound = days_of(Tier.MASTER, session.source)
    words = days_of(Tier.TRANSCRIPT, session.source)
    return Kept(
        records=session.record,
        sound_until=_until(session, sound),
        words_until=_until(session, words),
        sound_days=sound,
        words_days=words,
        sound_deleted_at=session.sound_deleted_at,
        words_deleted_at=session.words_deleted_at,
        is_over=session.ended_at is not None,
        has_own_word=session.keep_forever or session.keep_until is not None,
    )


def sentence(kept: Kept) -> str:
    """In plain words: `Audio until 4 March 2026, text for ever.`"""
    if not kept.records:
        return "Nothing is kept: sound and text are deleted at the end."
    sound = _part("Audio", kept, kept.sound_until, kept.sound_days, "sound")
    words = _part("text", kept, kept.words_until, kept.words_days, "words")
    return f"{sound}, {words}."


@transaction.atomic
def decide(
    session: VoiceSession, *, keep: bool, until: date | None = None
) -> VoiceSession:
    """Keep a session for ever, or to the end of a day, or as the settings say; the
    session as it is now. Raises VoiceError for a day that is over."""
    if not keep and until is not None:
        until = _future(until)
    # The row's lock: retention, which takes it too, does not delete meanwhile.
    row = VoiceSession.objects.select_for_update().get(pk=session.pk)
    if not row.record:
        message = "Nothing is kept of this session: it is not recorded."
        raise VoiceError("not_recorded", message, status=409)
    row.keep_forever, row.keep_until = keep, None if keep else until
    row.save(update_fields=["keep_forever", "keep_until"])
    told = {"keep": keep, "until": row.keep_until and row.keep_until.isoformat()}
    events.append(row.pk, KEEPING, told)
    log.info("session.keeping", session=row.pk, keep=keep, dated=until is not None)
    return row


def decide_all(sessions: Iterable[VoiceSession], *, keep: bool) -> int:
    """The same for many; those of which nothing is kept are left out. How many."""
    chosen = [session for session in sessions if session.record]
    for session in chosen:
        decide(session, keep=keep)
    return len(chosen)


def overrides() -> Mapping[str, Mapping[str, int]]:
    """What the settings say of single sources."""
    return {
        Source.BROWSER: settings.KEEP_BROWSER_DAYS,
        Source.DISCORD: settings.KEEP_DISCORD_DAYS,
        Source.PHONE: settings.KEEP_PHONE_DAYS,
    }


def _own_days(tier: Tier, source: str) -> int:
    name = SETTING[tier]
    common: int = getattr(settings, f"KEEP_{name.upper()}_DAYS")
    return overrides().get(source, {}).get(name, common)


def _future(until: date) -> date:
    if not timezone.now().date() <= until <= LATEST:
        message = "The day to keep it until is to come yet."
        raise VoiceError("invalid", message, status=422)
    return until


def _until(session: VoiceSession, days: int) -> datetime | None:
    """The moment from which on it may go."""
    if session.keep_forever:
        return None
    if (day := session.keep_until) is not None:
        # Kept through that day.
        zone = timezone.get_default_timezone()
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        return midnight + timedelta(days=1)
    if not days or session.ended_at is None:
        return None
    return session.ended_at + timedelta(days=days)


def _part(what: str, kept: Kept, until: datetime | None, days: int, field: str) -> str:
    gone: datetime | None = getattr(kept, f"{field}_deleted_at")
    if gone is not None:
        return f"{what} deleted on {_day(gone)}"
    if until is not None:
        # What may go from midnight on is kept until the day before.
        return f"{what} until {_day(until - timedelta(microseconds=1))}"
    if days and not kept.is_over and not kept.has_own_word:
        return f"{what} for {days} day{'s' if days != 1 else ''} after the end"
    return f"{what} for ever"


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "j F Y")
