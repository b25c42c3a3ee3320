"""The event log and API tokens in the admin."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from sessions.admin.reading import PartOfSession, ReadOnly, as_uuid
from sessions.models import ApiToken, SessionEvent


@admin.register(SessionEvent)
class SessionEventAdmin(PartOfSession):
    """Of one session at a time, or the newest of all. What was said is not shown here:
    that is the transcript's."""

    list_display = ("seq", "type", "of_session", "created_at")
    list_select_related = ("session",)
    search_fields = ("type",)
    search_help_text = "The id of a session."
    ordering = ("-pk",)
    sortable_by = ()
    fields = ("of_session", "seq", "type", "created_at")
    readonly_fields = ("of_session",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SessionEvent]:
        return super().get_queryset(request).defer("data")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term.strip():
            return queryset, False
        found = as_uuid(search_term)
        rows = queryset.filter(session__public_id=found) if found else queryset.none()
        return rows, False


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnly):
    list_display = (
        "user",
        "label",
        "scopes",
        "created_at",
        "expires_at",
        "last_used_at",
    )
    exclude: ClassVar = ["token_sha256"]
