"""Storage against database, both ways: what one has and the other does not know.

An object without a row is taken in when its session exists (its name says what it is),
and is a stranger otherwise: told, and deleted only when asked to. A row whose object is
gone or has another size is marked; what can be made again from what is left, is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

import structlog
from django.utils import timezone

from sessions import keys, measures, mixing, participants, recordings
from sessions.models import Recording, State, Tier, VoiceSession
from sessions.storage import Stored, storage

log = structlog.get_logger(__name__)

YOUNG = timedelta(minutes=10)
"""An object this young may be one whose row is just being written."""


class Verdict(StrEnum):
    TAKEN_IN = "was not in the database: taken in"
    STRANGER = "belongs to no session"
    DELETED = "belonged to no session: deleted"
    LOST = "is not in storage any more"
    OTHER_SIZE = "has another size in storage"

    @property
    def told(self) -> str:
        """Of what was only looked at."""
        is_unknown = self is Verdict.TAKEN_IN
        return "is not in the database, its session is" if is_unknown else self.value


PUT_RIGHT = (Verdict.TAKEN_IN, Verdict.DELETED)


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference, and what is made of it."""

    key: str
    verdict: Verdict
    size: int = field(default=0, compare=False)
    """In storage, or where it is lost, as its row has it."""


def reconcile(*, dry_run: bool = False, delete: bool = False) -> list[Finding]:
    """Look at everything once. Raises StorageError: then nothing can be said.

    `delete`: strangers are deleted. A dry run only tells.
    """
    found = {stored.key: stored for stored in storage().listing(f"{keys.ROOT}/")}
    known = {row.key: row for row in Recording.objects.select_related("session")}
    findings = [
        *_unknown(found, known, dry_run=dry_run, delete=delete),
        *_missing(found, known, dry_run=dry_run),
    ]
    for finding in findings:
        log.info("reconciled", key=finding.key, verdict=finding.verdict.name.lower())
    if not dry_run:
        healed = sum(finding.verdict in PUT_RIGHT for finding in findings)
        measures.orphans("file", found=len(findings), healed=healed)
    return findings


def look(key: str) -> Finding | None:
    """What is different with one key just now. Raises StorageError."""
    found, known = _of(key)
    unknown = _unknown(found, known, dry_run=True, delete=False)
    missing = _missing(found, known, dry_run=True)
    return next(unknown, None) or next(missing, None)


def settle(key: str) -> Finding | None:
    """Mend one key; a stranger is deleted. Raises StorageError."""
    found, known = _of(key)
    unknown = _unknown(found, known, dry_run=False, delete=True)
    missing = _missing(found, known, dry_run=False)
    finding = next(unknown, None) or next(missing, None)
    if finding:
        log.info("reconciled", key=key, verdict=finding.verdict.name.lower())
    return finding


def _of(key: str) -> tuple[dict[str, Stored], dict[str, Recording]]:
    # By the listing, as above: an object's own headers may lack its age.
    lying = [one for one in storage().listing(key) if one.key == key]
    rows = Recording.objects.select_related("session").filter(key=key)
    return {one.key: one for one in lying}, {row.key: row for row in rows}


def _unknown(
    found: dict[str, Stored],
    known: dict[str, Recording],
    *,
    dry_run: bool,
    delete: bool,
) -> Iterator[Finding]:
    for key, stored in found.items():
        if key in known or _is_young(stored):
            continue
        session = _session_of(key)
        if session is not None and session.state != State.DELETED and _is_known(key):
            if not dry_run:
                _take_in(session, stored)
            yield Finding(key, Verdict.TAKEN_IN, stored.size)
        elif delete:
            if not dry_run:
                storage().delete([key])
            yield Finding(key, Verdict.DELETED, stored.size)
        else:
            yield Finding(key, Verdict.STRANGER, stored.size)


def _missing(
    found: dict[str, Stored], known: dict[str, Recording], *, dry_run: bool
) -> Iterator[Finding]:
    for key, row in known.items():
        if row.state != Recording.State.STORED:
            continue
        stored = found.get(key)
        if stored is not None and stored.size == row.size:
            continue
        verdict = Verdict.LOST if stored is None else Verdict.OTHER_SIZE
        if not dry_run:
            _mend(row, verdict)
        yield Finding(key, verdict, row.size)


def _is_young(stored: Stored) -> bool:
    at = stored.modified_at
    return at is not None and timezone.now() - at < YOUNG


def _session_of(key: str) -> VoiceSession | None:
    parsed = keys.parse(key)
    if parsed is None:
        return None
    return VoiceSession.objects.filter(public_id=parsed.session).first()


def _is_known(key: str) -> bool:
    """Whether it is nobody's who had everything of theirs erased."""
    parsed = keys.parse(key)
    return parsed is None or not participants.is_erased(parsed.participant)


def _take_in(session: VoiceSession, stored: Stored) -> None:
    parsed = keys.parse(stored.key)
    assert parsed is not None
    recordings.take_in(session, parsed, stored)


def _mend(row: Recording, verdict: Verdict) -> None:
    """A master is mixed again from its fragments; of the rest, the row tells."""
    recordings.failed(row, f"The file {verdict}.", for_good=True)
    if row.tier == Tier.MASTER:
        recordings.replace_master(row.session_id)
        mixing.ring(row.session_id)
