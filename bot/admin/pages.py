"""Pages of the admin that are no list of rows: operations, and orphans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from bot import operations
from bot.admin.charts import drawn
from bot.orphans import GROUPS, Orphan
from sessions import jobs
from sessions.admin import asker, shown
from sessions.models import Job

SHOWN = 200
"""Of each group on the page; all that were found are cleaned."""
View = Callable[[HttpRequest], HttpResponse]


def addresses() -> list[URLPattern]:
    """To stand before the admin's own, under the same root."""
    return [
        path("operations/", _guarded(require_GET(_operations)), name="operations"),
        path("orphans/", _guarded(require_GET(_orphans)), name="orphans"),
        path("orphans/look/", _guarded(require_POST(_look)), name="orphans_look"),
        path("orphans/clean/", _guarded(require_POST(_clean)), name="orphans_clean"),
    ]


def _guarded(view: View) -> Any:
    """For those who sign in to the admin, and may moderate."""

    def entered(request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm("voice_sessions.moderate"):
            raise PermissionDenied
        return view(request)

    return admin.site.admin_view(entered)


def _operations(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    disk = operations.disk()
    context = admin.site.each_context(request) | {
        "title": "Operations",
        "states": operations.states(),
        "calls": operations.calls(),
        "signs": operations.signs(now=now),
        "shelves": [(one, shown.size(one.bytes)) for one in operations.shelves()],
        "disk": disk,
        "disk_free": shown.size(disk.free),
        "disk_total": shown.size(disk.total),
        "spooled": shown.size(disk.spooled),
        "faults": operations.faults(now=now),
        "charts": [drawn(chart) for chart in operations.charts(now=now)],
        "now": now,
    }
    return TemplateResponse(request, "admin/operations.html", context)


def _orphans(request: HttpRequest) -> HttpResponse:
    looks = Job.objects.filter(kind="look").order_by("-pk")
    last = looks.first()
    is_ready = last is not None and last.state == Job.State.DONE
    found = [Orphan(**one) for one in last.found] if last and is_ready else []
    cleaned = Job.objects.filter(kind="clean").order_by("-pk").first()
    is_used = bool(last and cleaned and cleaned.options.get("look") == last.pk)
    context = admin.site.each_context(request) | {
        "title": "Orphans",
        "last": last,
        "is_ready": is_ready,
        "is_used": is_used,
        "cleaned": cleaned,
        "groups": [_group(key, found) for key in GROUPS],
        "count": len(found),
        "failures": _unlooked(last) if last else [],
    }
    return TemplateResponse(request, "admin/orphans.html", context)


def _group(key: str, found: list[Orphan]) -> dict[str, Any]:
    theirs = [one for one in found if one.group == key]
    size = sum(one.size for one in theirs)
    return {
        "group": GROUPS[key],
        "count": len(theirs),
        "size": shown.size(size) if size else "",
        "orphans": [
            (one, shown.size(one.size) if one.size else "") for one in theirs[:SHOWN]
        ],
        "more": max(len(theirs) - SHOWN, 0),
    }


def _unlooked(job: Job) -> list[tuple[str, str]]:
    return [(GROUPS[job.items[at]].title, why) for at, why in job.failures]


def _look(request: HttpRequest) -> HttpResponse:
    job = jobs.ask("look", list(GROUPS), by=asker(request))
    return _to(job)


def _clean(request: HttpRequest) -> HttpResponse:
    """Exactly what the look that was shown has found, or groups of it."""
    back = HttpResponseRedirect(reverse("admin:orphans"))
    number = request.POST.get("look", "")
    looks = Job.objects.filter(kind="look", state=Job.State.DONE)
    look = looks.filter(pk=number).first() if number.isdecimal() else None
    if look is None:
        messages.error(request, "That look is not there any more: look again.")
        return back
    chosen = set(request.POST.getlist("group"))
    items = [one for one in look.found if one["group"] in chosen]
    if not items:
        messages.warning(request, "Nothing was chosen to be cleaned.")
        return back
    options = {"look": look.pk}
    by = asker(request)
    job = jobs.ask("clean", items[: jobs.ITEMS_MAX], by=by, options=options)
    counted = Counter(GROUPS[one["group"]].title for one in items)
    what = ", ".join(f"{title}: {count}" for title, count in counted.items())
    told = f"Clean up orphans, as look {look.pk} showed them. {what}."
    LogEntry.objects.log_actions(by, [job], CHANGE, told, single_object=True)
    return _to(job)


def _to(job: Job) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:voice_sessions_job_see", args=[job.pk]))
