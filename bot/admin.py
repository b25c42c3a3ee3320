"""Phone calls in the admin, to read. What is said in them is their session's."""

from __future__ import annotations

from django.contrib import admin

from bot.models import Call
from sessions.admin import PartOfSession


@admin.register(Call)
class CallAdmin(PartOfSession):
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
