"""The tables of those who look after sessions: which servers somebody manages, who
looked at what, what moderators asked for. `guilds`, `audit` and `jobs` write them."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone


class ManagedGuild(models.Model):
    """A Discord server that a Discord user managed when they last signed in."""

    # Discord's ids: rows are written before the account they belong to is made.
    discord_id = models.CharField(max_length=32)
    guild_id = models.CharField(max_length=32)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes: ClassVar = [
            models.Index(name="managed_guild_by_time", fields=["seen_at"])
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="managed_guild_once", fields=["discord_id", "guild_id"]
            )
        ]

    def __str__(self) -> str:
        return f"guild {self.guild_id}"


class AuditEntry(models.Model):
    """Somebody who neither took part nor owns a session read or heard it."""

    class Kind(models.TextChoices):
        PAGE = "page", "its page, when it was over"
        LIVE = "live", "it, while it ran"
        TRANSCRIPT = "transcript", "its text"
        AUDIO = "audio", "its sound"
        LINES = "lines", "lines of it, in a search or a list"

    # Outlives the session and the account: that is what it is for.
    session = models.UUIDField(editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="audit_entries",
    )
    # "user:7"; "link:192.0.2.7" is whoever had the session's link, and from where.
    who = models.CharField(max_length=64, editable=False)
    kind = models.CharField(max_length=16, choices=Kind)
    address = models.CharField(max_length=45, blank=True, default="")
    # The first time in its hour: one row is enough to know.
    seen_at = models.DateTimeField(default=timezone.now)
    hour = models.DateTimeField(editable=False)

    class Meta:
        ordering: ClassVar = ["-pk"]
        verbose_name = "access by others"
        verbose_name_plural = "accesses by others"
        indexes: ClassVar = [models.Index(name="audit_by_time", fields=["seen_at"])]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="audit_once_an_hour", fields=["session", "who", "kind", "hour"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} of session {self.session}"


class Deleted(models.Model):
    """A session was deleted: sound of it that comes to light later goes, too."""

    public_id = models.UUIDField(unique=True, editable=False)
    at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"deleted session {self.public_id}"


class Job(models.Model):
    """What somebody asked to be done to many things, and how far it is."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        CANCELLED = "cancelled"

    OPEN: ClassVar = (State.WAITING, State.RUNNING)

    kind = models.CharField(max_length=16)
    options = models.JSONField(default=dict, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="jobs",
    )
    asked_at = models.DateTimeField(default=timezone.now)
    # What is worked on: ids of sessions, or what a look around found.
    items = models.JSONField(default=list, blank=True)
    # The first item that nobody was at; and those before it that are not done yet.
    next = models.PositiveIntegerField(default=0)
    waiting = models.JSONField(default=list, blank=True)
    done = models.PositiveIntegerField(default=0)
    # [[number of the item, why it was not done], ...]
    failures = models.JSONField(default=list, blank=True)
    # What a look around has found, to be shown and then cleaned.
    found = models.JSONField(default=list, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    claimed_by = models.CharField(max_length=16, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    rung_at = models.DateTimeField(null=True, blank=True)
    # Claims since an item was last noted: more than one, and workers died.
    deaths = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-pk"]
        indexes: ClassVar = [models.Index(fields=["state", "lease_until"])]

    def __str__(self) -> str:
        return f"job {self.pk}: {self.kind}"
