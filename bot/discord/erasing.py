"""Erasing: what was recorded of somebody on Discord until they asked goes, wherever
this bot recorded them. THE writer of Erasure.

The wish is a row before anything is done, until all of it is: what still runs, what a
storage refuses and what a crash broke off is gone on with, by every bot process. All of
it blocks, on storage too: `eraser` calls it off the event loop and off the database's
thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db.models import Q
from django.utils import timezone

from bot.discord.guild import deeds
from bot.discord.text import lines
from bot.models import Erasure
from sessions import addresses, bookmarks, participants, queue
from sessions.models import ERASED, Participant, Source, VoiceSession
from sessions.models import Erasure as Receipt
from sessions.storage import StorageError
from transcripts import erasing, forgetting

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Erased:
    """What became of a wish for now, in sessions."""

    gone: int = 0
    waiting: int = 0
    """Not over yet, or somebody is at their files: gone on with later."""
    refused: int = 0
    """Storage, or the disk, did not answer: as well."""
    receipt_url: str = ""


def concerned(user_id: int) -> int:
    """How many sessions somebody spoke in or asked for."""
    key = _key(user_id)
    asked, spoke = Q(user_id=str(user_id)), Q(participants__key__in=(key, ERASED + key))
    rows = VoiceSession.objects.filter(asked | spoke, source=Source.DISCORD)
    return rows.distinct().count()


def ask(user_id: int, *, now: datetime | None = None) -> None:
    """From here on it is going to be done, whatever happens to this process. There is
    a receipt of it, whose address `receipt_of` knows."""
    Erasure.objects.update_or_create(
        user_id=str(user_id), defaults={"asked_at": now or timezone.now()}
    )
    if _receipt(user_id) is None:
        forgetting.ask(forgetting.of_discord(str(user_id)), road=Receipt.Road.DISCORD)
    log.info("erasure.asked")


def receipt_of(user_id: int) -> str:
    """Where the receipt of a wish is, while it is not done; "" where there is none."""
    found = _receipt(user_id)
    return addresses.absolute(f"/receipt/{found.public_id}") if found else ""


def _receipt(user_id: int | str) -> Receipt | None:
    waiting = Receipt.objects.filter(
        road=Receipt.Road.DISCORD, state=Receipt.State.WAITING
    )
    key = _key(user_id)
    for one in waiting:
        if key in forgetting.subject_of(one).keys:
            return one
    return None


def go_on(user_id: int | None = None) -> Erased:
    """Do what can be done now of everybody's wishes, or of one's."""
    wishes = Erasure.objects.order_by("pk")
    if user_id is not None:
        wishes = wishes.filter(user_id=str(user_id))
    done = Erased()
    for wish in wishes:
        one = _fulfil(wish)
        done = Erased(
            done.gone + one.gone,
            done.waiting + one.waiting,
            done.refused + one.refused,
        )
    return done


def _fulfil(wish: Erasure) -> Erased:
    key, until = _key(wish.user_id), wish.asked_at
    gone = waiting = refused = 0
    for person in participants.of_key(key, source=Source.DISCORD, before=until):
        try:
            is_gone = _erase(person)
        except (StorageError, OSError) as e:
            why = getattr(e, "code", type(e).__name__)
            log.warning("erasure.refused", session=person.session_id, why=why)
            refused += 1
        else:
            gone += is_gone
            waiting += not is_gone
    bookmarks.forget_author(key, before=until)
    asking = queue.forget_user(Source.DISCORD, wish.user_id, before=until)
    asked = deeds.forget_user(wish.user_id, before=until)
    if not (waiting or refused or asking or asked):
        # One that was asked for again meanwhile stays.
        Erasure.objects.filter(pk=wish.pk, asked_at=until).delete()
        if (receipt := _receipt(wish.user_id)) is not None:
            forgetting.conclude(receipt)
        log.info("erasure.done", sessions=gone)
    return Erased(gone, max(waiting, asked), refused)


def _erase(person: Participant) -> bool:
    if not erasing.erase(person):
        return False
    lines.forget_person(person.session, person.public_id)
    participants.forget(person)
    return True


def _key(user_id: int | str) -> str:
    return f"discord:{user_id}"
