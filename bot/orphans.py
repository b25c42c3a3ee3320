"""Orphans: what was left behind, found by a look that changes nothing, and cleaned only
as it was shown. What has changed since is left alone, and said.

Knows where to look; what is done about each is a service of the house. Discord itself
is the bot's: rows are marked here, and its sweep does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django_q.models import OrmQ

from bot.discord.guild import deeds
from sessions import finish, lifecycle, reconciling, recovery, spool
from sessions.errors import VoiceError
from sessions.models import State, VoiceSession
from transcripts import utterances
from transcripts.models import Utterance, UtteranceState

FOUND_MAX = 1000
"""Of each group at a time: clean these, then look again."""
STUCK_AFTER = timedelta(minutes=30)
UNTAKEN_AFTER = timedelta(minutes=15)


class ChangedError(VoiceError):
    """It is no longer what it was when somebody looked."""

    def __init__(self) -> None:
        message = "It has changed since the look, and was left alone."
        super().__init__("changed", message, status=409)


@dataclass(frozen=True, slots=True)
class Orphan:
    """One thing left behind. `mark` is what must be the same when it is cleaned."""

    group: str
    id: str
    name: str
    """For people."""
    remedy: str
    size: int = 0
    mark: str = ""

    @property
    def same(self) -> tuple[str, str, str]:
        return self.group, self.id, self.mark


@dataclass(frozen=True, slots=True)
class Group:
    """One kind of orphans: how they are found, and what cleaning one does."""

    key: str
    title: str
    about: str
    find: Callable[[], Iterator[Orphan]]
    again: Callable[[Orphan], Orphan | None]
    """It as it is now; None where it is no orphan any more."""
    clean: Callable[[Orphan], None]


def look(group: str, options: dict[str, Any]) -> list[Any]:
    """What is left behind of one kind. Changes nothing. Raises StorageError."""
    found = islice(GROUPS[group].find(), FOUND_MAX)
    return [asdict(one) for one in found]


def clean(item: dict[str, Any], options: dict[str, Any]) -> bool:
    """Clean one that was shown. Raises ChangedError where it is another now."""
    orphan = Orphan(**item)
    group = GROUPS[orphan.group]
    now = group.again(orphan)
    if now is None or now.same != orphan.same:
        raise ChangedError
    group.clean(orphan)
    return True


# --- Discord ------------------------------------------------------------------------


def _discord() -> Iterator[Orphan]:
    for call in deeds.left_behind().order_by("pk").iterator(200):
        left = [
            text
            for text, is_left in (
                (
                    f"room {call.room_id or call.room_name}",
                    call.room_id or call.room_name,
                ),
                ("our nickname", call.nickname),
                ("a channel's status", call.status_on),
            )
            if is_left
        ]
        yield Orphan(
            "discord",
            str(call.pk),
            f"Guild {call.guild_id}: {', '.join(left) or 'nothing known'}"
            + (f" ({call.error})" if call.error else ""),
            "The bot tries to undo it at its next sweep, in seconds.",
        )


def _discord_again(orphan: Orphan) -> Orphan | None:
    return orphan if deeds.still_left(int(orphan.id)) else None


def _discord_clean(orphan: Orphan) -> None:
    deeds.due_now([int(orphan.id)])


# --- sessions -----------------------------------------------------------------------


def _forsaken() -> Q:
    """Active, and no process has said for long that it holds it; or its end stopped
    half-way."""
    silent = timezone.now() - timedelta(seconds=2 * settings.SESSION_IDLE_TTL_S)
    return Q(state=State.ACTIVE) & (
        Q(heartbeat_at=None)
        | Q(heartbeat_at__lt=silent)
        | Q(stop_requested_at__lt=silent)
    )


def _sessions() -> Iterator[Orphan]:
    rows = VoiceSession.objects.filter(_forsaken()).order_by("pk")
    yield from map(_session_orphan, rows.iterator(200))


def _session_orphan(session: VoiceSession) -> Orphan:
    heard = session.heartbeat_at
    since = f"{heard:%d %B, %H:%M}" if heard else "never"
    return Orphan(
        "sessions",
        str(session.pk),
        f"{session.title or session}: last sign of life {since}",
        "It is ended, and what was recorded of it is finished.",
        mark=str(heard),
    )


def _session_again(orphan: Orphan) -> Orphan | None:
    row = VoiceSession.objects.filter(_forsaken(), pk=int(orphan.id)).first()
    return _session_orphan(row) if row else None


def _session_clean(orphan: Orphan) -> None:
    lifecycle.request_stop(int(orphan.id))
    async_to_sync(finish.close)(int(orphan.id), reason="recovered")


# --- sound --------------------------------------------------------------------------


def _spool() -> Iterator[Orphan]:
    for one in recovery.recover(dry_run=True):
        if one.done == recovery.WOULD_BE and _is_left(one.public_id):
            yield _spool_orphan(one.public_id)


def _is_left(public_id: str) -> bool:
    """Whether nobody works on its end just now."""
    alive = (State.REQUESTED, State.WAITING, State.ACTIVE, State.FINISHING)
    rows = VoiceSession.objects.filter(public_id=public_id, state__in=alive)
    return not rows.exists()


def _spool_orphan(public_id: str) -> Orphan:
    folders = spool.folders(public_id)
    files = [path for one in folders for path in one.path.iterdir() if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    return Orphan(
        "spool",
        public_id,
        f"Session {public_id[:8]}: {len(files)} files on this host's disk",
        "They are carried to their finished recording, or dropped if nothing of it may"
        " be kept.",
        size=size,
        mark=f"{len(files)} {size}",
    )


def _spool_again(orphan: Orphan) -> Orphan | None:
    still = spool.folders(orphan.id) and _is_left(orphan.id)
    return _spool_orphan(orphan.id) if still else None


def _spool_clean(orphan: Orphan) -> None:
    for one in recovery.recover(UUID(orphan.id)):
        if one.done.endswith(": left"):
            raise VoiceError("left", f"{one.done}.", status=409)


REMEDIES = {
    reconciling.Verdict.TAKEN_IN: "It gets its row: its session is known.",
    reconciling.Verdict.STRANGER: "It is deleted: no session knows it.",
    reconciling.Verdict.LOST: "Its row is marked; a master is mixed again.",
    reconciling.Verdict.OTHER_SIZE: "Its row is marked; a master is mixed again.",
}


def _differences(group: str, verdicts: tuple[reconciling.Verdict, ...]) -> Any:
    def find() -> Iterator[Orphan]:
        for found in reconciling.reconcile(dry_run=True):
            if found.verdict in verdicts:
                yield _difference(group, found)

    return find


def _difference(group: str, found: reconciling.Finding) -> Orphan:
    return Orphan(
        group,
        found.key,
        f"{found.key} {found.verdict.told}",
        REMEDIES[found.verdict],
        size=found.size,
        mark=f"{found.verdict.name} {found.size}",
    )


def _difference_again(orphan: Orphan) -> Orphan | None:
    found = reconciling.look(orphan.id)
    return _difference(orphan.group, found) if found else None


def _difference_clean(orphan: Orphan) -> None:
    reconciling.settle(orphan.id)


# --- tasks --------------------------------------------------------------------------


def _tasks() -> Iterator[Orphan]:
    now = timezone.now()
    if not settings.REDIS_URL:
        waiting = OrmQ.objects.filter(lock__lt=now - UNTAKEN_AFTER).order_by("pk")
        yield from map(_task_orphan, waiting.iterator(200))
    ends = VoiceSession.objects.filter(_stuck()).order_by("pk")
    yield from map(_end_orphan, ends.iterator(200))
    late = Utterance.objects.filter(state=UtteranceState.CLAIMED, lease_until__lt=now)
    if count := late.count():
        yield Orphan(
            "tasks",
            "claims",
            f"{count} lines claimed by workers that are gone",
            "Other workers may take them.",
        )


def _task_orphan(row: OrmQ) -> Orphan:
    return Orphan(
        "tasks",
        f"task:{row.pk}",
        f"Task {row.pk} of the queue {row.key!r}, that nobody takes",
        "It leaves the queue. What it was to do stands in the tables, and is rung for"
        " again.",
        mark=str(row.lock),
    )


def _end_orphan(session: VoiceSession) -> Orphan:
    return Orphan(
        "tasks",
        f"end:{session.pk}",
        f"The end of {session.title or session}, since {session.ended_at:%d %B, %H:%M}",
        "A worker is rung for, and goes on with it.",
    )


def _stuck() -> Q:
    return Q(state=State.FINISHING, ended_at__lt=timezone.now() - STUCK_AFTER)


def _task_again(orphan: Orphan) -> Orphan | None:
    kind, _, number = orphan.id.partition(":")
    if kind == "task":
        row = OrmQ.objects.filter(pk=number).first()
        return _task_orphan(row) if row else None
    if kind == "end":
        ends = VoiceSession.objects.filter(_stuck(), pk=number)
        return orphan if ends.exists() else None
    return orphan


def _task_clean(orphan: Orphan) -> None:
    kind, _, number = orphan.id.partition(":")
    if kind == "task":
        OrmQ.objects.filter(pk=number).delete()
    elif kind == "end":
        finish.ring(int(number))
    else:
        utterances.release_expired()


Verdict = reconciling.Verdict
GROUPS: dict[str, Group] = {
    group.key: group
    for group in (
        Group(
            "discord",
            "Left in Discord",
            "Rooms, nicknames and channel statuses of calls that are over.",
            _discord,
            _discord_again,
            _discord_clean,
        ),
        Group(
            "sessions",
            "Sessions that nobody holds",
            "They count as active, and no process has said so for long.",
            _sessions,
            _session_again,
            _session_clean,
        ),
        Group(
            "spool",
            "Sound on this host's disk",
            "Recorded here, and its session is over, or unknown.",
            _spool,
            _spool_again,
            _spool_clean,
        ),
        Group(
            "strangers",
            "Files without a row",
            "Storage has them, the database does not know them.",
            _differences("strangers", (Verdict.TAKEN_IN, Verdict.STRANGER)),
            _difference_again,
            _difference_clean,
        ),
        Group(
            "lost",
            "Rows without their file",
            "The database says that storage has them. It has not, or another size.",
            _differences("lost", (Verdict.LOST, Verdict.OTHER_SIZE)),
            _difference_again,
            _difference_clean,
        ),
        Group(
            "tasks",
            "Tasks that are stuck",
            "Queued and not taken, begun and not ended.",
            _tasks,
            _task_again,
            _task_clean,
        ),
    )
}
