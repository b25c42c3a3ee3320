"""THE writer of who manages which Discord server, and who somebody is on Discord.

Discord tells it at each sign-in; what is older than GUILDS_KEPT_DAYS counts no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone

from sessions.models import ManagedGuild

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

DISCORD = "discord"
"""The name of the provider, and what a Discord user's key begins with."""


def remember(
    discord_id: str, managed: Iterable[str], *, now: datetime | None = None
) -> None:
    """These servers, and no others, are managed by this Discord user now."""
    now = now or timezone.now()
    rows = [
        ManagedGuild(discord_id=discord_id, guild_id=one, seen_at=now)
        for one in sorted(set(managed))
    ]
    with transaction.atomic():
        ManagedGuild.objects.filter(discord_id=discord_id).delete()
        # Two sign-ins at once say the same.
        ManagedGuild.objects.bulk_create(rows, ignore_conflicts=True)


def forget_old(*, now: datetime | None = None) -> int:
    """Delete what counts no more; how many."""
    old = ManagedGuild.objects.filter(seen_at__lt=_since(now))
    return old.delete()[0]


def ids_of(user: AbstractBaseUser) -> QuerySet[SocialAccount, Any]:
    """This person's ids on Discord, for a query."""
    accounts = SocialAccount.objects.filter(user=user.pk, provider=DISCORD)
    return accounts.values_list("uid", flat=True)


def keys_of(user: AbstractBaseUser) -> QuerySet[SocialAccount, Any]:
    """The keys under which they take part in Discord's calls, for a query."""
    key = Concat(Value(f"{DISCORD}:"), "uid")
    return ids_of(user).annotate(key=key).values_list("key", flat=True)


def managed_by(
    user: AbstractBaseUser, *, now: datetime | None = None
) -> QuerySet[ManagedGuild, Any]:
    """The ids of the servers that this person manages, for a query."""
    fresh = ManagedGuild.objects.filter(seen_at__gte=_since(now))
    theirs = fresh.filter(discord_id__in=ids_of(user))
    return theirs.values_list("guild_id", flat=True)


def _since(now: datetime | None) -> datetime:
    return (now or timezone.now()) - timedelta(days=settings.GUILDS_KEPT_DAYS)
