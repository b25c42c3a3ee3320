"""THE writer of recordings: the rows of what lies in the spool and in storage."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from django.db import models, transaction
from django.utils import timezone

from sessions import events, hosts, keys
from sessions.audio.frames import TIMELINE_RATE
from sessions.audio.meter import Metered
from sessions.audio.mp3decode import FRAME_BYTES
from sessions.audio.mp3frames import FRAME_SAMPLES
from sessions.models import Participant, Recording, Tier, VoiceSession, Waveform
from sessions.storage import Stored, storage

log = structlog.get_logger(__name__)

ERROR_MAX = 300


@dataclass(frozen=True, slots=True)
class Chunk:
    """A sealed piece of one connection; counts frames of 1152 samples at 48 kHz."""

    session_id: int
    participant_id: int
    connection: str
    first_frame: int
    frames: int
    path: Path
    metered: Metered | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A file that is whole: `start` and `duration` in samples at 48 kHz."""

    session_id: int
    tier: Tier
    key: str
    path: Path
    start: int
    duration: int
    participant_id: int | None = None
    connection: str = ""
    gaps: tuple[tuple[int, int], ...] = ()
    loudness_lufs: float | None = None
    metered: Metered | None = None
    error: str = ""


def sealed(chunk: Chunk) -> Recording:
    """The row of a sealed chunk, made once; a worker is called to store it."""
    row = note_chunk(chunk)
    ring(chunk.session_id)
    return row


def note_chunk(chunk: Chunk) -> Recording:
    """The row of a sealed chunk; one that was made again keeps its own."""
    session = VoiceSession.objects.get(pk=chunk.session_id)
    person = Participant.objects.get(pk=chunk.participant_id)
    start = chunk.first_frame * FRAME_SAMPLES
    made = Made(
        session_id=session.pk,
        tier=Tier.CHUNK,
        key=_chunk_key(session, person, chunk),
        path=chunk.path,
        start=start,
        duration=chunk.frames * FRAME_SAMPLES,
        participant_id=person.pk,
        connection=chunk.connection,
        metered=chunk.metered,
    )
    return note(made)


def _chunk_key(session: VoiceSession, person: Participant, chunk: Chunk) -> str:
    """Its name by its time; a millisecond on, where another connection of the same
    person has a chunk that begins with the same frame."""
    begins = moment(session, chunk.first_frame * FRAME_SAMPLES)
    while True:
        key = keys.chunk_key(
            session.public_id, participant=person.public_id, started_at=begins
        )
        other = Recording.objects.filter(key=key).exclude(connection=chunk.connection)
        if not other.exists():
            return key
        begins += timedelta(milliseconds=1)


@transaction.atomic
def note(made: Made) -> Recording:
    """The row of a whole file; the same file is noted once, however often told."""
    row, _ = Recording.objects.update_or_create(
        key=made.key,
        defaults={
            "session_id": made.session_id,
            "participant_id": made.participant_id,
            "tier": made.tier,
            "connection": made.connection,
            "start": made.start,
            "duration": made.duration,
            "size": made.path.stat().st_size,
            "gaps": [list(gap) for gap in made.gaps],
            "loudness_lufs": made.loudness_lufs,
            "error": made.error,
        },
    )
    if (found := made.metered) is not None:
        kept = {"peaks": found.peak_bytes, "energies": found.energy_bytes}
        Waveform.objects.update_or_create(recording=row, defaults=kept)
    return row


def unreadable(
    session_id: int, person: Participant | None, *, key: str, connection: str
) -> Recording:
    """The row of a file that nobody can read: what went wrong is told on it."""
    row, _ = Recording.objects.get_or_create(
        key=key,
        defaults={
            "session_id": session_id,
            "participant": person,
            "tier": Tier.FRAGMENT,
            "connection": connection,
        },
    )
    return row


def moment(session: VoiceSession, position: int) -> datetime:
    """When a position was, by the wall clock."""
    assert session.started_at is not None
    return session.started_at + timedelta(seconds=position / TIMELINE_RATE)


def is_waiting(session_id: int) -> bool:
    """Whether some of its sound could not be stored yet, and will be tried again."""
    rows = Recording.objects.filter(session_id=session_id, attempts__gt=0)
    return rows.filter(state=Recording.State.SPOOLED).exists()


@contextmanager
def _telling_waits(session_id: int) -> Iterator[None]:
    """One transaction, after which the log says when a wait for storage began or
    ended with it."""
    with transaction.atomic():
        before = is_waiting(session_id)
        yield
        if is_waiting(session_id) != before:
            events.append(session_id, "storage", {"waiting": not before})


def stored(row: Recording, found: Stored) -> None:
    """Storage has it and was asked: told once, also of what is stored anew."""
    rows = Recording.objects.filter(pk=row.pk)
    facts = {"size": found.size, "md5": found.md5 or "", "stored_at": timezone.now()}
    with _telling_waits(row.session_id):
        changed = rows.exclude(state=Recording.State.STORED).update(
            state=Recording.State.STORED,
            # What was wrong with the sound stays; that storage was away does not.
            error="" if row.attempts else row.error,
            **facts,
        )
        if not changed:
            rows.update(**facts)
            return
        data = {"tier": row.tier, "id": row.pk, "bytes": found.size}
        events.append(row.session_id, "recording", data)


def take_in(session: VoiceSession, parsed: keys.Parsed, found: Stored) -> Recording:
    """The row of an object that is in storage already. Fragments come first, then
    chunks by their keys' order: each belongs to the connection that began last."""
    people = Participant.objects.filter(session=session)
    whose = parsed.participant
    person = people.filter(public_id=whose).first() if whose else None
    start, connection = 0, ""
    if parsed.started_at is not None and session.started_at is not None:
        into = parsed.started_at - session.started_at
        # The frame that is nearest: keys know the millisecond.
        frame = round(into.total_seconds() * TIMELINE_RATE / FRAME_SAMPLES)
        start = max(frame, 0) * FRAME_SAMPLES
        connection = f"{whose}-{keys.stamp(parsed.started_at)}"
    if parsed.tier == Tier.CHUNK and person is not None:
        began = start + TIMELINE_RATE  # what arrived first was on its way before
        theirs = Recording.objects.filter(participant=person, start__lte=began)
        before = theirs.exclude(connection="").order_by("start").last()
        connection = before.connection if before else connection
    is_track = parsed.tier in (Tier.CHUNK, Tier.FRAGMENT)
    row, _ = Recording.objects.get_or_create(
        key=found.key,
        defaults={
            "session": session,
            "participant": person,
            "tier": parsed.tier,
            "connection": connection,
            "start": start,
            "duration": samples_in(found.size) if is_track else 0,
            "size": found.size,
            "md5": found.md5,
            "state": Recording.State.STORED,
            "stored_at": timezone.now(),
        },
    )
    return row


def place_by_chunks(session_id: int) -> None:
    """Put fragments that were taken in where their first chunk stands: a fragment's
    key says when its connection opened, and no more."""
    for fragment in of_tier(session_id, Tier.FRAGMENT):
        if chunks := chunks_of(session_id, fragment.connection):
            Recording.objects.filter(pk=fragment.pk).update(start=chunks[0].start)


def samples_in(size: int) -> int:
    """Of a track's file in storage. A fragment has two frames that hold none: one tells
    of the rest, and the last is the decoder's delay; at its end that is silence."""
    return size // FRAME_BYTES * FRAME_SAMPLES


def failed(row: Recording, error: str, *, for_good: bool) -> None:
    """An attempt failed; `for_good` when no other is worth it. Nothing is noted when
    another host has stored it meanwhile."""
    state = Recording.State.FAILED if for_good else Recording.State.SPOOLED
    with _telling_waits(row.session_id):
        Recording.objects.filter(pk=row.pk, state=row.state).update(
            state=state, error=error[:ERROR_MAX], attempts=models.F("attempts") + 1
        )


def spooled(session_id: int) -> list[Recording]:
    """What storage does not have yet: what was tried least, then the oldest first."""
    rows = Recording.objects.filter(
        session_id=session_id, state=Recording.State.SPOOLED
    ).exclude(tier=Tier.TRANSCRIPT)  # its row comes after its object
    return list(
        rows.select_related("session", "participant").order_by("attempts", "pk")
    )


def given_up(session_id: int) -> list[Recording]:
    """What is not tried any more."""
    rows = Recording.objects.filter(
        session_id=session_id, state=Recording.State.FAILED
    ).exclude(tier=Tier.TRANSCRIPT)
    return list(rows.select_related("session").order_by("pk"))


def try_again(rows: list[Recording]) -> int:
    """Have given-up files stored after all; how many."""
    given_up = Recording.objects.filter(
        pk__in=[row.pk for row in rows], state=Recording.State.FAILED
    )
    return given_up.update(state=Recording.State.SPOOLED, attempts=0, error="")


def failed_connections(session_id: int) -> set[str]:
    """The connections of which a file could not be read, or not be stored, for good."""
    rows = Recording.objects.filter(
        session_id=session_id, state=Recording.State.FAILED
    ).exclude(connection="")
    return set(rows.values_list("connection", flat=True))


def without_fragment(session_id: int) -> list[str]:
    """The connections of which chunks are known, and no fragment yet."""
    rows = Recording.objects.filter(session_id=session_id)
    made = rows.filter(tier=Tier.FRAGMENT).values("connection")
    chunks = rows.filter(tier=Tier.CHUNK).exclude(connection="")
    chunks = chunks.exclude(connection__in=made)
    return sorted(set(chunks.values_list("connection", flat=True)))


def chunks_of(session_id: int, connection: str) -> list[Recording]:
    rows = Recording.objects.filter(session_id=session_id, tier=Tier.CHUNK)
    return list(rows.filter(connection=connection).order_by("start", "pk"))


def stored_connections(session_id: int) -> set[str]:
    """The connections of which storage has the fragment."""
    rows = Recording.objects.filter(
        session_id=session_id, tier=Tier.FRAGMENT, state=Recording.State.STORED
    )
    return set(rows.values_list("connection", flat=True))


def of_tier(session_id: int, tier: Tier) -> list[Recording]:
    return of_tiers(session_id, (tier,))


def of_tiers(session_id: int, tiers: Collection[Tier]) -> list[Recording]:
    """Files of these tiers, with whose they are, by their place."""
    rows = Recording.objects.filter(session_id=session_id, tier__in=tiers)
    return list(rows.select_related("participant__merged_into").order_by("start", "pk"))


def of_session(session_id: int) -> list[Recording]:
    """All files of a session: by tier, then by their place."""
    rows = Recording.objects.filter(session_id=session_id)
    return list(rows.select_related("participant__merged_into"))


def metered(session_id: int, connection: str) -> dict[int, Metered]:
    """What was metered of a connection's chunks, by their start."""
    rows = Waveform.objects.filter(
        recording__session=session_id,
        recording__connection=connection,
        recording__tier=Tier.CHUNK,
    ).select_related("recording")
    return {row.recording.start: Metered.of(row.peaks, row.energies) for row in rows}


def waveform(session_id: int, recording_id: int) -> Metered | None:
    """What was metered of one recording, if anything was."""
    rows = Recording.objects.filter(
        pk=recording_id, session_id=session_id, waveform__isnull=False
    )
    row = rows.select_related("waveform").first()
    if row is None:
        return None
    return Metered.of(row.waveform.peaks, row.waveform.energies)


def to_download(session_id: int, recording_id: int | None) -> Recording | None:
    """One stored file of a session: the master unless another is named."""
    rows = Recording.objects.filter(session_id=session_id, state=Recording.State.STORED)
    if recording_id is None:
        return rows.filter(tier=Tier.MASTER).first()
    return rows.filter(pk=recording_id).first()


def forget(rows: list[Recording]) -> None:
    """Delete files, then their rows. Raises StorageError; then it may be done again."""
    if rows:
        storage().delete([row.key for row in rows])
    Recording.objects.filter(pk__in=[row.pk for row in rows]).delete()


def replace_master(session_id: int) -> None:
    """The master is to be made again: another has joined it, or storage lost it."""
    forget(of_tier(session_id, Tier.MASTER))


def ring(session_id: int) -> None:
    """Have a worker of this host store what is sealed. A lost ring costs time only:
    the end of the session stores it in any case."""
    hosts.ring_here("sessions.tasks.store", session_id)
