"""Admin pages: sessions, people, events and tokens, to read; state is never edited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from sessions.models import (
    ApiToken,
    Participant,
    SessionEvent,
    State,
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
