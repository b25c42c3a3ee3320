"""How the installation is doing: what a moderator looks at when something seems wrong.

Reads only. Each chart is one query; none of them looks at more than the last day's
rows, however many there are.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Q, Sum
from django.db.models.functions import TruncHour
from django_q.conf import Conf
from django_q.models import Failure
from django_q.status import Stat

from bot.discord.guild import deeds
from bot.models import Call, DiscordCall
from bot.parts import Part
from sessions import jobs, pulses, spool
from sessions.audio.frames import TIMELINE_RATE
from sessions.models import Job, Recording, State, Tier, VoiceRequest, VoiceSession
from sessions.queries import ALIVE
from transcripts import doorbell, status, utterances
from transcripts.models import Utterance, UtteranceState

log = structlog.get_logger(__name__)

HOURS = 24
KEPT_S = 60
"""The sums over all recordings are looked at so often, and no more."""
FREE_LOW = 0.1


@dataclass(frozen=True, slots=True)
class Sign:
    """One part of the installation, and whether it is well."""

    name: str
    value: str
    is_well: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A number of each of the last hours, the oldest first."""

    title: str
    unit: str
    values: tuple[float, ...]
    first: datetime
    """When the oldest hour began."""

    @property
    def total(self) -> float:
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Shelf:
    """What storage and spool hold of one tier."""

    tier: str
    files: int
    bytes: int
    waiting: int
    """Of them, not in storage yet."""
    failed: int


@dataclass(frozen=True, slots=True)
class Disk:
    """Where the spool lies."""

    total: int
    free: int
    spooled: int

    @property
    def is_low(self) -> bool:
        return self.free < FREE_LOW * self.total


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of failures of the last day."""

    name: str
    count: int


def states() -> dict[str, int]:
    """How many sessions are in each state in which something still happens."""
    rows = VoiceSession.objects.filter(state__in=(*ALIVE, State.FINISHING))
    counted = rows.order_by().values_list("state").annotate(Count("pk"))
    shown = [str(state.value) for state in (*ALIVE, State.FINISHING)]
    return dict.fromkeys(shown, 0) | dict(counted)


def calls() -> dict[str, int]:
    """Calls that run now."""
    alive = VoiceSession.objects.filter(state__in=ALIVE).values("pk")
    phone = Call.objects.filter(ended_at=None, session__in=alive)
    discord = DiscordCall.objects.filter(session__in=alive)
    waiting = VoiceRequest.objects.filter(state=VoiceRequest.State.WAITING)
    return {
        "phone": phone.count(),
        "discord": discord.count(),
        "waiting": waiting.count(),
        "left behind": deeds.left_behind().count(),
    }


def signs(*, now: datetime) -> list[Sign]:
    """The processes, and what waits for them."""
    speech, waiting = status.read(now=now.timestamp()), utterances.backlog(now=now)
    open_jobs = Job.objects.filter(state__in=Job.OPEN).count()
    return [
        *(_bot(part) for part in Part if part.is_wanted),
        *_clusters(),
        Sign(
            "Speech to text",
            f"{speech.state} {speech.model}".strip(),
            is_well=speech.state == "ready",
            note=speech.message or _heard(speech.at, now),
        ),
        Sign("Lines that wait", str(waiting.pending + waiting.claimed)),
        Sign(
            "The oldest of them waits",
            f"{waiting.oldest_s:.0f} s",
            is_well=waiting.oldest_s < 60,
        ),
        _queue("stt"),
        _queue("media"),
        Sign("Jobs under way", str(open_jobs), is_well=not _late(now)),
    ]


def _bot(part: Part) -> Sign:
    name, age_s = part.capitalize(), pulses.age_s(part)
    if age_s is None:
        note = f"It has not been heard of: {part.loss}."
        return Sign(name, "silent", is_well=False, note=note)
    told = f"heard {age_s:.0f} s ago"
    return Sign(name, told, is_well=age_s <= pulses.SILENT_S)


def _heard(at: float, now: datetime) -> str:
    """Of the speech worker's last sign of life."""
    return f"Heard {max(now.timestamp() - at, 0):.0f} s ago." if at else ""


def _clusters() -> list[Sign]:
    """Each cluster of workers says every half second that it lives."""
    try:
        running = Stat.get_all()
    except Exception:
        # Whatever the broker's client raises; its queues say the same below.
        log.warning("operations.no_stats", exc_info=True)
        running = []
    if not running:
        note = "None has said that it lives: nothing is stored, mixed or written."
        return [Sign("Workers", "silent", is_well=False, note=note)]
    return [
        Sign(
            f"Workers of process {one.pid}",
            f"{len(one.workers)}, {one.status.lower()}",
            is_well=one.status in (Conf.IDLE, Conf.WORKING),
            note=f"On {one.host}.",
        )
        for one in running
    ]


def _queue(cluster: str) -> Sign:
    depth = doorbell.waiting(cluster)
    name = f"Tasks in the {cluster} queue"
    if depth is None:
        return Sign(name, "unknown", is_well=False, note="The broker does not answer.")
    return Sign(name, str(depth), is_well=depth < 200)


def _late(now: datetime) -> bool:
    long_ago = now - timedelta(seconds=5 * jobs.LEASE_S)
    return jobs.due(now=now).filter(rung_at__lt=long_ago).exists()


def shelves() -> list[Shelf]:
    """By tier. Every recording is looked at: not more often than each minute."""
    found: list[Shelf] | None = cache.get("operations.shelves")
    if found is None:
        found = _shelves()
        cache.set("operations.shelves", found, KEPT_S)
    return found


def _shelves() -> list[Shelf]:
    of = Recording.State
    rows = (
        Recording.objects.order_by()
        .values("tier")
        .annotate(
            files=Count("pk"),
            bytes=Sum("size"),
            waiting=Count("pk", filter=Q(state=of.SPOOLED)),
            failed=Count("pk", filter=Q(state=of.FAILED)),
        )
    )
    known = {row["tier"]: row for row in rows}
    return [Shelf(**known[tier]) for tier in Tier.values if tier in known]


def disk() -> Disk:
    """Of the host that serves this page."""
    root = Path(settings.DATA_DIR)
    usage = shutil.disk_usage(root)
    return Disk(usage.total, usage.free, _spooled())


def _spooled() -> int:
    size: int | None = cache.get("operations.spool")
    if size is None:
        files = (path for one in spool.folders() for path in one.path.glob("*"))
        size = sum(path.stat().st_size for path in files if spool.is_file(path))
        cache.set("operations.spool", size, KEPT_S)
    return size


def faults(*, now: datetime) -> list[Fault]:
    """What failed in the last day."""
    since = now - timedelta(hours=HOURS)
    sessions = VoiceSession.objects.filter(state=State.FAILED, ended_at__gte=since)
    lines = Utterance.objects.filter(
        state=UtteranceState.FAILED, finished_at__gte=since
    )
    files = Recording.objects.filter(
        state=Recording.State.FAILED, created_at__gte=since
    )
    tasks = Failure.objects.filter(stopped__gte=since)
    return [
        Fault("Sessions that failed", sessions.count()),
        Fault("Lines given up", lines.count()),
        Fault("Files given up", files.count()),
        Fault("Tasks that broke", tasks.count()),
    ]


def charts(*, now: datetime) -> list[Chart]:
    """The last 24 hours, by the hour."""
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    begun = VoiceSession.objects.filter(created_at__gte=first)
    files = Recording.objects.filter(
        tier=Tier.CHUNK, pk__gt=_before(Recording, first), created_at__gte=first
    )
    lines = Utterance.objects.filter(
        pk__gt=_before(Utterance, first), finished_at__gte=first
    )
    waited = ExpressionWrapper(
        F("finished_at") - F("created_at"), output_field=DurationField()
    )
    lines = lines.exclude(state=UtteranceState.FAILED)
    failed = VoiceSession.objects.filter(state=State.FAILED, ended_at__gte=first)
    of_lines = _hourly(lines, "finished_at", count=Count("pk"), lag=Avg(waited))
    return [
        _chart(
            "Sessions begun", "", first, _hourly(begun, "created_at", n=Count("pk"))
        ),
        _chart(
            "Recorded",
            "min",
            first,
            _hourly(files, "created_at", n=Sum("duration")),
            per=60 * TIMELINE_RATE,
        ),
        _chart(
            "Lines written",
            "",
            first,
            {at: row["count"] for at, row in _each(of_lines)},
        ),
        _chart(
            "Lag of lines",
            "s",
            first,
            {
                at: row["lag"].total_seconds()
                for at, row in _each(of_lines)
                if row["lag"]
            },
        ),
        _chart(
            "Sessions failed", "", first, _hourly(failed, "ended_at", n=Count("pk"))
        ),
    ]


def _each(rows: dict[datetime, Any]) -> Iterable[tuple[datetime, dict[str, Any]]]:
    return rows.items()


def _hourly(rows: Any, field: str, **numbers: Any) -> dict[datetime, Any]:
    """One number of each hour, or several: then a row of them."""
    grouped = rows.order_by().annotate(hour=TruncHour(field)).values("hour")
    found = {row.pop("hour"): row for row in grouped.annotate(**numbers)}
    if list(numbers) == ["n"]:
        return {hour: row["n"] for hour, row in found.items()}
    return found


def _chart(
    title: str,
    unit: str,
    first: datetime,
    numbers: dict[datetime, Any],
    *,
    per: float = 1,
) -> Chart:
    hours = [first + timedelta(hours=hour) for hour in range(HOURS)]
    values = tuple(float(numbers.get(hour) or 0) / per for hour in hours)
    return Chart(title, unit, values, first)


def _before(model: Any, moment: datetime) -> int:
    """The newest row made before a moment, by halving: rows are made in the order of
    their numbers, and there is no index on when. Rows that were tried again may seem
    younger: then it is a few more that are looked at."""
    ends = model.objects.order_by("pk").values_list("pk", flat=True)
    low, high = 0, ends.last() or 0
    while low < high:
        middle = (low + high + 1) // 2
        row = model.objects.filter(pk__gte=middle).order_by("pk")
        found = row.values_list("pk", "created_at").first()
        if found is None or found[1] >= moment:
            high = middle - 1
        else:
            low = found[0]
    return low
