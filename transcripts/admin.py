"""The admin's view of utterances: to look at, and to try the given-up ones again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from transcripts import utterances
from transcripts.models import Utterance

if TYPE_CHECKING:  # generic in the stubs only
    _UtteranceAdmin = admin.ModelAdmin[Utterance]
else:
    _UtteranceAdmin = admin.ModelAdmin


@admin.register(Utterance)
class UtteranceAdmin(_UtteranceAdmin):
    list_display = (
        "public_id",
        "session",
        "participant",
        "state",
        "attempts",
        "error",
        "created_at",
        "finished_at",
    )
    list_filter = (
        "state",
        "language",
    )
    list_select_related = (
        "session",
        "participant",
    )
    search_fields = (
        "public_id",
        "session__public_id",
    )
    actions = ("transcribe_again",)
    exclude = ("audio",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Utterance]:
        return super().get_queryset(request).defer("audio")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Transcribe again", permissions=["view"])
    def transcribe_again(
        self, request: HttpRequest, queryset: QuerySet[Utterance]
    ) -> None:
        retried = utterances.retry_failed(list(queryset.values_list("pk", flat=True)))
        skipped = queryset.count() - retried
        self.message_user(request, f"{retried} will be transcribed again.")
        if skipped:
            note = f"{skipped} had not failed, or have no sound any more."
            self.message_user(request, note, messages.WARNING)
