"""The tables of a conversation: fields, constraints and what follows from them.

Who writes them: `lifecycle` the session's state, `participants` the people,
`recordings` the files, `events` the log, `queue` the requests, `bookmarks` the notes,
`shares` the links, `guilds` who manages what, `audit` who looked, `jobs` the jobs,
`tokens` the API tokens.
Nobody else, and no `save()` override anywhere.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from sessions.annotations import Bookmark, Naming, Share
from sessions.oversight import AuditEntry, Deleted, Job, ManagedGuild
from sessions.privacy import Erasure, Report, Subscription

__all__ = [
    "ERASED",
    "ApiToken",
    "AuditEntry",
    "Bookmark",
    "Deleted",
    "Erasure",
    "Job",
    "ManagedGuild",
    "Naming",
    "Participant",
    "Recording",
    "Report",
    "Scope",
    "SessionEvent",
    "Share",
    "Source",
    "State",
    "Subscription",
    "Tier",
    "VoiceRequest",
    "VoiceSession",
    "Waveform",
]


class State(models.TextChoices):
    REQUESTED = "requested"
    WAITING = "waiting"
    ACTIVE = "active"
    FINISHING = "finishing"
    READY = "ready"
    DELETED = "deleted"
    FAILED = "failed"


class Source(models.TextChoices):
    BROWSER = "browser"
    DISCORD = "discord"
    PHONE = "phone"


class VoiceSession(models.Model):
    """One conversation. Named so because `Session` is Django's cookie table."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    source = models.CharField(max_length=16, choices=Source)
    # As the source names them (snowflakes, phone extensions); "" if it has none.
    guild_id = models.CharField(max_length=32, blank=True, default="")
    channel_id = models.CharField(max_length=64, blank=True, default="")
    user_id = models.CharField(max_length=64, blank=True, default="")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="voice_sessions",
    )
    title = models.CharField(max_length=200, blank=True, default="")
    language = models.CharField(max_length=8, blank=True, default="")
    record = models.BooleanField(default=True)
    # Somebody's own word on how long it is kept, before the settings': for ever, or to
    # the end of a day. `retention` notes what it has deleted.
    keep_forever = models.BooleanField(default=False, db_default=False, editable=False)
    keep_until = models.DateField(null=True, blank=True, editable=False)
    sound_deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    words_deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    state = models.CharField(
        max_length=16, choices=State, default=State.REQUESTED, editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Time zero of every position in this session.
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Set once, by whoever asks first: captures see it and stop.
    stop_requested_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    end_reason = models.CharField(max_length=40, blank=True, default="", editable=False)
    failure = models.CharField(max_length=200, blank=True, default="", editable=False)
    # A process holding a microphone or a viewer renews it; the reaper reads it.
    heartbeat_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The sequence number of the newest event: its row lock orders the log.
    last_seq = models.PositiveBigIntegerField(default=0, editable=False)
    # What only its source knows of it, and when its line of figures was written.
    figures = models.JSONField(null=True, blank=True, editable=False)
    figures_told_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-created_at", "-pk"]
        permissions: ClassVar = [("moderate", "May see and end every session")]
        indexes: ClassVar = [
            models.Index(fields=["state", "heartbeat_at"]),
            models.Index(fields=["source", "channel_id", "state"]),
            models.Index(fields=["-created_at", "-id"]),
            models.Index(name="voice_session_by_guild", fields=["guild_id"]),
            models.Index(
                name="voice_session_untold",
                fields=["ended_at"],
                condition=models.Q(figures_told_at__isnull=True),
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="voice_session_state_known",
                condition=models.Q(state__in=State.values),
            ),
            models.CheckConstraint(
                name="voice_session_active_has_time_zero",
                condition=~models.Q(state__in=[State.ACTIVE, State.FINISHING])
                | models.Q(started_at__isnull=False),
            ),
            models.CheckConstraint(
                name="voice_session_finished_has_an_end",
                condition=~models.Q(state__in=[State.FINISHING, State.READY])
                | models.Q(ended_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} session {self.public_id}"

    @property
    def is_open(self) -> bool:
        """Whether it takes sound: active, and nobody has asked it to stop."""
        return self.state == State.ACTIVE and self.stop_requested_at is None


ERASED = "erased:"


class TimeZero(models.Model):
    """Where a session's time zero lies on one host's clock that is never set."""

    session = models.ForeignKey(VoiceSession, on_delete=models.CASCADE)
    # The host and its boot: there is another one after each.
    boot = models.CharField(max_length=80)
    # Seconds after that boot; below zero for whoever booted later.
    uptime_s = models.FloatField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="one_time_zero_a_boot", fields=["session", "boot"]
            )
        ]

    def __str__(self) -> str:
        return f"time zero of session {self.session_id}"


class Participant(models.Model):
    """One person in one session; the newest of their connections holds them."""

    session = models.ForeignKey(
        VoiceSession, on_delete=models.CASCADE, related_name="participants"
    )
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    # What tells a returning person from a new one: a browser's stream id, a Discord
    # user id, a caller.
    key = models.CharField(max_length=64)
    # Who they are here, if they were signed in while they spoke in a browser.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="participations",
    )
    name = models.CharField(max_length=80)
    # Detected once, then kept: detecting costs a second pass of the speech model.
    language = models.CharField(max_length=8, blank=True, default="")
    # When they agreed to be written down, and to which text: see `consent`.
    consented_at = models.DateTimeField(null=True, blank=True)
    consent_to = models.CharField(max_length=40, blank=True, default="", db_default="")
    # From here on nothing of theirs is taken: the transcript says "(not recorded)".
    opted_out_at = models.DateTimeField(null=True, blank=True)
    joined_at = models.DateTimeField(default=timezone.now)
    left_at = models.DateTimeField(null=True, blank=True)
    # The connection that holds this person, "" when none does. Its process renews
    # `seen_at`; when that process dies, the reaper takes the person off the list.
    held_by = models.CharField(max_length=36, blank=True, default="")
    seen_at = models.DateTimeField(null=True, blank=True)
    # Where a broken browser stream goes on: samples received at 48 kHz, and the
    # position its first sample stands at.
    stream_samples = models.PositiveBigIntegerField(default=0)
    stream_origin = models.BigIntegerField(null=True, blank=True)
    # What was sent and is not there, over all their connections: `Losses`.
    gaps = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    gap_ms = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)
    dropped = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    # Shown as that person, who is never merged into another. What is theirs stays
    # theirs: so that whoever asks to be erased is found by their own key.
    merged_into = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="merged",
        editable=False,
    )

    class Meta:
        ordering: ClassVar = ["joined_at", "pk"]
        # One person in all sessions.
        indexes: ClassVar = [models.Index(name="participant_by_key", fields=["key"])]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="participant_once_per_session", fields=["session", "key"]
            )
        ]

    def __str__(self) -> str:
        return f"participant {self.public_id}"

    @property
    def is_present(self) -> bool:
        """Whether a connection of theirs is open, as far as the database knows."""
        return bool(self.held_by)

    @property
    def is_erased(self) -> bool:
        """Whether they have had everything of theirs taken out of this session."""
        return self.key.startswith(ERASED)

    @property
    def shown(self) -> Participant:
        """As whom they are shown: themselves, or whom they were merged into."""
        return self.merged_into or self


class Tier(models.TextChoices):
    ORIGINAL = "original"
    CHUNK = "chunk"
    FRAGMENT = "fragment"
    MASTER = "master"
    TRANSCRIPT = "transcript"


class Recording(models.Model):
    """One file of a session's sound (or its text), in the spool or in storage."""

    class State(models.TextChoices):
        SPOOLED = "spooled"  # whole, on the disk of the host that made it
        STORED = "stored"  # in storage, verified
        FAILED = "failed"  # `error` says why; nothing else of the session waits for it

    session = models.ForeignKey(
        VoiceSession, on_delete=models.CASCADE, related_name="recordings"
    )
    # Nobody's, for what holds everybody.
    participant = models.ForeignKey(
        Participant,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="recordings",
    )
    tier = models.CharField(max_length=16, choices=Tier)
    # The connection it belongs to: the name of its folder in the spool.
    connection = models.CharField(max_length=64, blank=True, default="")
    key = models.CharField(max_length=300, unique=True)
    # Positions and lengths are samples at 48 kHz since the session's time zero.
    start = models.BigIntegerField(default=0)
    duration = models.BigIntegerField(default=0)
    size = models.BigIntegerField(default=0)
    md5 = models.CharField(max_length=32, blank=True, default="")
    loudness_lufs = models.FloatField(null=True, blank=True)
    # The loss map: [start, end] of what never arrived.
    gaps = models.JSONField(default=list, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.SPOOLED)
    error = models.CharField(max_length=300, blank=True, default="")
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    stored_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["session", "tier", "start", "pk"]
        indexes: ClassVar = [
            models.Index(fields=["session", "tier", "start"]),
            models.Index(fields=["state", "created_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.tier} {self.key}"

    @property
    def end(self) -> int:
        """The position behind its last sample."""
        return self.start + self.duration


class Waveform(models.Model):
    """How loud a recording is along its way, collected while it was made.

    On the session's grid: a chunk from `start` to `end`, which lie on frames, holds the
    peaks with the numbers [start // 2400, end // 2400) and the energies with
    [start // 4800, end // 4800), so that those of a track's chunks follow each other
    without a seam. A fragment's are its chunks', joined: before its loudness was set.
    """

    recording = models.OneToOneField(
        Recording, on_delete=models.CASCADE, related_name="waveform"
    )
    # The least and the greatest sample of each 50 ms: pairs of int8.
    peaks = models.BinaryField(default=b"")
    # K-weighted mean squares (BS.1770) per 100 ms: float32, little-endian.
    energies = models.BinaryField(default=b"")

    def __str__(self) -> str:
        return f"waveform of recording {self.recording_id}"


class SessionEvent(models.Model):
    """One line of the event log: whatever a screen shows happened here."""

    session = models.ForeignKey(
        VoiceSession, on_delete=models.CASCADE, related_name="events"
    )
    seq = models.PositiveBigIntegerField()
    type = models.CharField(max_length=24)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["session", "seq"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="event_sequence_is_unique", fields=["session", "seq"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.type} #{self.seq}"


class Scope(models.TextChoices):
    """What an API token is good for."""

    CALLS = "calls"  # announce phone calls, ask about them, hand them over
    READ = "read"  # sessions, what was said, recordings
    WRITE = "write"  # open, end, change and delete


EVERY_SCOPE = " ".join(Scope.values)


class ApiToken(models.Model):
    """A token for programs: only its sha256 is kept."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    label = models.CharField(max_length=80, blank=True, default="")
    token_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    # With spaces between; a token from before there were any has them all.
    scopes = models.CharField(
        max_length=40, default=EVERY_SCOPE, db_default=EVERY_SCOPE
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Null: good until it is deleted.
    expires_at = models.DateTimeField(null=True, blank=True)
    # To the hour.
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"token {self.pk} {self.label}".strip()


class VoiceRequest(models.Model):
    """Somebody's wish for a session, from the queue to its end.

    Their place is the primary key's: what is put back waits where it waited.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        SERVED = "served"  # holds a slot, for as long as its lease runs
        DONE = "done"
        DROPPED = "dropped"  # left the queue, or came to nothing before its session

    source = models.CharField(max_length=16, choices=Source)
    # As the source names them, like a session's. `channel_id` is the channel to record
    # in; "" asks for a private room.
    guild_id = models.CharField(max_length=32)
    channel_id = models.CharField(max_length=64, blank=True, default="")
    text_channel_id = models.CharField(max_length=64, blank=True, default="")
    user_id = models.CharField(max_length=64)
    user_name = models.CharField(max_length=80, blank=True, default="")
    language = models.CharField(max_length=8, blank=True, default="")
    record = models.BooleanField(default=True)
    # Of the person who asks: the language we answer in.
    locale = models.CharField(max_length=16, blank=True, default="")
    # The message that shows their place, "" while there is none.
    message_id = models.CharField(max_length=32, blank=True, default="")
    # What is known of a person goes with their session.
    session = models.ForeignKey(
        VoiceSession,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="requests",
    )
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    created_at = models.DateTimeField(default=timezone.now)
    # When it got its slot: the last time, if it had to wait again.
    granted_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    # The process that serves it, or did.
    holder = models.CharField(max_length=100, blank=True, default="")
    attempts = models.PositiveIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["pk"]
        indexes: ClassVar = [models.Index(fields=["state", "id"])]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="voice_request_waits_once",
                fields=["source", "guild_id", "user_id"],
                condition=models.Q(state="waiting"),
            ),
            models.CheckConstraint(
                name="voice_request_served_has_a_lease",
                condition=~models.Q(state="served")
                | models.Q(leased_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"request {self.pk}"
