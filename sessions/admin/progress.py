"""Jobs in the admin: how far each is, what could not be done and why, and to cancel."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_POST
from unfold.decorators import display

from sessions import jobs
from sessions.acting import ACTS
from sessions.admin import shown
from sessions.admin.reading import PartOfSession, asker, named
from sessions.models import Job, VoiceSession

FAILURES_SHOWN = 100
OTHERS = {
    "look": "Look for orphans",
    "clean": "Clean up orphans",
    "archive": "Store words that came late",
}
LABELS = {"running": "info", "done": "success", "cancelled": "warning"}


@admin.register(Job)
class JobAdmin(PartOfSession):
    list_display = ("what", "is_in", "far", "asked_by", "asked_at", "took")
    list_filter = ("state",)
    list_select_related = ("asked_by",)
    ordering = ("-pk",)
    sortable_by = ()

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        ours = [
            path("<int:job_id>/", wrap(self.see), name="voice_sessions_job_see"),
            path(
                "<int:job_id>/progress/",
                wrap(require_GET(self.bar)),
                name="voice_sessions_job_bar",
            ),
            path(
                "<int:job_id>/cancel/",
                wrap(require_POST(self.cancel)),
                name="voice_sessions_job_cancel",
            ),
        ]
        return ours + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Its own page is the one with the bar."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "GET" or not object_id.isdecimal():
            raise PermissionDenied
        address = reverse("admin:voice_sessions_job_see", args=[object_id])
        return HttpResponseRedirect(address)

    def see(self, request: HttpRequest, job_id: int) -> HttpResponse:
        job = self._job(request, job_id)
        context = (
            self.admin_site.each_context(request)
            | told(job)
            | {
                "title": label(job),
                "opts": Job._meta,
                "may_cancel": self.has_moderate_permission(request),
            }
        )
        return TemplateResponse(request, "admin/job.html", context)

    def bar(self, request: HttpRequest, job_id: int) -> HttpResponse:
        """The part of the page that changes; it asks for itself until all is done."""
        context = told(self._job(request, job_id))
        context["may_cancel"] = self.has_moderate_permission(request)
        return render(request, "admin/job_progress.html", context)

    def cancel(self, request: HttpRequest, job_id: int) -> HttpResponse:
        if not self.has_moderate_permission(request):
            raise PermissionDenied
        job = self._job(request, job_id)
        if jobs.cancel(job.pk):
            LogEntry.objects.log_actions(
                asker(request), [job], CHANGE, "Cancelled.", single_object=True
            )
            messages.success(request, "Cancelled. What is done stays done.")
        else:
            messages.warning(request, "It was over already.")
        address = reverse("admin:voice_sessions_job_see", args=[job.pk])
        return HttpResponseRedirect(address)

    def _job(self, request: HttpRequest, job_id: int) -> Job:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(Job.objects.select_related("asked_by"), pk=job_id)

    @admin.display(description="job")
    def what(self, job: Job) -> str:
        return f"{label(job)} #{job.pk}"

    @display(description="state", label=LABELS)
    def is_in(self, job: Job) -> str:
        return job.state

    @admin.display(description="done")
    def far(self, job: Job) -> str:
        seen = jobs.seen(job)
        failed = f", {seen.failed} not" if seen.failed else ""
        return f"{seen.done} of {seen.total}{failed}"

    @admin.display(description="took")
    def took(self, job: Job) -> str:
        return shown.between(job.started_at, job.finished_at)


def label(job: Job) -> str:
    act = ACTS.get(job.kind)
    return act.label if act else OTHERS.get(job.kind, job.kind)


def told(job: Job) -> dict[str, Any]:
    """What the changing part of the page shows."""
    failures = job.failures[:FAILURES_SHOWN]
    items = [job.items[index] for index, _ in failures]
    names = _names(items) if job.kind in ACTS else [_called(one) for one in items]
    return {
        "job": job,
        "seen": jobs.seen(job),
        "is_open": job.state in Job.OPEN,
        "later": len(job.waiting),
        "failures": [
            (name, why) for name, (_, why) in zip(names, failures, strict=True)
        ],
        "failures_more": max(len(job.failures) - FAILURES_SHOWN, 0),
        "took": shown.between(job.started_at, job.finished_at),
    }


def _called(item: Any) -> str:
    """What a look around has found, or where it looked."""
    return str(item["name"]) if isinstance(item, dict) else str(item)


def _names(ids: list[int]) -> list[str]:
    rows = {row.pk: row for row in VoiceSession.objects.filter(pk__in=ids)}
    return [
        rows[pk].title or named(rows[pk]) if pk in rows else f"session {pk}, gone"
        for pk in ids
    ]
