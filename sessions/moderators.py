"""Moderators: who they are, what they may, and how one is made.

Their rights are those of one group, so that a right more is given to all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Q

from sessions.models import VoiceSession

GROUP = "Moderators"
RIGHTS = (
    "admin.view_logentry",
    "bot.view_call",
    "bot.view_discordcall",
    "bot.view_erasure",
    "transcripts.view_utterance",
    "voice_sessions.add_erasure",
    "voice_sessions.delete_voicesession",
    "voice_sessions.moderate",
    "voice_sessions.view_auditentry",
    "voice_sessions.view_erasure",
    "voice_sessions.view_job",
    "voice_sessions.view_participant",
    "voice_sessions.view_recording",
    "voice_sessions.view_sessionevent",
    "voice_sessions.view_voicerequest",
    "voice_sessions.view_voicesession",
)


@dataclass(frozen=True, slots=True)
class Moderator:
    """Somebody who may moderate from now on."""

    name: str
    is_new: bool
    has_password: bool


def group() -> Group:
    """The group, with every right of RIGHTS that this database knows."""
    found, _ = Group.objects.get_or_create(name=GROUP)
    Permission.objects.get_or_create(
        content_type=ContentType.objects.get_for_model(VoiceSession),
        codename="moderate",
        defaults={"name": "Can moderate every session"},
    )
    wanted = Q(pk=None)
    for right in RIGHTS:
        app, codename = right.split(".")
        wanted |= Q(content_type__app_label=app, codename=codename)
    found.permissions.add(*Permission.objects.filter(wanted))
    return found


@transaction.atomic
def appoint(name: str, *, password: str = "") -> Moderator:
    """Make a user a moderator, and the user where there is none yet. Without a
    password they sign in as they did before, or cannot yet."""
    user, is_new = get_user_model().objects.get_or_create(username=name)
    if password:
        user.set_password(password)
    elif is_new:
        user.set_unusable_password()
    user.is_staff = user.is_active = True
    user.save()
    user.groups.add(group())
    return Moderator(name, is_new=is_new, has_password=user.has_usable_password())
