"""THE writer of jobs: what a moderator asked to be done to many things, one by one.

The row is the queue. A worker owns it for as long as its token stands there, and notes
each item when it is through with it: one that dies loses at most the item it was at,
which is then done again. What is done to an item is a service of its own, and may be
done twice.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from sessions import hosts
from sessions.errors import VoiceError
from sessions.models import Job
from sessions.renewing import renewing

log = structlog.get_logger(__name__)

Outcome = bool | list[Any]
"""Whether an item is done; False: ask again in a moment. A list: done, with what was
found."""
Work = Callable[[Any, dict[str, Any]], Outcome]
"""(item, options and the number of the job). Raises VoiceError where it is not to be
done, and says why."""

LEASE_S = 60.0
"""Renewed while an item takes longer: a worker that is silent for so long is dead."""
SLICE_S = 60.0
"""Then another task may have its turn; the job goes on behind it."""
REST_S = 2.0
"""Between two looks at items that others are still at."""
DEATHS_MAX = 3
"""An item at which so many workers died is given up."""
ITEMS_MAX = 5000

KINDS: dict[str, str] = {
    "end": "sessions.acting.end",
    "finish": "sessions.acting.finish_again",
    "again": "transcripts.again.job",
    "archive": "transcripts.archive.again",
    "remix": "sessions.acting.remix",
    "upload": "sessions.acting.upload",
    "delete": "sessions.acting.delete",
    "look": "bot.orphans.look",
    "clean": "bot.orphans.clean",
}
"""What is done to each item, by kind: dotted paths, for some of it is above us."""
TRANSCRIPTS = "transcripts.bundle.zipped"
"""(ids of sessions, suffix) -> the bytes of a ZIP with their transcripts."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a job is."""

    total: int
    done: int
    failed: int

    @property
    def percent(self) -> int:
        return 100 * (self.done + self.failed) // self.total if self.total else 100


class TooManyError(VoiceError):
    def __init__(self, count: int) -> None:
        message = f"{count} are too many at once: choose at most {ITEMS_MAX}."
        super().__init__("too_many", message, status=400)


def ask(
    kind: str,
    items: Sequence[Any],
    *,
    by: int | None = None,
    options: dict[str, Any] | None = None,
) -> Job:
    """Write a job down, and have a worker begin. Raises TooManyError."""
    assert kind in KINDS
    if len(items) > ITEMS_MAX:
        raise TooManyError(len(items))
    with transaction.atomic():
        job = Job.objects.create(
            kind=kind,
            asked_by_id=by,
            items=list(items),
            options=options or {},
            rung_at=timezone.now(),
        )
        transaction.on_commit(lambda: ring(job.pk), robust=True)
    log.info("job.asked", job=job.pk, kind=kind, items=len(items))
    return job


def cancel(job_id: int, *, now: datetime | None = None) -> bool:
    """Begin no other item; False where it was over. The one at hand is ended."""
    rows = Job.objects.filter(pk=job_id, state__in=Job.OPEN)
    return bool(
        rows.update(state=Job.State.CANCELLED, finished_at=now or timezone.now())
    )


def seen(job: Job) -> Seen:
    failed = len(job.failures)
    return Seen(total=len(job.items), done=job.done, failed=failed)


def ring(job_id: int) -> None:
    """Have a worker go on. Never raises; a lost ring is repeated by the sweep."""
    hosts.put("sessions.tasks.job", job_id, queue=hosts.MEDIA)


def due(*, now: datetime) -> QuerySet[Job]:
    """Jobs that nobody is at, and that may be gone on with."""
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    return Job.objects.filter(free, state__in=Job.OPEN)


def sweep(*, now: datetime) -> list[int]:
    """Ring for what nobody is at: its worker died, rests, or never heard. Each is left
    alone for a while then, so that nothing piles up while no worker runs."""
    quiet = Q(rung_at=None) | Q(rung_at__lt=now - timedelta(seconds=LEASE_S / 2))
    rested = Q(lease_until__gt=F("rung_at"))
    found = list(due(now=now).filter(quiet | rested).values_list("pk", flat=True)[:50])
    Job.objects.filter(pk__in=found).update(rung_at=now)
    for job_id in found:
        ring(job_id)
    return found


def work(job_id: int, *, clock: Callable[[], float] = time.monotonic) -> bool:
    """Go on with a job for a while; True when all of it is done."""
    token = secrets.token_hex(8)
    job = _claim(job_id, token)
    if job is None:
        return False
    until = clock() + SLICE_S
    with renewing(lambda: _renew(job_id, token), every_s=LEASE_S / 3):
        for index in _turns(job):
            if not _one(job, index, token):
                return False
            if clock() > until:
                break
    return _rest(job_id, token)


def _turns(job: Job) -> list[int]:
    """The items to be asked for in this slice: those that nobody was at come first."""
    return [*range(job.next, len(job.items)), *job.waiting]


def _claim(job_id: int, token: str) -> Job | None:
    now = timezone.now()
    won = due(now=now).filter(pk=job_id)
    lease = now + timedelta(seconds=LEASE_S)
    if not won.update(
        state=Job.State.RUNNING,
        claimed_by=token,
        lease_until=lease,
        deaths=F("deaths") + 1,
    ):
        return None
    Job.objects.filter(pk=job_id, started_at=None).update(started_at=now)
    return Job.objects.get(pk=job_id)


def _held(job_id: int, token: str) -> QuerySet[Job]:
    return Job.objects.filter(pk=job_id, state=Job.State.RUNNING, claimed_by=token)


def _renew(job_id: int, token: str) -> None:
    lease = timezone.now() + timedelta(seconds=LEASE_S)
    _held(job_id, token).update(lease_until=lease)


def _one(job: Job, index: int, token: str) -> bool:
    """Do one item and note it; False where the job is no longer ours."""
    item, reason = job.items[index], ""
    outcome: Outcome = True
    if not _held(job.pk, token).exists():
        return False
    if job.deaths > DEATHS_MAX:
        reason = "Its worker died at it, again and again."
    else:
        try:
            outcome = _done(job, item)
        except VoiceError as e:
            reason = e.message
        except Exception as e:
            # One item's fault, whatever it is, must not stop the others.
            log.warning("job.item_failed", job=job.pk, index=index, exc_info=True)
            reason = f"It failed by a fault of ours ({type(e).__name__})."
    return _note(job, index, token, outcome=outcome, reason=reason)


def _done(job: Job, item: Any) -> Outcome:
    service: Work = import_string(KINDS[job.kind])
    return service(item, job.options | {"job": job.pk})


def _note(job: Job, index: int, token: str, *, outcome: Outcome, reason: str) -> bool:
    """Write down what became of an item. In memory, too: one worker holds the row."""
    is_later = outcome is False and not reason
    job.next = max(job.next, index + 1)
    job.waiting = [one for one in job.waiting if one != index]
    if is_later:
        job.waiting.append(index)
    elif reason:
        job.failures.append([index, reason])
    else:
        job.done += 1
    if isinstance(outcome, list):
        job.found += outcome
    job.deaths = 1
    return bool(
        _held(job.pk, token).update(
            next=job.next,
            waiting=job.waiting,
            failures=job.failures,
            done=job.done,
            found=job.found,
            deaths=job.deaths,
        )
    )


def _rest(job_id: int, token: str) -> bool:
    """Let go: for good when nothing is left, for a moment otherwise."""
    job = _held(job_id, token).first()
    if job is None:
        return False
    now = timezone.now()
    if job.next >= len(job.items) and not job.waiting:
        _held(job_id, token).update(
            state=Job.State.DONE, claimed_by="", lease_until=None, finished_at=now
        )
        log.info("job.done", job=job_id, failed=len(job.failures))
        return True
    rest = timedelta(seconds=REST_S if job.next >= len(job.items) else 0)
    _held(job_id, token).update(
        state=Job.State.WAITING,
        claimed_by="",
        deaths=0,
        rung_at=now,
        lease_until=now + rest if rest else None,
    )
    if not rest:
        ring(job_id)
    return False
