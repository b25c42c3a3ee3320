"""Recordings in the admin: each file of a session, and where it is."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from sessions.admin import shown
from sessions.admin.reading import PartOfSession, as_uuid
from sessions.models import Recording


@admin.register(Recording)
class RecordingAdmin(PartOfSession):
    list_display = (
        "tier",
        "of_session",
        "of_person",
        "state",
        "lasts",
        "weighs",
        "error",
        "created_at",
    )
    list_filter = ("tier", "state", ("created_at", admin.DateFieldListFilter))
    list_select_related = ("session", "participant")
    search_fields = ("key",)
    search_help_text = "The id of a session, or the whole key of a file."
    ordering = ("-pk",)
    sortable_by = ()
    fields = (
        "key",
        "of_session",
        "of_person",
        "tier",
        "state",
        "begins",
        "lasts",
        "weighs",
        "md5",
        "loudness_lufs",
        "missing",
        "error",
        "attempts",
        "created_at",
        "stored_at",
    )
    readonly_fields = (
        "of_session", "of_person", "begins", "lasts", "weighs", "missing",
    )  # fmt: skip

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if found := as_uuid(search_term):
            return queryset.filter(session__public_id=found), False
        wanted = search_term.strip()
        return (queryset.filter(key=wanted) if wanted else queryset), False

    @admin.display(description="person")
    def of_person(self, row: Recording) -> str:
        person = row.participant
        return shown.link(person, person.name) if person else "everybody"

    @admin.display(description="begins at")
    def begins(self, row: Recording) -> str:
        return shown.at(row.start)

    @admin.display(description="length")
    def lasts(self, row: Recording) -> str:
        return shown.samples(row.duration)

    @admin.display(description="size")
    def weighs(self, row: Recording) -> str:
        return shown.size(row.size)

    @admin.display(description="never arrived")
    def missing(self, row: Recording) -> str:
        return shown.samples(sum(end - start for start, end in row.gaps))
