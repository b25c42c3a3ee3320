"""The tables of what was said. `utterances` writes the lines, `corrections` what people
made of them, `again` what a model makes of them another time."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from sessions.models import Job, Participant, VoiceSession


class UtteranceState(models.TextChoices):
    PENDING = "pending"  # its audio waits for a worker
    CLAIMED = "claimed"  # a worker has it until `lease_until`
    DONE = "done"  # its text is in, and in the event log
    EMPTY = "empty"  # the model heard no words
    FAILED = "failed"  # given up after too many attempts; its audio is kept


class Utterance(models.Model):
    """One stretch of one participant's speech: the queue of speech-to-text, and its
    result. All positions are samples at 48 kHz since the session's time zero."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True)
    session = models.ForeignKey(
        VoiceSession, on_delete=models.CASCADE, related_name="utterances"
    )
    participant = models.ForeignKey(
        Participant, on_delete=models.CASCADE, related_name="utterances"
    )
    start = models.BigIntegerField()
    end = models.BigIntegerField()
    # 16-bit little-endian mono at 16 kHz, from `audio_start` (before `start` by the
    # pre-roll); null once the text is in.
    audio = models.BinaryField(null=True)
    audio_start = models.BigIntegerField()

    state = models.CharField(
        max_length=8, choices=UtteranceState, default=UtteranceState.PENDING
    )
    created_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_by = models.CharField(max_length=100, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True, default="")

    text = models.TextField(blank=True, default="")
    # [[word, start_ms, end_ms, probability], ...]
    words = models.JSONField(default=list, blank=True)
    language = models.CharField(max_length=8, blank=True, default="")
    confidence = models.FloatField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["start", "pk"]
        indexes: ClassVar = [
            models.Index(fields=["state", "id"]),
            models.Index(fields=["session", "start"]),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="utterance_state_known",
                condition=models.Q(state__in=UtteranceState.values),
            ),
            models.CheckConstraint(
                name="utterance_ends_after_its_start",
                condition=models.Q(end__gte=models.F("start")),
            ),
        ]

    def __str__(self) -> str:
        return f"utterance {self.public_id}"


class Correction(models.Model):
    """What somebody made of a line. The newest counts, unless it took the line back to
    what the model had heard: then none does."""

    utterance = models.ForeignKey(
        Utterance, on_delete=models.CASCADE, related_name="corrections"
    )
    text = models.TextField()
    # The index of the search follows it, by triggers: see `searchindex`.
    is_current = models.BooleanField(default=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    name = models.CharField(max_length=80, blank=True, default="")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["pk"]
        indexes: ClassVar = [models.Index(fields=["at"])]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="correction_one_counts",
                fields=["utterance"],
                condition=models.Q(is_current=True),
            )
        ]

    def __str__(self) -> str:
        return f"correction of utterance {self.utterance_id}"


class Rewriting(models.Model):
    """A line that is written down again: its new words, until those of all the
    session's lines are there. What it is made of is the stored sound."""

    utterance = models.OneToOneField(
        Utterance, on_delete=models.CASCADE, related_name="rewriting"
    )
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="rewritings")
    # The worker's own, and what is heard, where they are empty.
    model = models.CharField(max_length=120, blank=True, default="")
    language = models.CharField(max_length=8, blank=True, default="")

    state = models.CharField(
        max_length=8, choices=UtteranceState, default=UtteranceState.PENDING
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_by = models.CharField(max_length=100, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True, default="")

    text = models.TextField(blank=True, default="")
    words = models.JSONField(default=list, blank=True)
    heard = models.CharField(max_length=8, blank=True, default="")
    confidence = models.FloatField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["pk"]
        indexes: ClassVar = [models.Index(fields=["state", "id"])]

    def __str__(self) -> str:
        return f"rewriting of utterance {self.utterance_id}"
