"""The tables of people's rights and of what is sent to them: receipts of what was
erased, who follows a session's end by mail, and which mails went out.

`transcripts.forgetting` and `transcripts.reporting` write them. A receipt names nobody
once its work is done.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone


class Erasure(models.Model):
    """Somebody's wish to have everything of theirs deleted; when that is done, the
    receipt of it, which holds counts and nothing of them."""

    class State(models.TextChoices):
        WAITING = "waiting"
        DONE = "done"

    class Road(models.TextChoices):
        """By which of our doors it was asked for."""

        ADMIN = "admin"
        ACCOUNT = "account"
        DISCORD = "discord"
        BROWSER = "browser"
        PHONE = "phone"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    road = models.CharField(max_length=16, choices=Road, editable=False)
    state = models.CharField(
        max_length=16, choices=State, default=State.WAITING, editable=False
    )
    # Of whom, while there is something to do; emptied with the last of it.
    people = models.JSONField(default=list, blank=True, editable=False)
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        editable=False,
    )
    # What was there, by kind; sessions done of all.
    counts = models.JSONField(default=dict, blank=True, editable=False)
    sessions_done = models.PositiveIntegerField(default=0, editable=False)
    sessions_total = models.PositiveIntegerField(default=0, editable=False)
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    done_at = models.DateTimeField(null=True, blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-asked_at", "-pk"]
        indexes: ClassVar = [models.Index(fields=["state", "leased_until"])]

    def __str__(self) -> str:
        return f"receipt {self.public_id}"


class Subscription(models.Model):
    """Somebody wants the report of one session by mail."""

    session = models.ForeignKey(
        "voice_sessions.VoiceSession",
        on_delete=models.CASCADE,
        related_name="subscriptions",
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="session_subscriptions",
    )
    # Its owner gets the report unasked; a row that is off says that they want none.
    is_on = models.BooleanField(default=True)
    # They have the session's link, and no other right to it.
    by_link = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="subscription_once_per_session", fields=["session", "user"]
            )
        ]

    def __str__(self) -> str:
        return f"subscription {self.pk}"


class Report(models.Model):
    """The mail of one session to one person: sent once, whoever asks how often."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        FAILED = "failed"  # given up after too many attempts

    session = models.ForeignKey(
        "voice_sessions.VoiceSession", on_delete=models.CASCADE, related_name="reports"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    state = models.CharField(
        max_length=16, choices=State, default=State.WAITING, editable=False
    )
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    # Nobody else sends it until then; after a failure, nobody before.
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    error = models.CharField(max_length=80, blank=True, default="", editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="report_once_per_reader", fields=["session", "user"]
            )
        ]
        indexes: ClassVar = [models.Index(fields=["state", "leased_until"])]

    def __str__(self) -> str:
        return f"report {self.pk}"
