"""THE writer of calls: registered, answered, transferred, ended.

A call's session is found again by its UUID for as long as it is open: a connection that
broke and was dialled again goes on in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from bot.models import Call
from sessions import access, events, names, opening
from sessions.errors import VoiceError
from sessions.models import Source, VoiceSession

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

log = structlog.get_logger(__name__)

WHERE = re.compile(r"[A-Za-z0-9_+*#@.-]{1,80}(,[A-Za-z0-9_+*#@.-]{1,80}){0,2}")
"""What `Goto()` takes: `[context,]extension[,priority]`, and nothing that a dialplan
would evaluate."""
REGISTERED_FOR = timedelta(minutes=10)
"""A registration that no call has used by then no longer opens the line."""
UNUSED_FOR = timedelta(days=1)
"""And by then it is deleted."""


class UnknownCallError(VoiceError):
    def __init__(self) -> None:
        super().__init__("no_such_call", "There is no such call.", status=404)


class NotRegisteredError(VoiceError):
    """AUDIOSOCKET_STRICT: nobody announced this UUID."""

    def __init__(self) -> None:
        message = "This UUID was not registered, or too long ago."
        super().__init__("not_registered", message, status=403)


class CallEndedError(VoiceError):
    def __init__(self) -> None:
        super().__init__("call_ended", "This call has ended.", status=409)


class TakenError(VoiceError):
    def __init__(self) -> None:
        message = "A call with this UUID is known already."
        super().__init__("taken", message, status=409)


class BadTargetError(VoiceError):
    def __init__(self) -> None:
        message = "A target is an extension, or context,extension,priority."
        super().__init__("bad_target", message, status=422)


@dataclass(frozen=True, slots=True)
class Registration:
    """What is known of a call before it comes."""

    uuid: UUID
    caller: str = ""
    callee: str = ""
    language: str = ""
    metadata: dict[str, Any] | None = None


def register(known: Registration, *, user: AbstractBaseUser | None) -> Call:
    """Announce a call. Raises TakenError for a UUID that was announced or used."""
    try:
        with transaction.atomic():
            return Call.objects.create(
                uuid=known.uuid,
                caller=names.clean(known.caller, longest=64),
                callee=names.clean(known.callee, longest=64),
                language=known.language,
                metadata=known.metadata or {},
                registered_by_id=user.pk if user else None,
            )
    except IntegrityError as e:
        raise TakenError from e


@transaction.atomic
def answer(
    uuid: UUID, *, strict: bool, began_at: datetime | None = None
) -> tuple[Call, VoiceSession]:
    """The call and its session, opened or found again; `began_at` is before its first
    sound. Raises NotRegisteredError when only registered ones are taken, and
    CallEndedError behind the end."""
    # Locks the row: of two connections with one UUID, the second finds the session.
    call = Call.objects.select_for_update().filter(uuid=uuid).first()
    if call is None:
        if strict:
            raise NotRegisteredError
        call = Call.objects.create(uuid=uuid)
    if call.session is not None:
        if call.ended_at is not None or not call.session.is_open:
            raise CallEndedError
        return call, call.session
    if strict and timezone.now() - call.created_at > REGISTERED_FOR:
        raise NotRegisteredError
    call.session = opening.open_session(
        source=Source.PHONE,
        channel_id=str(uuid),
        user_id=call.caller,
        owner=call.registered_by,
        title=f"Call from {call.caller}" if call.caller else "Call",
        language=call.language,
        started_at=began_at,
    )
    call.save(update_fields=["session"])
    log.info("call.answered", session=call.session.pk)
    return call, call.session


def ask_transfer(uuid: UUID, *, to: str) -> None:
    """Have a call handed over. Raises UnknownCallError, CallEndedError and
    BadTargetError."""
    if WHERE.fullmatch(to) is None:
        raise BadTargetError
    with transaction.atomic():
        call = Call.objects.select_for_update().filter(uuid=uuid).first()
        if call is None:
            raise UnknownCallError
        if call.session is None or not call.session.is_open:
            raise CallEndedError
        Call.objects.filter(pk=call.pk).update(transfer_to=to)
        events.append(call.session.pk, "transfer", {"to": to})


def ended(uuid: UUID, *, reason: str) -> None:
    """The call is over; told once."""
    calls = Call.objects.filter(uuid=uuid, ended_at=None)
    calls.update(ended_at=timezone.now(), end_reason=reason)


@transaction.atomic
def forget_caller(session_id: int) -> None:
    """Who called, what was known of them and which keys they pressed; that somebody
    called stays."""
    calls = Call.objects.filter(session=session_id)
    calls.update(caller="", metadata={})
    VoiceSession.objects.filter(pk=session_id).update(user_id="", title="Call")
    events.forget_types(session_id, ("digit",))


def forget_number(number: str, *, before: datetime) -> None:
    """Calls of a number that came to nothing."""
    calls = Call.objects.filter(caller=number, created_at__lte=before)
    calls.filter(session=None).delete()


def forget_unused(*, now: datetime | None = None) -> int:
    """Delete registrations of calls that never came; how many."""
    before = (now or timezone.now()) - UNUSED_FOR
    return Call.objects.filter(session=None, created_at__lt=before).delete()[0]


def for_caller(uuid: UUID, *, user: AbstractBaseUser | None) -> Call:
    """A call that this user may see. Raises UnknownCallError for any other."""
    call = Call.objects.select_related("session").filter(uuid=uuid).first()
    if call is None or user is None:
        raise UnknownCallError
    if call.registered_by_id == user.pk or access.is_moderator(user):
        return call
    raise UnknownCallError
