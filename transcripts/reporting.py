"""Reports: a mail when a session is ready, to its owner and to whoever subscribed; once
to each. THE writer of `Report` and `Subscription`.

A row per reader is claimed before the mail goes out, so that two workers, a retry and a
session that becomes ready a second time send it once. A mail server that is away is
tried again, not for ever. Logs hold no address.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.db.models import F, Q, QuerySet
from django.template.loader import render_to_string
from django.utils import timezone

from sessions import access, addresses, audit, keeping, masters
from sessions.audio.frames import TIMELINE_RATE
from sessions.errors import VoiceError
from sessions.models import Report, State, Subscription, Tier, VoiceSession
from sessions.recordings import of_tier
from sessions.storage import StorageError
from transcripts import doorbell, minutes, minutetaking, utterances

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, User

    from transcripts.exports import Line

log = structlog.get_logger(__name__)

TASK = "transcripts.chores.report"
SALT = "parley.unsubscribe"
ATTEMPTS_MAX = 6
LEASE = timedelta(minutes=5)
REST = timedelta(minutes=2)
"""After the first failure; twice as long after each further one."""
LINES_MOST = 5_000
"""Of a minutes file: more is read on the page."""


# --- who wants one --------------------------------------------------------------------


def subscribe(session: VoiceSession, user: AbstractBaseUser, *, is_on: bool) -> None:
    """Whether somebody wants the report of a session they may open."""
    by_link = not access.may_open(session, user)
    Subscription.objects.update_or_create(
        session=session,
        user_id=user.pk,
        defaults={"is_on": is_on, "by_link": by_link},
    )


def is_subscribed(session: VoiceSession, user: AbstractBaseUser) -> bool:
    """As things are: owners are unasked."""
    row = Subscription.objects.filter(session=session, user_id=user.pk).first()
    return row.is_on if row else session.owner_id == user.pk


def decide(token: str, *, is_on: bool | None) -> VoiceSession:
    """What the link in a mail does; it works for ever. None: nothing yet. Raises
    VoiceError for any other token."""
    try:
        session_id, user_id = signing.loads(token, salt=SALT)
        session = VoiceSession.objects.get(pk=session_id)
        user = get_user_model().objects.get(pk=user_id)
    except (
        signing.BadSignature,
        ValueError,
        TypeError,
        VoiceSession.DoesNotExist,
        get_user_model().DoesNotExist,
    ) as e:
        message = "This link is not one of ours, or its session is gone."
        raise VoiceError("not_found", message, status=404) from e
    if is_on is not None:  # a mail gives nobody a right
        Subscription.objects.update_or_create(
            session=session, user_id=user.pk, defaults={"is_on": is_on}
        )
    return session


def token_for(session_id: int, user_id: int) -> str:
    return signing.dumps([session_id, user_id], salt=SALT)


# --- sending --------------------------------------------------------------------------


def ring(session_id: int) -> None:
    """A session is ready: note who gets a report, and have a worker send it."""
    if not settings.REPORT_EMAILS:
        return
    session = VoiceSession.objects.get(pk=session_id)
    for user in _readers(session):
        Report.objects.get_or_create(session=session, user=user)
    if _due(session_id).exists():
        doorbell.ring(TASK, session_id, cluster=doorbell.MEDIA)


def ring_all(*, now: datetime | None = None) -> int:
    """For reports that failed, or whose worker died."""
    if not settings.REPORT_EMAILS:
        return 0
    rows = _due(now=now).order_by().values_list("session", flat=True).distinct()
    waiting = list(rows)
    for session_id in waiting:
        doorbell.ring(TASK, session_id, cluster=doorbell.MEDIA)
    return len(waiting)


def send_all(session_id: int, *, now: datetime | None = None) -> int:
    """Send what is due of a session's reports; how many went out."""
    if not settings.REPORT_EMAILS:
        return 0
    return sum(_send(row, now=now) for row in _due(session_id, now=now))


def _due(
    session_id: int | None = None, *, now: datetime | None = None
) -> QuerySet[Report]:
    now = now or timezone.now()
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    rows = Report.objects.filter(
        free, state=Report.State.WAITING, session__state=State.READY
    )
    return rows.filter(session=session_id) if session_id is not None else rows


def _readers(session: VoiceSession) -> list[User]:
    """Owner and subscribers who have an address, and have not said no."""
    rows = Subscription.objects.filter(session=session)
    said = dict(rows.values_list("user", "is_on"))
    wanted = {pk for pk, is_on in said.items() if is_on}
    if session.owner_id is not None and said.get(session.owner_id, True):
        wanted.add(session.owner_id)
    users = get_user_model().objects.filter(pk__in=wanted, is_active=True)
    return list(users.exclude(email="").order_by("pk"))


def _send(row: Report, *, now: datetime | None = None) -> bool:
    """One mail, if nobody else is at it."""
    now = now or timezone.now()
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    claim = Report.objects.filter(free, pk=row.pk, state=Report.State.WAITING)
    if not claim.update(leased_until=now + LEASE, attempts=F("attempts") + 1):
        return False
    row.refresh_from_db()
    if not _may_have(row):
        refused = {"state": Report.State.FAILED, "error": "no right any more"}
        Report.objects.filter(pk=row.pk).update(**refused, leased_until=None)
        return False
    try:
        _mail(row).send()
    except Exception as e:
        # Whatever mail server, storage or network say: their words may hold addresses.
        _failed(row, type(e).__name__, now=now)
        return False
    Report.objects.filter(pk=row.pk).update(
        state=Report.State.SENT, sent_at=now, leased_until=None, error=""
    )
    for kind in (audit.Kind.TRANSCRIPT, audit.Kind.AUDIO):
        audit.note(row.session, kind=kind, user=row.user, address="", now=now)
    log.info("report.sent", session=row.session_id, report=row.pk)
    return True


def _may_have(row: Report) -> bool:
    """Whether its reader may still read the session: rights end, too."""
    theirs = Subscription.objects.filter(session=row.session, user=row.user)
    if not row.user.is_active or theirs.filter(is_on=False).exists():
        return False
    by_link = theirs.filter(by_link=True).exists()
    return by_link or access.may_open(row.session, row.user)


def _failed(row: Report, why: str, *, now: datetime) -> None:
    is_last = row.attempts >= ATTEMPTS_MAX
    Report.objects.filter(pk=row.pk).update(
        state=Report.State.FAILED if is_last else Report.State.WAITING,
        leased_until=None if is_last else now + REST * 2 ** (row.attempts - 1),
        error=why[:80],
    )
    event = "report.given_up" if is_last else "report.not_sent"
    log.warning(event, session=row.session_id, report=row.pk, why=why)


# --- what it says ---------------------------------------------------------------------


def _mail(row: Report) -> EmailMultiAlternatives:
    session, user = row.session, row.user
    lines = utterances.of_session(session.pk)[:LINES_MOST]
    context = _context(session, lines, row)
    # A header takes one line.
    subject = " ".join(f"Ready: {context['title']}".split())
    leave = str(context["unsubscribe_url"])
    mail = EmailMultiAlternatives(
        subject=subject,
        body=render_to_string("mail/report.txt", context),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[user.email],
        headers={
            "List-Unsubscribe": f"<{leave}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
        },
    )
    mail.attach_alternative(render_to_string("mail/report.html", context), "text/html")
    if lines:
        text = minutes.write(minutetaking.of_session(session, lines))
        mail.attach("minutes.md", text, "text/markdown")
    return mail


def _context(
    session: VoiceSession, lines: list[Line], row: Report
) -> dict[str, object]:
    assert session.started_at is not None  # ready sessions have both
    assert session.ended_at is not None
    lasted = session.ended_at - session.started_at
    token = token_for(session.pk, row.user_id)
    return {
        "title": session.title or "Untitled session",
        "lasted": minutes.clock(round(lasted.total_seconds() * 1000)),
        "shares": [
            (one.speaker, minutes.clock(one.spoke_ms)) for one in minutes.shares(lines)
        ],
        "page_url": addresses.page_of(session),
        "links": _links(session),
        "hours": max(settings.DOWNLOAD_LINK_S // 3600, 1),
        "kept": keeping.sentence(keeping.of(session)),
        "has_minutes": bool(lines),
        "unsubscribe_url": addresses.absolute(f"/unsubscribe/{token}"),
    }


def _links(session: VoiceSession) -> list[tuple[str, str]]:
    """Where the sound is, for a while; nothing where storage has none or is away."""
    found: list[tuple[str, str]] = []
    try:
        if link := masters.link_of(session):
            found.append(("Recording of all", addresses.absolute(link)))
        for row in of_tier(session.pk, Tier.FRAGMENT):
            if row.participant and (link := masters.link_of(session, row.pk)):
                at = minutes.clock(row.start * 1000 // TIMELINE_RATE)
                name = f"{row.participant.name}, from {at}"
                found.append((name, addresses.absolute(link)))
    except StorageError as e:
        log.warning("report.without_links", session=session.pk, code=e.code)
    return found


def forget_subject(keys: Sequence[str], *, before: datetime) -> bool:
    """Which sessions an account followed, and what was sent to it, where somebody is
    erased (SUBJECT_FORGETTERS)."""
    users = [
        int(key.removeprefix("account:")) for key in keys if key.startswith("account:")
    ]
    Subscription.objects.filter(user__in=users, created_at__lte=before).delete()
    reports = Report.objects.filter(user__in=users, session__ended_at__lte=before)
    reports.delete()
    return True
