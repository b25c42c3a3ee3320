"""The dashboard: what is live, and the list of all sessions. Parses, asks who it is,
calls the services, draws; nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from sessions import audit, board, listing, opening, searching
from sessions.forms import NewSessionForm, languages
from sessions.models import Source

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from sessions.listing import Filters, Page

HITS = 5
"""Lines shown above the list; a link leads to the rest."""
SOURCES = {
    Source.DISCORD: "Discord",
    Source.BROWSER: "Browser",
    Source.PHONE: "Phone",
}
STATES = {
    "live": "Live",
    "finishing": "Finishing",
    "ready": "Ready",
    "failed": "Failed",
}


@require_safe
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    user = request.user
    if not user.is_authenticated:
        return render(request, "home.html")
    filters = listing.parse(request.GET)
    page = listing.page(user, filters, before=request.GET.get("before", ""))
    hits = _hits(user, filters, page)
    audit.many(request, [hit.session for hit in hits])
    context = list_context(filters, page, hits=hits)
    if _wants_list(request):
        return render(request, "sessions.html", context)
    return _whole(request, NewSessionForm(), context)


def _wants_list(request: HttpRequest) -> bool:
    """Whether a page is open already and asks for its list alone."""
    htmx: Any = getattr(request, "htmx", None)
    asks = bool(htmx) and not htmx.history_restore_request
    return asks and htmx.target == "list"


def _whole(
    request: HttpRequest,
    form: NewSessionForm,
    context: dict[str, Any],
    *,
    status: int = 200,
) -> HttpResponse:
    assert request.user.is_authenticated
    live = _board(request)
    more = page_context(form, live=live)
    return render(request, "home.html", context | more, status=status)


def list_context(
    filters: Filters, page: Page, *, hits: list[Any] | tuple[Any, ...] = ()
) -> dict[str, Any]:
    """What the list is drawn from."""
    return {"filters": filters, "page": page, "hits": hits, "states": STATES}


def page_context(form: NewSessionForm, *, live: dict[str, Any]) -> dict[str, Any]:
    """What is drawn around the list."""
    return {
        "form": form,
        "live": live,
        "sources": SOURCES,
        "languages": languages()[1:],
        "blank": {"people": [], "is_ending": False},
    }


def _hits(user: AbstractBaseUser, filters: Filters, page: Page) -> list[Any]:
    """The first lines in which the words were said, on the first page."""
    if not filters.words or not page.is_first:
        return []
    within = listing.searched(user, filters)
    return searching.said(filters.words, sessions=within, most=HITS)


@require_safe
@never_cache
def live(request: HttpRequest) -> HttpResponse:
    """The board for pages whose WebSocket does not get through."""
    if not request.user.is_authenticated:
        refusal = {"code": "not_allowed", "message": "You are not signed in."}
        return JsonResponse(refusal, status=403)
    return JsonResponse(_board(request))


def _board(request: HttpRequest) -> dict[str, Any]:
    assert request.user.is_authenticated
    whole = board.whole(request.user)
    audit.many(request, map(UUID, whole["ids"]))
    return whole


def _refused(request: HttpRequest, form: NewSessionForm) -> HttpResponse:
    assert request.user.is_authenticated
    filters = listing.Filters()
    context = list_context(filters, listing.page(request.user, filters))
    return _whole(request, form, context, status=422)


@require_POST
@login_required
def create(request: HttpRequest) -> HttpResponse:
    form = NewSessionForm(request.POST)
    assert request.user.is_authenticated
    if not form.is_valid():
        return _refused(request, form)
    try:
        made = opening.open_browser_session(owner=request.user, **form.cleaned_data)
    except opening.TooManySessionsError as e:
        form.add_error(None, e.message)
        return _refused(request, form)
    page = reverse("session", args=[made.session.public_id])
    return redirect(f"{page}?{urlencode({'token': made.token})}")
