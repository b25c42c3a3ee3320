"""THE writer of voice requests: who waits for a session, who holds a slot, who is next.

A slot is a served request whose lease runs: whoever serves it renews the lease, and a
process that dies gives its slots back by renewing nothing. Never opens a session or
ends one, except that of a holder who died before anybody had something of it.

Rows are locked in the order of their keys, requests before their sessions: two who lock
in different orders wait for each other for ever. SQLite has no such locks; there every
transaction begins as the only writer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from sessions import lifecycle
from sessions.errors import VoiceError
from sessions.models import Source, State, VoiceRequest, VoiceSession
from sessions.names import clean

log = structlog.get_logger(__name__)

RequestState = VoiceRequest.State
WAITS = Q(state=RequestState.WAITING)
SERVED = Q(state=RequestState.SERVED)
NAME_MAX = 80
KEPT = timedelta(days=30)
"""So long is known who asked for a session that never came to be."""


class AlreadyWaitingError(VoiceError):
    def __init__(self) -> None:
        message = "You are waiting in the queue already."
        super().__init__("already_waiting", message, status=409)


def ask(
    *,
    source: Source,
    guild_id: str,
    user_id: str,
    user_name: str = "",
    channel_id: str = "",
    text_channel_id: str = "",
    language: str = "",
    record: bool = True,
    locale: str = "",
    message_id: str = "",
    now: datetime | None = None,
) -> VoiceRequest:
    """Join the end of the queue. Raises AlreadyWaitingError for whoever waits in this
    guild; who is served there may wait for their next session."""
    try:
        with transaction.atomic():
            request = VoiceRequest.objects.create(
                source=source,
                guild_id=guild_id,
                user_id=user_id,
                user_name=clean(user_name, longest=NAME_MAX),
                channel_id=channel_id,
                text_channel_id=text_channel_id,
                language=language,
                record=record,
                locale=locale,
                message_id=message_id,
                created_at=now or timezone.now(),
            )
    except IntegrityError as e:
        raise AlreadyWaitingError from e
    log.info("queue.asked", request=request.pk, guild=guild_id)
    return request


def shown(request_id: int, *, message_id: str) -> bool:
    """Keep which message shows the request's place; whether there is such a request."""
    rows = VoiceRequest.objects.filter(pk=request_id)
    return bool(rows.update(message_id=message_id))


def take_next(
    guild_ids: Iterable[str],
    *,
    holder: str,
    most: int,
    lease_s: float,
    now: datetime | None = None,
) -> VoiceRequest | None:
    """Take the oldest waiting request of these guilds for `holder`; None if none may.

    A guild has one slot, all guilds of all processes together have `most` (0: no
    limit). Who waits for a busy guild does not hold up those behind.
    """
    now = now or timezone.now()
    guilds = frozenset(guild_ids)
    # Without a lock first: mostly there is nothing to take.
    if _next(_live(), guilds, most=most, now=now) is None:
        return None
    with transaction.atomic():
        # All of them, also those of other guilds: what they hold counts here.
        live = _live().select_for_update()
        request = _next(live, guilds, most=most, now=now)
        if request is None:
            return None
        request.state = RequestState.SERVED
        request.holder = holder
        request.granted_at = now
        request.leased_until = now + timedelta(seconds=lease_s)
        request.attempts += 1
        request.save(
            update_fields=["state", "holder", "granted_at", "leased_until", "attempts"]
        )
    log.info("queue.taken", request=request.pk, holder=holder, attempt=request.attempts)
    return request


def granted(request_id: int, session_id: int) -> bool:
    """Tie a served request to its session; False when it is not to be had any more:
    the lease ran out and it waits again, or another has tied theirs. Then the session
    is nobody's, and its maker's to fail."""
    rows = VoiceRequest.objects.filter(SERVED, pk=request_id, session=None)
    return bool(rows.update(session_id=session_id))


def renew(holder: str, *, lease_s: float, now: datetime | None = None) -> int:
    """Renew all leases of a holder, also those that ran out and nobody put back;
    returns how many slots it holds."""
    until = (now or timezone.now()) + timedelta(seconds=lease_s)
    with transaction.atomic():
        return _locked(SERVED & Q(holder=holder)).update(leased_until=until)


def release(session_id: int) -> bool:
    """Free the slot of a session, whatever became of it; True for the first who does.

    A session that nobody queued for has none.
    """
    return _leave(SERVED & Q(session=session_id), RequestState.DONE, why="released")


def give_back(request_id: int, *, attempt: int | None = None) -> bool:
    """Free the slot of a request that came to nothing before it had a session.

    With `attempt` (its `attempts` when it was taken) only if nobody has taken it since:
    a holder who lost it must not drop it for the next.
    """
    rows = SERVED & Q(pk=request_id, session=None)
    if attempt is not None:
        rows &= Q(attempts=attempt)
    return _leave(rows, RequestState.DROPPED, why="given_back")


def drop(request_id: int) -> bool:
    """Take a waiting request out of the queue; False when it does not wait."""
    return _leave(WAITS & Q(pk=request_id), RequestState.DROPPED, why="dropped")


def drop_of_user(source: str, guild_id: str, user_id: str) -> bool:
    """Take somebody's waiting request out of the queue; False when there is none."""
    rows = Q(source=source, guild_id=guild_id, user_id=user_id)
    return _leave(WAITS & rows, RequestState.DROPPED, why="dropped")


def put_back_lost(*, now: datetime | None = None) -> list[int]:
    """Have requests wait again whose lease ran out before anybody had something of it:
    without a session, or with one that never came beyond being requested, which fails.

    Returns those that wait again, in their old place. A session that ended frees its
    request here too; one that lives is left alone, only its slot is free.
    """
    return _put_back(Q(leased_until__lt=now or timezone.now()))


def put_back_of(holder: str) -> list[int]:
    """The same at once for all that a holder served: for a process that starts under
    that name, and knows that the one before is dead."""
    return _put_back(Q(holder=holder))


def mine(holder: str) -> list[VoiceRequest]:
    """What a holder serves, with its sessions, oldest first."""
    rows = VoiceRequest.objects.filter(SERVED, holder=holder)
    return list(rows.select_related("session"))


def forget_old(*, now: datetime | None = None) -> int:
    """Take the person out of requests that never got a session, KEPT after they were
    made; returns of how many. Who still waits then waits for nobody, and leaves."""
    before = (now or timezone.now()) - KEPT
    old = Q(session=None, created_at__lt=before) & ~SERVED & ~Q(user_id="")
    with transaction.atomic():
        found = _locked(old).update(
            state=RequestState.DROPPED,
            user_id="",
            user_name="",
            locale="",
            message_id="",
        )
    if found:
        log.info("queue.forgotten", requests=found)
    return found


def forget_user(source: Source, user_id: str, *, before: datetime) -> int:
    """Take a person out of what they asked for until a moment; how many of their
    requests still wait or hold a slot, and know them."""
    theirs = Q(source=source, user_id=user_id, created_at__lte=before)
    with transaction.atomic():
        rows = _locked(theirs)
        past = rows.exclude(WAITS | SERVED)
        past.update(user_id="", user_name="", locale="", message_id="")
        return rows.filter(WAITS | SERVED).count()


def place(request_id: int) -> int:
    """A request's place among all that wait on its source: 1 is next, 0 does not wait.

    Counted over all guilds, for the limit is everybody's. Those before may be passed
    over, when their guild is busy or belongs to another process; who is put back comes
    before.
    """
    row = VoiceRequest.objects.filter(WAITS, pk=request_id).first()
    if row is None:
        return 0
    return VoiceRequest.objects.filter(WAITS, source=row.source, pk__lte=row.pk).count()


def places(guild_ids: Iterable[str]) -> dict[int, int]:
    """The place of each request that waits in these guilds, by its id; see `place`."""
    guilds = frozenset(guild_ids)
    waiting = VoiceRequest.objects.filter(WAITS).order_by("pk")
    found: dict[int, int] = {}
    before: Counter[str] = Counter()
    for pk, source, guild_id in waiting.values_list("pk", "source", "guild_id"):
        before[source] += 1
        if guild_id in guilds:
            found[pk] = before[source]
    return found


def standing() -> Subquery:
    """As `place`, of each row of a list of requests, in the list's own query."""
    before = VoiceRequest.objects.filter(
        WAITS, source=OuterRef("source"), pk__lte=OuterRef("pk")
    )
    counted = before.order_by().values("source").annotate(places=Count("pk"))
    return Subquery(counted.values("places"))


def _live() -> QuerySet[VoiceRequest]:
    return VoiceRequest.objects.filter(WAITS | SERVED).order_by("pk")


def _next(
    live: Iterable[VoiceRequest], guilds: frozenset[str], *, most: int, now: datetime
) -> VoiceRequest | None:
    rows = list(live)
    running = [row for row in rows if row.leased_until and row.leased_until >= now]
    if most and len(running) >= most:
        return None
    busy = {(row.source, row.guild_id) for row in running}
    for row in rows:
        ours = row.state == RequestState.WAITING and row.guild_id in guilds
        if ours and (row.source, row.guild_id) not in busy:
            return row
    return None


def _locked(which: Q) -> QuerySet[VoiceRequest]:
    rows = VoiceRequest.objects.select_for_update().filter(which).order_by("pk")
    held = list(rows.values_list("pk", flat=True))
    return VoiceRequest.objects.filter(pk__in=held)


def _leave(which: Q, to: VoiceRequest.State, *, why: str) -> bool:
    with transaction.atomic():
        rows = _locked(which)
        left = list(rows.values_list("pk", flat=True))
        rows.update(state=to, leased_until=None)
    for pk in left:
        log.info("queue.left", request=pk, why=why)
    return bool(left)


def _put_back(lost: Q) -> list[int]:
    rows = VoiceRequest.objects.filter(SERVED, lost).order_by("pk")
    found = list(rows.values_list("pk", flat=True))
    return [pk for pk in found if _waits_again(pk, lost)]


@transaction.atomic
def _waits_again(request_id: int, lost: Q) -> bool:
    # Looked at again under the lock: its holder may have renewed it.
    rows = _locked(SERVED & lost & Q(pk=request_id))
    request = rows.first()
    if request is None:
        return False
    session = request.session_id
    state = None if session is None else _locked_state(session)
    if state in (State.WAITING, State.ACTIVE):
        return False
    if state not in (None, State.REQUESTED):
        rows.update(state=RequestState.DONE, leased_until=None)
        return False
    if session is not None:
        lifecycle.advance(
            session, State.FAILED, failure="bot_restarted", reason="recovered"
        )
    return _requeued(rows, request_id)


def _locked_state(session_id: int) -> str:
    """The state of a session, which does not change until the transaction ends."""
    rows = VoiceSession.objects.select_for_update().filter(pk=session_id)
    return rows.values_list("state", flat=True).get()


def _requeued(rows: QuerySet[VoiceRequest], request_id: int) -> bool:
    try:
        with transaction.atomic():
            rows.update(
                state=RequestState.WAITING,
                session=None,
                holder="",
                granted_at=None,
                leased_until=None,
            )
    except IntegrityError:
        # They have asked again meanwhile: what they want now counts.
        rows.update(state=RequestState.DROPPED, leased_until=None)
        return False
    log.info("queue.put_back", request=request_id)
    return True
