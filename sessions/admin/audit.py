"""Who looked at what was said, in the admin: nobody takes themselves out of it."""

from __future__ import annotations

from django.contrib import admin

from sessions.admin.reading import PartOfSession
from sessions.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(PartOfSession):
    list_display = ("seen_at", "person", "kind", "session", "address")
    list_filter = ("kind",)
    list_select_related = ("user",)
    search_fields = ("session", "user__username", "address")

    @admin.display(description="who")
    def person(self, entry: AuditEntry) -> str:
        return str(entry.user) if entry.user else entry.who.partition(":")[0]
