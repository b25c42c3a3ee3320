"""People in the admin: who was in which session, and when."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from sessions.admin import shown
from sessions.admin.reading import PartOfSession, as_uuid
from sessions.models import Participant


@admin.register(Participant)
class ParticipantAdmin(PartOfSession):
    list_display = ("name", "of_session", "language", "joined_at", "stayed", "is_here")
    list_select_related = ("session",)
    list_filter = (("joined_at", admin.DateFieldListFilter),)
    search_fields = ("name",)
    search_help_text = "A name, the id of a person or a session, or a source's key."
    ordering = ("-pk",)
    sortable_by = ()
    fields = (
        "name",
        "public_id",
        "of_session",
        "key",
        "language",
        "joined_at",
        "left_at",
        "seen_at",
        "lines",
        "files",
    )
    readonly_fields = ("of_session", "lines", "files")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if found := as_uuid(search_term):
            by_id = queryset.filter(public_id=found)
            by_session = queryset.filter(session__public_id=found)
            return by_id | by_session, False
        if ":" in search_term or search_term.isdecimal():
            keys = (search_term, f"discord:{search_term}")
            return queryset.filter(key__in=keys), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="stayed")
    def stayed(self, person: Participant) -> str:
        return shown.between(person.joined_at, person.left_at)

    @admin.display(description="here now", boolean=True)
    def is_here(self, person: Participant) -> bool:
        return person.is_present

    @admin.display(description="lines")
    def lines(self, person: Participant) -> str:
        return _listed(person, "utterances")

    @admin.display(description="recordings")
    def files(self, person: Participant) -> str:
        return _listed(person, "recordings")


def _listed(person: Participant, name: str) -> str:
    """Rows of another app that belong to a person, by the relation's name."""
    rows = getattr(person, name)
    told = shown.number(rows.count())
    return shown.listed(rows.model, told, participant__id__exact=person.pk)
