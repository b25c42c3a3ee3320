"""The admin's view of utterances: to look at, and to try the given-up ones again.

A million of them are not counted, sorted or looked through here: what was said is found
by the search service, the rest by its id.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display

from sessions import audit
from sessions.admin import PartOfSession, as_uuid, asker, shown
from transcripts import eraseadmin, search, utterances
from transcripts.models import Utterance

__all__ = ["UtteranceAdmin", "eraseadmin"]

FOUND_MAX = 500
"""Of the newest lines that hold the words."""
LABELS = {"done": "success", "failed": "danger", "pending": "warning"}


@admin.register(Utterance)
class UtteranceAdmin(PartOfSession):
    list_display = (
        "said",
        "of_person",
        "of_session",
        "when",
        "is_in",
        "language",
        "attempts",
        "error",
    )
    list_filter = ("state",)
    list_select_related = ("session", "participant")
    search_fields = ("text",)
    search_help_text = "Words that were said, or the id of a line or a session."
    ordering = ("-pk",)
    sortable_by = ()
    actions = ("transcribe_again",)
    fields = (
        "text",
        "of_session",
        "of_person",
        "when",
        "lasts",
        "is_in",
        "language",
        "confidence",
        "public_id",
        "attempts",
        "error",
        "created_at",
        "finished_at",
    )
    readonly_fields = ("of_session", "of_person", "when", "lasts", "is_in")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Utterance]:
        return super().get_queryset(request).defer("audio", "words")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        answer = super().changelist_view(request, extra_context)
        shown_here = getattr(answer, "context_data", None) or {}
        if "cl" in shown_here:
            rows = shown_here["cl"].result_list
            audit.many(request, (row.session.public_id for row in rows))
        return answer

    def get_object(self, request: HttpRequest, *args: Any) -> Utterance | None:
        line: Utterance | None = super().get_object(request, *args)
        if line is not None:
            audit.many(request, [line.session.public_id])
        return line

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term.strip():
            return queryset, False
        if found := as_uuid(search_term):
            by_id = Utterance.objects.filter(public_id=found).values("pk")
            of_session = Utterance.objects.filter(session__public_id=found).values("pk")
            rows = by_id if by_id.exists() else of_session
            return queryset.filter(pk__in=rows), False
        hits = search.search(search_term, most=FOUND_MAX)
        return queryset.filter(pk__in=[hit.number for hit in hits]), False

    @admin.display(description="line")
    def said(self, line: Utterance) -> str:
        return shown.short(line.text) or "–"

    @admin.display(description="person")
    def of_person(self, line: Utterance) -> str:
        return shown.link(line.participant, line.participant.name)

    @admin.display(description="at")
    def when(self, line: Utterance) -> str:
        return shown.at(line.start)

    @admin.display(description="length")
    def lasts(self, line: Utterance) -> str:
        return shown.samples(line.end - line.start)

    @display(description="state", label=LABELS)
    def is_in(self, line: Utterance) -> str:
        return line.state

    @admin.action(description="Transcribe again", permissions=["moderate"])
    def transcribe_again(
        self, request: HttpRequest, queryset: QuerySet[Utterance]
    ) -> None:
        rows = list(queryset)
        retried = utterances.retry_failed([row.pk for row in rows])
        if retried:
            LogEntry.objects.log_actions(
                asker(request), rows, CHANGE, "Transcribe again."
            )
        self.message_user(request, f"{retried} will be transcribed again.")
        if skipped := len(rows) - retried:
            note = f"{skipped} had not failed, or have no sound any more."
            self.message_user(request, note, messages.WARNING)
