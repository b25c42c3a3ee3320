"""Rights that end while somebody reads along: who opened a feed is asked again from
time to time whether they still may."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.db import Error as DatabaseError

from sessions import access, tokens
from sessions.errors import VoiceError
from sessions.models import Scope

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import AbstractBaseUser

log = structlog.get_logger(__name__)

AGAIN_S = 60.0
"""An account that is closed, a role that is taken away: so much later at most."""


async def until_ended(
    public_id: UUID,
    *,
    user: AbstractBaseUser | None,
    token: str,
    api_token: str = "",
) -> None:
    """Come back when they may not open the session any more, or it is gone; where an
    `api_token` says who they are, also when it is."""
    user_id = None if user is None else user.pk
    may = database_sync_to_async(_may)
    while True:
        await asyncio.sleep(AGAIN_S)
        try:
            if not await may(public_id, user_id, token, api_token):
                return
        except DatabaseError:
            # Who cannot be asked about stays: they were allowed.
            log.warning("rights.unknown", exc_info=True)


def _may(public_id: UUID, user_id: int | None, token: str, api_token: str) -> bool:
    """The user is read anew: what they may do is remembered with them."""
    users = get_user_model().objects.filter(is_active=True)
    user = None if user_id is None else users.filter(pk=user_id).first()
    try:
        if api_token and tokens.user_of(api_token, scope=Scope.READ) is None:
            return False
        access.session_for(public_id, user=user, token=token)
    except VoiceError:
        return False
    return True
