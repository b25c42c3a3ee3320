"""THE writer of rewritings: a session's lines, written down again from its stored
sound, with another model or in another language.

The new words are kept aside and put in place of the old ones all at once, when the last
is there. An stt worker does one whenever nobody's words wait: what is being said comes
first. Lines whose sound is gone, and ours, whose words were known, keep what they have.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import soxr
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from sessions import events, tracks
from sessions.acting import ACTS, RefusedError
from sessions.audio.formats import pcm16
from sessions.audio.frames import SAMPLES_PER_MS, TIMELINE_RATE
from sessions.errors import SessionNotFoundError, VoiceError
from sessions.models import Job, VoiceSession
from transcripts import archive, doorbell, lines
from transcripts.claims import Claim
from transcripts.engines import other
from transcripts.models import Rewriting, Utterance, UtteranceState
from transcripts.recognised import Recognised
from transcripts.stt import AUDIO_RATE, Engine
from transcripts.weights import ModelMissingError

log = structlog.get_logger(__name__)

OPEN = (UtteranceState.PENDING, UtteranceState.CLAIMED)
ATTEMPTS_MAX = 3
BEHIND_MS = 300
"""Heard behind a line's end: the tail of its last word."""
AT_ONCE = 500


def job(session_id: int, options: dict[str, Any]) -> bool:
    """Begin, look how far it is, or put the new words in place; whether that is done.

    Raises RefusedError and VoiceError, when some lines keep their old words.
    """
    session = VoiceSession.objects.filter(pk=session_id).first()
    if session is None:
        raise SessionNotFoundError
    if refusal := ACTS["again"].refuses(session):
        raise RefusedError(refusal)
    rows = Rewriting.objects.filter(utterance__session=session)
    others = rows.exclude(job=options["job"])
    if others.filter(job__state__in=Job.OPEN).exists():
        raise RefusedError("Another job writes it down again just now.")
    others.delete()
    if not rows.exists():
        _begin(session, options)
        return False
    if rows.filter(state__in=OPEN).exists():
        doorbell.ring(doorbell.DRAIN)
        return False
    _replace(session)
    return True


def one(worker: str, engine: Engine) -> bool:
    """Write down one line again; False when none waits."""
    row = _claim(worker)
    if row is None:
        other.forget()
        return False
    try:
        wanted = other.load(row.model) if row.model else engine
        audio = _sound(row.utterance)
        recognised = wanted.final(audio, language=row.language)
    except ModelMissingError as e:
        _failed(row, e.message, for_good=True)
    except VoiceError as e:
        _failed(row, e.message, for_good=e.status != 503)
    except Exception as e:
        # One line's fault, whatever it is, must not stop the others.
        log.warning("rewriting.failed", rewriting=row.pk, exc_info=True)
        _failed(row, type(e).__name__, for_good=False)
    else:
        _keep(row, recognised)
    return True


def _begin(session: VoiceSession, options: dict[str, Any]) -> None:
    if not session.record:
        raise RefusedError("It was not recorded: there is no sound to listen to.")
    # Lines that need no model were never attempted: we said them.
    heard = Utterance.objects.filter(session=session, attempts__gt=0)
    made = [
        Rewriting(
            utterance_id=pk,
            job_id=options["job"],
            model=options.get("model", ""),
            language=options.get("language", "")[:8],
        )
        for pk in heard.values_list("pk", flat=True)
    ]
    if not made:
        raise RefusedError("Nobody said anything in it.")
    with transaction.atomic():
        Rewriting.objects.bulk_create(made, batch_size=AT_ONCE)
        transaction.on_commit(lambda: doorbell.ring(doorbell.DRAIN), robust=True)
    log.info("rewriting.begun", session=session.pk, lines=len(made))


def _claim(worker: str) -> Rewriting | None:
    """The next line of a job that still runs, for STT_LEASE_S."""
    now = timezone.now()
    free = Q(state=UtteranceState.PENDING) & (
        Q(lease_until=None) | Q(lease_until__lt=now)
    )
    late = Q(state=UtteranceState.CLAIMED, lease_until__lt=now)
    waiting = Rewriting.objects.filter(free | late, job__state__in=Job.OPEN)
    for pk in waiting.values_list("pk", flat=True)[:20]:
        won = Rewriting.objects.filter(free | late, pk=pk).update(
            state=UtteranceState.CLAIMED,
            claimed_by=worker[:100],
            lease_until=now + timedelta(seconds=settings.STT_LEASE_S),
            attempts=F("attempts") + 1,
        )
        if won:
            rows = Rewriting.objects.select_related(
                "utterance__session", "utterance__participant"
            )
            row = rows.defer("utterance__audio").filter(pk=pk).first()
            if row is None or row.attempts <= ATTEMPTS_MAX:
                return row
            _failed(row, "Its worker died at it, again and again.", for_good=True)
    return None


def _sound(line: Utterance) -> bytes:
    """16-bit mono at 16 kHz, as the listener cut it. Raises VoiceError."""
    start, stop = line.audio_start, line.end + BEHIND_MS * SAMPLES_PER_MS
    everybody = tracks.of_session(line.session)
    whose = line.participant.public_id
    theirs = [track for track in everybody if track.participant == whose]
    if not theirs:
        raise tracks.LostError
    with tracks.opened(theirs[0], start=start, stop=stop) as opened:
        if opened.faults and tracks.GONE in opened.faults:
            raise tracks.LostError
        sound = opened.reader.window(start, stop)
    at_16k = soxr.resample(sound.astype(np.float32), TIMELINE_RATE, AUDIO_RATE)
    return pcm16(at_16k).astype("<i2").tobytes()


def _held(row: Rewriting) -> QuerySet[Rewriting]:
    return Rewriting.objects.filter(
        pk=row.pk,
        state=UtteranceState.CLAIMED,
        claimed_by=row.claimed_by,
        attempts=row.attempts,
    )


def _keep(row: Rewriting, recognised: Recognised) -> None:
    _held(row).update(
        state=UtteranceState.DONE if recognised.text else UtteranceState.EMPTY,
        text=recognised.text,
        words=lines.timed(_as_claim(row), recognised.words),
        heard=recognised.language[:8],
        confidence=recognised.confidence if recognised.text else None,
        lease_until=None,
        error="",
    )


def _as_claim(row: Rewriting) -> Claim:
    line, person = row.utterance, row.utterance.participant
    return Claim(
        utterance_id=line.pk,
        public_id=line.public_id,
        token=row.claimed_by,
        attempt=row.attempts,
        session_id=line.session_id,
        participant_id=person.pk,
        participant_public_id=person.public_id,
        name=person.name,
        start=line.start,
        end=line.end,
        audio_start=line.audio_start,
        audio=b"",
        language=row.language,
    )


def _failed(row: Rewriting, error: str, *, for_good: bool) -> None:
    is_over = for_good or row.attempts >= ATTEMPTS_MAX
    rest = timedelta(seconds=2 * row.attempts)
    _held(row).update(
        state=UtteranceState.FAILED if is_over else UtteranceState.PENDING,
        lease_until=None if is_over else timezone.now() + rest,
        error=error[:200],
    )


def _replace(session: VoiceSession) -> None:
    """All new words in place of the old ones, at once."""
    kept_old = _kept_old(session)
    with transaction.atomic():
        VoiceSession.objects.select_for_update().get(pk=session.pk)
        rows = Rewriting.objects.filter(utterance__session=session)
        done = rows.filter(state__in=(UtteranceState.DONE, UtteranceState.EMPTY))
        # Where nothing is heard any more, what a person wrote stays.
        corrected = Q(utterance__corrections__is_current=True)
        done = done.exclude(corrected, state=UtteranceState.EMPTY)
        found = list(done.select_related("utterance__participant"))
        changed = [_put(row) for row in found]
        Utterance.objects.bulk_update(changed, _CHANGED, batch_size=100)
        told = {
            str(line.public_id): lines.event_of(line) if line.text else None
            for line in changed
        }
        events.rewrite(session.pk, lines=told)
        rows.delete()
    archive.store(session.pk)
    log.info("rewriting.done", session=session.pk, lines=len(found))
    if kept_old:
        raise VoiceError("partly", kept_old, status=409)


_CHANGED = (
    "state", "text", "words", "language", "confidence", "error", "audio", "finished_at",
)  # fmt: skip


def _put(row: Rewriting) -> Utterance:
    line = row.utterance
    line.state, line.text, line.words = row.state, row.text, row.words
    line.language, line.confidence = row.heard, row.confidence
    line.error, line.audio, line.finished_at = "", None, timezone.now()
    return line


def _kept_old(session: VoiceSession) -> str:
    """Why some lines keep their words, for people; "" if none does."""
    rows = Rewriting.objects.filter(
        utterance__session=session, state=UtteranceState.FAILED
    )
    count, first = rows.count(), rows.first()
    if first is None:
        return ""
    told = "One line keeps its" if count == 1 else f"{count} lines keep their"
    return f"{told} old words: {first.error}"
