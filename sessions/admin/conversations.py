"""Sessions in the admin: what there is of each, and what may be done to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import action, display

from sessions import deletion, keeping
from sessions.acting import ACTS, OVER
from sessions.admin import shown
from sessions.admin.doing import Answer, Doing, deed
from sessions.admin.reading import ReadOnly, as_uuid, asker, named
from sessions.errors import VoiceError
from sessions.models import Participant, Recording, VoiceSession

LABELS = {
    "active": "success",
    "finishing": "info",
    "failed": "danger",
    "requested": "warning",
    "waiting": "warning",
}


def _each(model: Any, total: Any) -> Subquery:
    """A number of what belongs to each session of a list, in the list's own query."""
    rows = model.objects.filter(session=OuterRef("pk")).order_by()
    return Subquery(rows.values("session").annotate(n=total).values("n"))


@admin.register(VoiceSession)
class VoiceSessionAdmin(Doing, ReadOnly):
    list_display = (
        "called",
        "is_in",
        "source",
        "started_at",
        "lasted",
        "people",
        "weighs",
        "record",
    )
    list_filter = (
        "state",
        "source",
        "record",
        ("created_at", admin.DateFieldListFilter),
    )
    search_fields = ("title",)
    search_help_text = "A title, somebody's name, or the id of a session or a guild."
    ordering = ("-created_at", "-pk")
    sortable_by = ()
    fieldsets: ClassVar = (
        (
            None,
            {
                "fields": (
                    "title",
                    "page",
                    "is_in",
                    "source",
                    "owner",
                    "language",
                    "record",
                    "kept",
                    "belongings",
                )
            },
        ),
        (
            "Times",
            {
                "fields": (
                    "created_at",
                    "started_at",
                    "stop_requested_at",
                    "ended_at",
                    "lasted",
                    "end_reason",
                    "failure",
                    "heartbeat_at",
                )
            },
        ),
        (
            "Where",
            {"fields": ("public_id", "guild_id", "channel_id", "user_id", "last_seq")},
        ),
    )
    readonly_fields = ("page", "is_in", "lasted", "kept", "belongings")
    actions = (*(f"do_{kind}" for kind in ACTS), "do_export", "keep", "do_not_keep")
    actions_detail: ClassVar = [
        {
            "title": "Act on it",
            "items": [f"one_{kind}" for kind in ACTS],
        }
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[VoiceSession]:
        rows = super().get_queryset(request)
        return rows.annotate(
            people_count=_each(Participant, Count("pk")),
            bytes=_each(Recording, Sum("size")),
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        wanted = search_term.strip()
        if found := as_uuid(wanted):
            return queryset.filter(public_id=found), False
        if wanted.isdecimal() and len(wanted) > 4:
            ids = Q(guild_id=wanted) | Q(channel_id=wanted) | Q(user_id=wanted)
            return queryset.filter(ids), False
        if not wanted:
            return queryset, False
        people = Participant.objects.filter(session=OuterRef("pk"))
        by_name = Exists(people.filter(name__icontains=wanted))
        return queryset.filter(Q(title__icontains=wanted) | by_name), False

    @admin.display(description="session")
    def called(self, session: VoiceSession) -> str:
        return shown.short(session.title, most=60) or named(session)

    @display(description="state", label=LABELS)
    def is_in(self, session: VoiceSession) -> str:
        return session.state

    @admin.display(description="length")
    def lasted(self, session: VoiceSession) -> str:
        return shown.between(session.started_at, session.ended_at)

    @admin.display(description="people")
    def people(self, session: Any) -> str:
        return str(session.people_count or 0)

    @admin.display(description="size")
    def weighs(self, session: Any) -> str:
        return shown.size(session.bytes)

    @admin.display(description="page")
    def page(self, session: VoiceSession) -> str:
        address = reverse("session", args=[session.public_id])
        return format_html('<a href="{}">Open the session</a>', address)

    @admin.display(description="what belongs to it")
    def belongings(self, session: VoiceSession) -> str:
        """Each list of the admin whose rows are a session's, and how many there are."""
        return format_html_join(" · ", "{}", ((one,) for one in _belongings(session)))

    # --- how long it is kept --------------------------------------------------------

    @admin.display(description="kept")
    def kept(self, session: VoiceSession) -> str:
        """Until when, in plain words."""
        return keeping.sentence(keeping.of(session))

    @action(description="Keep for ever", permissions=["moderate"])
    def keep(self, request: HttpRequest, queryset: QuerySet[VoiceSession]) -> None:
        self._decide(request, queryset, keep=True, told="kept for ever")

    @action(description="Keep as the settings say", permissions=["moderate"])
    def do_not_keep(
        self, request: HttpRequest, queryset: QuerySet[VoiceSession]
    ) -> None:
        told = "kept as the settings say"
        self._decide(request, queryset, keep=False, told=told)

    def _decide(
        self,
        request: HttpRequest,
        queryset: QuerySet[VoiceSession],
        *,
        keep: bool,
        told: str,
    ) -> None:
        rows = list(queryset)
        done = keeping.decide_all(queryset, keep=keep)
        said = f"{told.capitalize()}."
        LogEntry.objects.log_actions(asker(request), rows, CHANGE, said)
        self.message_user(request, f"{done} {told}.")

    # --- deletion -----------------------------------------------------------------

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found = super().get_actions(request)
        found.pop("delete_selected", None)  # ours is a job, with the sound
        return found

    def get_deleted_objects(
        self, objs: Sequence[Any] | QuerySet[Any], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """In numbers: of a long session it is ten thousands of rows."""
        lacking = set()
        if any(session.state not in OVER for session in objs):
            lacking.add("session that has not ended")
        counts = {str(VoiceSession._meta.verbose_name_plural): len(objs)}
        for relation in VoiceSession._meta.related_objects:
            model: Any = relation.related_model
            count = model._default_manager.filter(
                **{f"{relation.field.name}__in": [one.pk for one in objs]}
            ).count()
            if count:
                counts[str(model._meta.verbose_name_plural)] = count
        texts = [shown.short(str(one.title), most=60) or named(one) for one in objs]
        return texts, counts, lacking, []

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Its files go first; when storage is away, all of it stays."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except VoiceError as e:
            told = f"Nothing was deleted, try again later. {e.message}"
            self.message_user(request, told, level=messages.ERROR)
            name = "admin:voice_sessions_voicesession_change"
            return HttpResponseRedirect(reverse(name, args=[object_id]))

    def delete_model(self, request: HttpRequest, obj: VoiceSession) -> None:
        deletion.delete(VoiceSession.objects.get(pk=obj.pk))


def _belongings(session: VoiceSession) -> list[str]:
    found = []
    for relation in VoiceSession._meta.related_objects:
        model: Any = relation.related_model
        field = relation.field.name
        if model in admin.site._registry:
            count = model._default_manager.filter(**{field: session.pk}).count()
            text = f"{model._meta.verbose_name_plural}: {shown.number(count)}"
            query = {f"{field}__id__exact": session.pk}
            found.append(shown.listed(model, text, **query) if count else text)
    return found


def _one(kind: str) -> Any:
    """The act on the session whose page is open: the same question, of it alone."""

    def ask(self: VoiceSessionAdmin, request: HttpRequest, object_id: str) -> Answer:
        rows = self.get_queryset(request).filter(pk=object_id)
        return self.ask_first(request, kind, rows)

    ask.__name__ = f"one_{kind}"
    return action(
        ask,
        description=ACTS[kind].label,
        permissions=["moderate"],
        url_path=f"act-{kind}",
    )


for _kind in ACTS:
    setattr(VoiceSessionAdmin, f"do_{_kind}", deed(_kind))
    setattr(VoiceSessionAdmin, f"one_{_kind}", _one(_kind))
