"""The tables of what was said. `utterances` is their only writer."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from sessions.models import Participant, VoiceSession


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
