"""Forgetting: what the bot keeps of a person beside their participants, deleted when
they are erased. Called by path, from below: PERSON_FORGETTERS and SUBJECT_FORGETTERS.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.discord.guild import deeds
from bot.discord.text import lines
from bot.phone import calls
from bot.phone.tracks import Side
from sessions import bookmarks, queue
from sessions.models import ERASED, Participant, Source


def forget_person(person: Participant) -> None:
    """Of one session. May be called again. Raises OSError."""
    session = person.session
    lines.forget_person(session, person.public_id)
    if session.source == Source.PHONE and _is_caller(person):
        calls.forget_caller(session.pk)


def forget_subject(keys: Sequence[str], *, before: datetime) -> bool:
    """Wherever nobody spoke, too; whether nothing is left to wait for."""
    waits = 0
    for key in keys:
        kind, _, value = key.partition(":")
        if kind == "discord":
            bookmarks.forget_author(key, before=before)
            waits += queue.forget_user(Source.DISCORD, value, before=before)
            waits += deeds.forget_user(value, before=before)
        elif kind == "phone":
            calls.forget_number(value, before=before)
    return not waits


def _is_caller(person: Participant) -> bool:
    return person.key.removeprefix(ERASED) == Side.CALLER
