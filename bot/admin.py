"""Phone calls in the admin, to read. What is said in them is their session's."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from bot.models import Call
from sessions.admin import ReadOnly


@admin.register(Call)
class CallAdmin(ReadOnly):
    list_display = (
        "uuid",
        "caller",
        "callee",
        "session",
        "created_at",
        "ended_at",
        "end_reason",
    )
    list_filter = ("end_reason", "language")
    list_select_related = ("session",)
    search_fields = ("uuid", "caller", "callee", "session__public_id")
    date_hierarchy = "created_at"

    def has_delete_permission(
        self, request: HttpRequest, obj: object | None = None
    ) -> bool:
        """Only with its session: the call's number alone would be left of it."""
        return False
