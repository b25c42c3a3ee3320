"""The tables of the bot. `bot.phone.calls` writes the phone's."""

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
