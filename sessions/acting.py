"""What a moderator may have done to a session: each act is a service of the house, with
a plain sentence where the session's state forbids it.

Called by jobs, item by item; each may be called again after a worker's death.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django.utils import timezone

from sessions import (
    deletion,
    finish,
    lifecycle,
    masters,
    mixing,
    recordings,
    retention,
)
from sessions.errors import SessionNotFoundError, VoiceError
from sessions.models import State, Tier, VoiceSession

Options = dict[str, Any]


class RefusedError(VoiceError):
    """The session's state forbids it."""

    def __init__(self, message: str) -> None:
        super().__init__("refused", message, status=409)


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that may be done, in words for whoever does it."""

    kind: str
    label: str
    about: str
    """What will happen, before it is confirmed."""
    states: Collection[State]
    refusal: str
    """Why not, of a session in another state."""

    def refuses(self, session: VoiceSession) -> str:
        """Why this session is left alone; "" if it is not."""
        return "" if session.state in self.states else self.refusal


OVER = (State.READY, State.FAILED)
HEARD = (*OVER, State.FINISHING)
ACTS: dict[str, Act] = {
    act.kind: act
    for act in (
        Act(
            "end",
            "End now",
            "Whoever still speaks is no longer recorded from this moment on. What was"
            " recorded until now is kept and finished.",
            (State.ACTIVE,),
            "It is not running.",
        ),
        Act(
            "finish",
            "Finish again",
            "The steps of the end are gone through once more: storing, writing down,"
            " mixing. What is done already is left as it is.",
            (State.FAILED, State.FINISHING),
            "Its end is not waiting for anything.",
        ),
        Act(
            "again",
            "Write down again",
            "Every line is listened to anew, from the stored sound. The old lines stay"
            " until all of the new ones are there.",
            OVER,
            "It has not ended, or is not finished yet.",
        ),
        Act(
            "remix",
            "Mix the master again",
            "The master is made anew of everybody's tracks. Until it is done there is"
            " none.",
            OVER,
            "It has not ended, or is being mixed already.",
        ),
        Act(
            "upload",
            "Upload what is in the spool",
            "Files that are still on this machine's disk are stored, also those that"
            " were given up.",
            (*HEARD, State.ACTIVE),
            "There is nothing of it to upload.",
        ),
        Act(
            "delete",
            "Delete with its sound",
            "The session, everything that was said in it, and every file of it are"
            " gone for good. Nobody can bring them back.",
            OVER,
            "It has not ended: end it first.",
        ),
    )
}


def end(session_id: int, options: Options) -> bool:
    """End it now; whoever captures it was told when the job was asked for."""
    session = _session(session_id)
    if session.state != State.ACTIVE:
        return True  # by somebody else, or an attempt before
    lifecycle.request_stop(session.pk)
    async_to_sync(finish.close)(session.pk, reason="moderator")
    return True


def finish_again(session_id: int, options: Options) -> bool:
    """Go through the durable steps again; those that wait are gone on with by the
    house."""
    session = _allowed("finish", session_id)
    if session.state == State.FAILED and not lifecycle.advance(
        session.pk, State.FINISHING, reason=session.end_reason
    ):
        raise RefusedError("It failed before it began: there is nothing to finish.")
    if not finish.complete(session.pk):
        finish.ring(session.pk)
    return True


def remix(session_id: int, options: Options) -> bool:
    """Make the master anew. Raises VoiceError where there is nothing to mix."""
    session = _allowed("remix", session_id)
    is_old = retention.is_expired(session, Tier.FRAGMENT, now=timezone.now())
    if is_old and recordings.of_tier(session.pk, Tier.MASTER):
        told = "Its single voices were kept long enough: only this mix is left of it."
        raise RefusedError(told)
    masters.want(session)
    return True


def upload(session_id: int, options: Options) -> bool:
    """Store what lies on this host, also what was given up."""
    session = _allowed("upload", session_id)
    mixing.try_again(session.pk)
    if not mixing.store(session.pk):
        raise RefusedError("Some of it could not be stored yet. It is tried again.")
    return True


def delete(session_id: int, options: Options) -> bool:
    """Delete it with everything; one that is gone already is done."""
    session = VoiceSession.objects.filter(pk=session_id).first()
    if session is None:
        return True
    if refusal := ACTS["delete"].refuses(session):
        raise RefusedError(refusal)
    deletion.delete(session)
    return True


def _allowed(kind: str, session_id: int) -> VoiceSession:
    session = _session(session_id)
    if refusal := ACTS[kind].refuses(session):
        raise RefusedError(refusal)
    return session


def _session(session_id: int) -> VoiceSession:
    session = VoiceSession.objects.filter(pk=session_id).first()
    if session is None:
        raise SessionNotFoundError
    return session
