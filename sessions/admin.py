"""Admin pages: sessions, people, events, the queue and tokens, to read; state is never
edited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from sessions import deletion, queue
from sessions.errors import VoiceError
from sessions.models import (
    ApiToken,
    Participant,
    Recording,
    SessionEvent,
    State,
    VoiceRequest,
    VoiceSession,
)

OVER = (State.READY, State.FAILED, State.DELETED)


class ReadOnly(admin.ModelAdmin):
    """Nothing is added or changed by hand: services write these rows."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: object | None = None
    ) -> bool:
        return False


class PartOfSession(ReadOnly):
    """Deleted only with its session: what belongs to it would be left behind."""

    def has_delete_permission(
        self, request: HttpRequest, obj: object | None = None
    ) -> bool:
        return False


@admin.register(VoiceSession)
class VoiceSessionAdmin(ReadOnly):
    list_display = ("public_id", "title", "source", "state", "started_at", "ended_at")
    list_filter = ("state", "source", "record")
    search_fields = ("public_id", "title")
    date_hierarchy = "created_at"

    def get_deleted_objects(
        self, objs: Sequence[Any] | QuerySet[Any], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """What belongs to a session goes with it, also where it may not go alone."""
        texts, counts, _, protected = super().get_deleted_objects(objs, request)
        live = any(session.state not in OVER for session in objs)
        lacking = {"session that has not ended"} if live else set()
        return texts, counts, lacking, protected

    def delete_model(self, request: HttpRequest, obj: VoiceSession) -> None:
        """Its files go first; when storage is away, all of it stays."""
        try:
            deletion.delete(obj)
        except VoiceError as e:
            told = f"{obj} was not deleted, try again later. {e.message}"
            self.message_user(request, told, level=messages.ERROR)

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[VoiceSession]
    ) -> None:
        for session in queryset:
            self.delete_model(request, session)


@admin.register(Recording)
class RecordingAdmin(PartOfSession):
    list_display = ("key", "session", "tier", "state", "size", "error", "created_at")
    list_filter = ("tier", "state")
    list_select_related = ("session",)
    search_fields = ("key",)


@admin.register(Participant)
class ParticipantAdmin(ReadOnly):
    list_display = ("public_id", "name", "session", "joined_at", "left_at")
    search_fields = ("public_id", "name")
    list_select_related = ("session",)


@admin.register(SessionEvent)
class SessionEventAdmin(ReadOnly):
    list_display = ("session", "seq", "type", "created_at")
    list_filter = ("type",)
    list_select_related = ("session",)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnly):
    list_display = ("user", "label", "created_at")
    exclude: ClassVar = ["token_sha256"]


@admin.register(VoiceRequest)
class VoiceRequestAdmin(PartOfSession):
    list_display = (
        "id",
        "state",
        "place",
        "source",
        "guild_id",
        "user_name",
        "session",
        "holder",
        "attempts",
        "created_at",
    )
    list_filter = ("state", "source")
    list_select_related = ("session",)
    search_fields = ("guild_id", "user_id", "user_name", "session__public_id")
    date_hierarchy = "created_at"
    ordering = ("-pk",)
    actions = ("take_out",)

    @admin.display(description="place")
    def place(self, request: VoiceRequest) -> str:
        """In the queue: 1 is next."""
        return str(queue.place(request.pk) or "")

    @admin.action(description="Take out of the queue", permissions=["view"])
    def take_out(self, request: HttpRequest, queryset: QuerySet[VoiceRequest]) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        dropped = sum(queue.drop(pk) for pk in ids)
        self.message_user(request, f"{dropped} taken out of the queue.")
        if skipped := len(ids) - dropped:
            note = f"{skipped} did not wait any more."
            self.message_user(request, note, messages.WARNING)
