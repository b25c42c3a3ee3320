"""What all lists of the admin are: to be read. State is never edited by hand, and a
list costs the same with ten rows and with a million."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin

from sessions.admin import shown
from sessions.models import VoiceSession

if TYPE_CHECKING:  # generic in the stubs only
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = ModelAdmin

COUNTED = 10_000
"""So many rows are counted and leafed through; behind them, search or filter."""


class Leafing(Paginator):
    """Counts no more than COUNTED rows: counting a million takes longer than a page."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        # By the key alone: what a list shows of each row is not counted with it.
        return rows.order_by().values("pk")[:COUNTED].count()


class ReadOnly(_Admin):
    """Nothing is added or changed by hand: services write these rows."""

    paginator = Leafing
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    list_filter_submit = False
    list_fullwidth = True
    compressed_fields = True

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: object | None = None
    ) -> bool:
        return False

    def has_moderate_permission(
        self, request: HttpRequest, obj: object | None = None
    ) -> bool:
        return request.user.has_perm("voice_sessions.moderate")


class PartOfSession(ReadOnly):
    """Deleted only with its session: what belongs to it would be left behind."""

    def has_delete_permission(
        self, request: HttpRequest, obj: object | None = None
    ) -> bool:
        return False

    @admin.display(description="session", ordering="session")
    def of_session(self, row: Any) -> str:
        return session_link(row.session)


def asker(request: HttpRequest) -> int:
    """Whose name goes into the log of admin actions: somebody has signed in here."""
    assert request.user.pk is not None
    return request.user.pk


def session_link(session: VoiceSession | None) -> str:
    if session is None:
        return shown.NOTHING
    return shown.link(session, shown.short(session.title, most=40) or named(session))


def named(session: VoiceSession) -> str:
    """A session without a title."""
    return f"{session.get_source_display()} {str(session.public_id)[:8]}"


def as_uuid(text: str) -> UUID | None:
    """What somebody pasted into the search, if that is an id."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None
