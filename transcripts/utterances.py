"""THE writer of utterances: recorded, claimed, completed exactly once, or given up.

The rows are the queue. A worker owns a row for as long as its claim token stands there;
whoever has lost the claim changes nothing. Never loads a model, never touches sound.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Min, Q
from django.utils import timezone

from sessions import events, finish, jobs, optout
from sessions.audio.frames import TIMELINE_RATE
from sessions.models import Participant, State, VoiceSession
from transcripts import doorbell, lines, workers
from transcripts.claims import Claim, claim
from transcripts.exports import Line
from transcripts.models import Correction, Utterance, UtteranceState
from transcripts.recognised import Recognised
from transcripts.spoken import Spoken

__all__ = [
    "Backlog",
    "Claim",
    "Scripted",
    "Spoken",
    "backlog",
    "claim",
    "complete",
    "final_waits",
    "give_back",
    "language_of",
    "of_session",
    "postpone",
    "record",
    "release_dead",
    "release_expired",
    "retry_failed",
    "unfinished",
    "write",
]

log = structlog.get_logger(__name__)

UNFINISHED = (UtteranceState.PENDING, UtteranceState.CLAIMED)
# A language detected with less is asked for again at the next utterance.
PIN_PROBABILITY = 0.7
# A row that failed rests this long per attempt, so that others come first.
REST_S = 2.0


@dataclass(frozen=True, slots=True)
class Scripted:
    """What somebody said whose words are known: what we say ourselves. Positions are
    samples at 48 kHz since time zero."""

    session_id: int
    participant_id: int
    start: int
    end: int
    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for its text, and for how long the oldest has."""

    pending: int
    claimed: int
    oldest_s: float


def record(spoken: Spoken) -> None:
    """Keep an utterance and its sound, and ring for a worker; twice is once.

    A stream that returns after a crash says its last seconds again: what is covered by
    rows of the same participant already is not kept a second time, and of a phrase in
    the middle of which the line broke, what came behind that.
    """
    with transaction.atomic():
        if _is_unwanted(spoken):
            log.info("utterance.opted_out", **spoken.ids)
            return
        new = spoken.beside(_known(spoken))
        if new is None:
            log.info("utterance.heard_again", **spoken.ids)
            return
        row = Utterance.objects.create(
            public_id=new.public_id,
            session_id=new.session_id,
            participant_id=new.participant_id,
            start=new.start,
            end=new.end,
            audio_start=new.audio_start,
            audio=new.audio,
        )
        transaction.on_commit(lambda: doorbell.ring(doorbell.DRAIN), robust=True)
    log.info("utterance.recorded", utterance=row.pk, **spoken.ids)


def write(line: Scripted) -> None:
    """Keep a line that needs no model, and tell everybody."""
    with transaction.atomic():
        row = Utterance.objects.create(
            session_id=line.session_id,
            participant=Participant.objects.get(pk=line.participant_id),
            start=line.start,
            end=line.end,
            audio_start=line.start,
            state=UtteranceState.DONE,
            text=line.text,
            language=line.language[:8],
            finished_at=timezone.now(),
        )
        events.append(line.session_id, "utterance", lines.event_of(row))


def _is_unwanted(spoken: Spoken) -> bool:
    """Whether they have asked meanwhile not to be written down."""
    people = Participant.objects.filter(pk=spoken.participant_id)
    return people.exclude(opted_out_at=None).exists()


def _known(spoken: Spoken) -> list[tuple[int, int]]:
    """The rows of this participant, itself perhaps, that hold something of it."""
    rows = Utterance.objects.filter(
        participant=spoken.participant_id, end__gt=spoken.start, start__lt=spoken.end
    )
    return list(rows.values_list("start", "end"))


def complete(
    claim: Claim, recognised: Recognised, *, now: datetime | None = None
) -> bool:
    """Put the text in and tell everybody; False, and nothing, for a lost claim."""
    words = lines.timed(claim, recognised.words)
    changes: dict[str, Any] = {
        "state": UtteranceState.DONE if recognised.text else UtteranceState.EMPTY,
        "text": recognised.text,
        "words": words,
        "language": recognised.language[:8],
        "confidence": recognised.confidence if recognised.text else None,
        "audio": None,
        "claimed_by": "",
        "lease_until": None,
        "error": "",
        "finished_at": now or timezone.now(),
    }
    with transaction.atomic():
        if _held(claim.utterance_id, claim.token).update(**changes) != 1:
            return False
        if recognised.text:
            data = lines.event(claim, recognised, words=words)
            events.append(claim.session_id, "utterance", data)
        _on_settled(claim.session_id)
    _pin_language(claim, recognised)
    return True


def delay_s(utterance_id: int, *, now: datetime | None = None) -> float | None:
    """How long ago its speech ended; None for one that is gone."""
    rows = Utterance.objects.filter(pk=utterance_id)
    found = rows.values_list("session__started_at", "end").first()
    if found is None or found[0] is None:
        return None
    ended = found[0] + timedelta(seconds=found[1] / TIMELINE_RATE)
    return max(((now or timezone.now()) - ended).total_seconds(), 0.0)


def give_back(claim: Claim, *, error: str, now: datetime | None = None) -> None:
    """The work failed: others may try, or nobody any more after enough attempts.

    `error` names a kind of fault; never what was said.
    """
    now = now or timezone.now()
    _release(claim.utterance_id, claim.token, error=error, now=now)


def postpone(claim: Claim) -> None:
    """The model has gone: the row waits for it, and this was no attempt."""
    _held(claim.utterance_id, claim.token).update(
        state=UtteranceState.PENDING,
        attempts=F("attempts") - 1,
        claimed_by="",
        lease_until=None,
    )


def release_expired(*, now: datetime | None = None) -> int:
    """Take back claims whose lease is over; returns how many."""
    now = now or timezone.now()
    claimed = Utterance.objects.filter(state=UtteranceState.CLAIMED)
    expired = claimed.filter(lease_until__lt=now).values_list("pk", "claimed_by")
    return sum(
        _release(pk, token, error="lease_expired", now=now)
        for pk, token in list(expired)
    )


def release_dead(host: str, *, now: datetime | None = None) -> int:
    """Take back claims of this host's dead processes; returns how many."""
    now = now or timezone.now()
    ours = Utterance.objects.filter(
        state=UtteranceState.CLAIMED, claimed_by__startswith=f"{host}:"
    )
    rows = list(ours.values_list("pk", "claimed_by"))
    dead = [(pk, token) for pk, token in rows if not workers.lives(token)]
    return sum(_release(pk, token, error="worker_died", now=now) for pk, token in dead)


def retry_failed(utterance_ids: list[int]) -> int:
    """Let given-up rows be tried anew, where their sound is still there."""
    given_up = Utterance.objects.filter(
        pk__in=utterance_ids, state=UtteranceState.FAILED, audio__isnull=False
    )
    retried = given_up.update(
        state=UtteranceState.PENDING,
        attempts=0,
        error="",
        lease_until=None,
        finished_at=None,
        created_at=timezone.now(),
    )
    if retried:
        doorbell.ring(doorbell.DRAIN)
    return retried


def backlog(*, now: datetime | None = None) -> Backlog:
    """What waits, of all sessions."""
    found = Utterance.objects.filter(state__in=UNFINISHED).aggregate(
        pending=Count("pk", filter=Q(state=UtteranceState.PENDING)),
        claimed=Count("pk", filter=Q(state=UtteranceState.CLAIMED)),
        oldest=Min("created_at"),
    )
    age = (now or timezone.now()) - (found["oldest"] or now or timezone.now())
    waited_s = max(0.0, age.total_seconds())
    return Backlog(found["pending"], found["claimed"], waited_s)


def behind_s(
    session_ids: Collection[int], *, now: datetime | None = None
) -> dict[int, float]:
    """For how long the oldest utterance of each session has waited; sessions where
    none waits are left out."""
    rows = Utterance.objects.filter(state__in=UNFINISHED, session__in=session_ids)
    oldest = rows.values_list("session").annotate(Min("created_at"))
    now = now or timezone.now()
    return {pk: max(0.0, (now - at).total_seconds()) for pk, at in oldest.order_by()}


def final_waits() -> bool:
    """Whether any utterance waits for a worker: provisional text stands back then."""
    return Utterance.objects.filter(state=UtteranceState.PENDING).exists()


def language_of(participant_id: int) -> str:
    """The language somebody is known to speak; empty where it must be detected."""
    people = Participant.objects.filter(pk=participant_id)
    known = people.values_list("session__language", "language").first() or ("", "")
    return settings.STT_LANGUAGE or known[0] or known[1]


def unfinished(session_id: int) -> int:
    """How many utterances of a session have neither text nor been given up."""
    rows = Utterance.objects.filter(session=session_id, state__in=UNFINISHED)
    return rows.count()


def of_session(session_id: int) -> list[Line]:
    """The lines of a session's transcript, by their start, as people corrected them."""
    rows = Utterance.objects.filter(session=session_id, state=UtteranceState.DONE)
    rows = rows.select_related("participant__merged_into").defer("audio")
    made = Correction.objects.filter(utterance__session=session_id, is_current=True)
    corrected = dict(made.order_by().values_list("utterance", "text"))
    said = [
        lines.line(row, corrected=corrected.get(row.pk))
        for row in rows.order_by("start", "pk")
    ]
    unrecorded = [lines.unrecorded(one) for one in optout.absent(session_id)]
    # Stable: in their place among what was said.
    return sorted([*said, *unrecorded], key=lambda one: one.start_ms)


def _held(utterance_id: int, token: str) -> Any:
    """The row, for as long as this claim is the one that stands."""
    return Utterance.objects.filter(
        pk=utterance_id, state=UtteranceState.CLAIMED, claimed_by=token
    )


def _release(utterance_id: int, token: str, *, error: str, now: datetime) -> bool:
    """End a claim without a text; False when it stood no more."""
    with transaction.atomic():
        held = _held(utterance_id, token).select_for_update(of=("self",))
        row = held.select_related("participant").defer("audio").first()
        if row is None:
            return False
        is_last = row.attempts >= settings.STT_MAX_ATTEMPTS
        changes = _given_up(now) if is_last else _waiting_again(row.attempts, now)
        _held(utterance_id, token).update(claimed_by="", error=error[:200], **changes)
        if is_last:
            _tell_given_up(row)
            _on_settled(row.session_id)
    log.warning(
        "utterance.given_up" if is_last else "utterance.released",
        session=row.session_id,
        utterance=utterance_id,
        attempts=row.attempts,
        error=error,
    )
    return True


def _given_up(now: datetime) -> dict[str, Any]:
    return {"state": UtteranceState.FAILED, "lease_until": None, "finished_at": now}


def _waiting_again(attempts: int, now: datetime) -> dict[str, Any]:
    # The first failure is often a killed worker's: nothing wrong with the row.
    rest = timedelta(seconds=REST_S * (attempts - 1))
    until = now + rest if rest else None
    return {"state": UtteranceState.PENDING, "lease_until": until}


def _tell_given_up(row: Utterance) -> None:
    name = row.participant.name
    data = {
        "code": "utterance_failed",
        "message": f"Some words of {name} could not be written down.",
        "id": str(row.public_id),
    }
    events.append(row.session_id, "notice", data)


def _on_settled(session_id: int) -> None:
    """After this commit: if a finishing session waited for it, let it go on.

    One that is ready has its words in storage, and these are to come there too.

    Looked at after the commit: of two last rows that end at once, one sees none left.
    """

    def resume() -> None:
        rows = VoiceSession.objects.filter(pk=session_id)
        state = rows.values_list("state", flat=True).first()
        if state not in (State.FINISHING, State.READY) or unfinished(session_id):
            return
        if state == State.FINISHING:
            finish.ring(session_id)
        else:
            jobs.ask("archive", [session_id])

    transaction.on_commit(resume, robust=True)


def _pin_language(claim: Claim, recognised: Recognised) -> None:
    """Keep what was detected: detecting costs a second pass of the model.

    Not in the text's transaction, which holds the session's row while somebody who
    leaves holds the participant's and wants the session's.
    """
    certain = recognised.language_probability >= PIN_PROBABILITY
    if claim.language or not (recognised.text and recognised.language and certain):
        return
    person = Participant.objects.filter(pk=claim.participant_id, language="")
    person.update(language=recognised.language[:8])
