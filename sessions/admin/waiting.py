"""The queue in the admin: who waits for a session, and at which place."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest

from sessions import queue
from sessions.admin.reading import PartOfSession, as_uuid, asker
from sessions.models import VoiceRequest


@admin.register(VoiceRequest)
class VoiceRequestAdmin(PartOfSession):
    list_display = (
        "id",
        "state",
        "place",
        "source",
        "guild_id",
        "user_name",
        "of_session",
        "holder",
        "attempts",
        "created_at",
    )
    list_filter = ("state", "source", ("created_at", admin.DateFieldListFilter))
    list_select_related = ("session",)
    search_fields = ("user_name",)
    search_help_text = "A name, the id of a guild or a user, or of a session."
    ordering = ("-pk",)
    sortable_by = ()
    actions = ("take_out",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if found := as_uuid(search_term):
            return queryset.filter(session__public_id=found), False
        if (wanted := search_term.strip()).isdecimal():
            by_guild = queryset.filter(guild_id=wanted)
            return by_guild | queryset.filter(user_id=wanted), False
        return super().get_search_results(request, queryset, search_term)

    def get_queryset(self, request: HttpRequest) -> QuerySet[VoiceRequest]:
        return super().get_queryset(request).annotate(standing=queue.standing())

    @admin.display(description="place")
    def place(self, request: Any) -> str:
        """In the queue: 1 is next."""
        is_waiting = request.state == VoiceRequest.State.WAITING
        return str(request.standing) if is_waiting and request.standing else ""

    @admin.action(description="Take out of the queue", permissions=["moderate"])
    def take_out(self, request: HttpRequest, queryset: QuerySet[VoiceRequest]) -> None:
        rows = list(queryset)
        dropped = [row for row in rows if queue.drop(row.pk)]
        LogEntry.objects.log_actions(
            asker(request), dropped, CHANGE, "Taken out of the queue."
        )
        self.message_user(request, f"{len(dropped)} taken out of the queue.")
        if skipped := len(rows) - len(dropped):
            note = f"{skipped} did not wait any more."
            self.message_user(request, note, messages.WARNING)
