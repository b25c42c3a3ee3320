"""The tables of what people add to a session: names they give, moments they mark, and
links that share it. `participants`, `bookmarks` and `shares` write them."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone


class Naming(models.Model):
    """Somebody was given another name, or merged into somebody: by whom, and when."""

    class Kind(models.TextChoices):
        RENAMED = "renamed"
        MERGED = "merged"

    participant = models.ForeignKey(
        "voice_sessions.Participant", on_delete=models.CASCADE, related_name="namings"
    )
    kind = models.CharField(max_length=8, choices=Kind)
    # What they were called until then, and from then on.
    before = models.CharField(max_length=80)
    after = models.CharField(max_length=80)
    into = models.ForeignKey(
        "voice_sessions.Participant",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="taken_in",
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["at", "pk"]
        indexes: ClassVar = [models.Index(fields=["at"])]

    def __str__(self) -> str:
        return f"participant {self.participant_id} {self.kind}"


class Bookmark(models.Model):
    """A moment of a session that somebody marked, mostly with a note."""

    session = models.ForeignKey(
        "voice_sessions.VoiceSession",
        on_delete=models.CASCADE,
        related_name="bookmarks",
    )
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    # Samples at 48 kHz since the session's time zero.
    position = models.BigIntegerField()
    text = models.CharField(max_length=500, blank=True, default="")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="bookmarks",
    )
    # As a source names whoever wrote it ("discord:1"), "" if none: who asks to be
    # erased is found by it.
    author = models.CharField(max_length=64, blank=True, default="")
    name = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["position", "pk"]
        indexes: ClassVar = [
            models.Index(fields=["session", "position"]),
            models.Index(fields=["author"]),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="bookmark_lies_in_its_session",
                condition=models.Q(position__gte=0),
            )
        ]

    def __str__(self) -> str:
        return f"bookmark {self.public_id}"


class Share(models.Model):
    """A link that shows one session to whoever has it, until it expires."""

    session = models.ForeignKey(
        "voice_sessions.VoiceSession", on_delete=models.CASCADE, related_name="shares"
    )
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["created_at", "pk"]

    def __str__(self) -> str:
        return f"share {self.public_id}"
