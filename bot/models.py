"""The tables of the bot. `bot.phone.calls` writes the phone's;
`bot.discord.guild.deeds`, `bot.discord.optouts` and `bot.discord.erasing` Discord's.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone


class Call(models.Model):
    """One phone call, by the UUID that the dialplan gave it."""

    uuid = models.UUIDField(unique=True)
    # As the dialplan names them: numbers, extensions, or nothing.
    caller = models.CharField(max_length=64, blank=True, default="")
    callee = models.CharField(max_length=64, blank=True, default="")
    language = models.CharField(max_length=8, blank=True, default="")
    metadata = models.JSONField(default=dict, blank=True)
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="registered_calls",
    )
    created_at = models.DateTimeField(default=timezone.now)
    # From its first connection on.
    session = models.ForeignKey(
        "voice_sessions.VoiceSession",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="calls",
    )
    # Where the dialplan goes on behind us: `context,extension,priority`.
    transfer_to = models.CharField(max_length=200, blank=True, default="")
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=40, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"call {self.uuid}"


class DiscordCall(models.Model):
    """What we did in a guild for one session, until all of it is undone again.

    Written before the deed where that is possible: what a process leaves behind when
    it dies, another finds here.
    """

    # Gone with its session's deletion; what is still to be undone stays.
    session = models.OneToOneField(
        "voice_sessions.VoiceSession",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="discord",
    )
    guild_id = models.CharField(max_length=32)
    user_id = models.CharField(max_length=32)
    text_channel_id = models.CharField(max_length=32, blank=True, default="")
    locale = models.CharField(max_length=16, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    # The private room: its name from before it is made, its id from then until it is
    # deleted.
    room_name = models.CharField(max_length=100, blank=True, default="")
    room_id = models.CharField(max_length=32, blank=True, default="")
    # Our nickname while we record, "" when it is ours again; and the one before.
    nickname = models.CharField(max_length=32, blank=True, default="")
    nickname_before = models.CharField(max_length=32, blank=True, default="")
    # The channel whose status says that we record.
    status_on = models.CharField(max_length=32, blank=True, default="")
    panel_id = models.CharField(max_length=32, blank=True, default="")
    # The event up to which the text channel has the lines.
    mirrored_to = models.PositiveBigIntegerField(default=0)
    undone_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["-created_at", "-pk"]
        indexes: ClassVar = [models.Index(fields=["undone_at", "guild_id"])]

    def __str__(self) -> str:
        return f"Discord call {self.pk} in guild {self.guild_id}"


class OptOut(models.Model):
    """Somebody on Discord whose voice is never kept, nor written down."""

    user_id = models.CharField(max_length=32, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"opt-out {self.pk}"


class Erasure(models.Model):
    """Somebody on Discord who wants gone what was recorded of them until then: there
    until it is."""

    user_id = models.CharField(max_length=32, unique=True)
    asked_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"erasure {self.pk}"
