"""Acts on chosen sessions: asked once more, refused in plain words, done as a job, and
written into the log of admin actions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http import StreamingHttpResponse as Streaming
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.module_loading import import_string
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from sessions import audit, jobs, lifecycle
from sessions.acting import ACTS, Act
from sessions.admin.reading import asker, named
from sessions.models import VoiceSession

Answer = HttpResponse | Streaming
SHOWN = 100
"""So many are named before an act; of the others, the number."""
EXPORTED_MAX = 500
SUFFIXES = ("txt", "srt", "vtt", "json", "jsonl", "csv", "labels")


class Anew(forms.Form):
    """With which model, and in which language, lines are written down again."""

    model = forms.RegexField(
        r"^\w[\w.-]*$",
        label="Speech model",
        required=False,
        max_length=120,
        widget=UnfoldAdminTextInputWidget,
        error_messages={"invalid": "A name without slashes."},
        help_text="A size (small, medium, large-v3) or a folder among the models."
        " Empty: the one that the workers have.",
    )
    language = forms.RegexField(
        r"^[A-Za-z]{2,3}(-[A-Za-z]{2,4})?$",
        label="Language",
        required=False,
        max_length=8,
        widget=UnfoldAdminTextInputWidget,
        error_messages={"invalid": "A code like en, de or uk."},
        help_text="A code like en, de or uk. Empty: whatever is heard.",
    )


class Export(forms.Form):
    """As which kind of file transcripts are wanted."""

    suffix = forms.ChoiceField(
        label="Format",
        choices=[(one, one.upper()) for one in SUFFIXES],
        widget=UnfoldAdminSelectWidget,
    )


EXPORT = Act(
    "export",
    "Download transcripts",
    "The transcripts of these sessions, as one ZIP.",
    (),
    "",
)
FORMS: dict[str, type[forms.Form]] = {"again": Anew, "export": Export}


class Doing:
    """For the sessions' own page: `do_<kind>` of a list, the same question for one."""

    def ask_first(
        self, request: HttpRequest, kind: str, rows: QuerySet[VoiceSession]
    ) -> Answer:
        """The question, or what follows from its answer."""
        chosen = list(rows.order_by("-pk")[: jobs.ITEMS_MAX + 1])
        act = ACTS.get(kind, EXPORT)
        form = FORMS[kind](request.POST or None) if kind in FORMS else None
        refused = [(one, act.refuses(one)) for one in chosen if kind in ACTS]
        refused = [(one, why) for one, why in refused if why]
        left = {one.pk for one, _ in refused}
        allowed = [one for one in chosen if one.pk not in left]
        is_confirmed = request.method == "POST" and "confirmed" in request.POST
        if is_confirmed and allowed and (form is None or form.is_valid()):
            options = dict(form.cleaned_data) if form else {}
            return self._go(request, act, allowed, options)
        if form is not None and not is_confirmed:
            form = FORMS[kind]()
        return self._question(request, act, allowed, refused, form)

    def _go(
        self,
        request: HttpRequest,
        act: Act,
        rows: list[VoiceSession],
        options: dict[str, Any],
    ) -> Answer:
        if act.kind == "export":
            return _exported(request, rows, options["suffix"])
        try:
            if act.kind == "end":  # nobody is recorded while the job waits its turn
                for row in rows:
                    lifecycle.request_stop(row.pk)
            by = asker(request)
            job = jobs.ask(act.kind, [row.pk for row in rows], by=by, options=options)
        except jobs.TooManyError as e:
            messages.error(request, e.message)
            return HttpResponseRedirect(_list())
        noted(request, act, rows, f"job {job.pk}")
        return HttpResponseRedirect(
            reverse("admin:voice_sessions_job_see", args=[job.pk])
        )

    def _question(
        self,
        request: HttpRequest,
        act: Act,
        allowed: list[VoiceSession],
        refused: list[tuple[VoiceSession, str]],
        form: forms.Form | None,
    ) -> HttpResponse:
        context = admin.site.each_context(request) | {
            "title": act.label,
            "act": act,
            "opts": VoiceSession._meta,
            "allowed": [row.title or named(row) for row in allowed[:SHOWN]],
            "more": max(len(allowed) - SHOWN, 0),
            "count": len(allowed),
            "ids": [row.pk for row in allowed],
            "refused": [(row.title or named(row), why) for row, why in refused[:SHOWN]],
            "refused_more": max(len(refused) - SHOWN, 0),
            "form": form,
            "address": _list(),
        }
        return TemplateResponse(request, "admin/act.html", context)

    @admin.action(description=EXPORT.label, permissions=["moderate"])
    def do_export(
        self, request: HttpRequest, queryset: QuerySet[VoiceSession]
    ) -> Answer:
        return self.ask_first(request, "export", queryset)


def deed(kind: str) -> Callable[..., Answer]:
    """The action of a list for one kind of act."""

    @admin.action(description=ACTS[kind].label, permissions=["moderate"])
    def act(
        self: Doing, request: HttpRequest, queryset: QuerySet[VoiceSession]
    ) -> Answer:
        return self.ask_first(request, kind, queryset)

    act.__name__ = f"do_{kind}"
    return act


def noted(request: HttpRequest, act: Act, rows: list[VoiceSession], how: str) -> None:
    """Into the log of admin actions, of each session."""
    flag = DELETION if act.kind == "delete" else CHANGE
    LogEntry.objects.log_actions(asker(request), rows, flag, f"{act.label} ({how}).")


def _exported(request: HttpRequest, rows: list[VoiceSession], suffix: str) -> Answer:
    if len(rows) > EXPORTED_MAX:
        told = f"{len(rows)} are too many at once: choose at most {EXPORTED_MAX}."
        messages.error(request, told)
        return HttpResponseRedirect(_list())
    noted(request, EXPORT, rows, suffix)
    audit.many(request, (row.public_id for row in rows), kind=audit.Kind.TRANSCRIPT)
    pieces = import_string(jobs.TRANSCRIPTS)([row.pk for row in rows], suffix)
    is_async = hasattr(request, "scope")
    paced: Any = _piece_by_piece(pieces) if is_async else pieces
    answer = Streaming(paced, content_type="application/zip")
    answer["Content-Disposition"] = 'attachment; filename="transcripts.zip"'
    answer["Cache-Control"] = "private, no-store"
    return answer


async def _piece_by_piece(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Made as it is sent: Django would make all of it first."""
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece


def _list() -> str:
    return reverse("admin:voice_sessions_voicesession_changelist")
