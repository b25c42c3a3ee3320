"""The pages: parse, ask who it is, call one service, draw. Nothing else."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from sessions import access, addresses, opening, pages, queries
from sessions.errors import NotAllowedError, SessionNotFoundError
from sessions.forms import NewSessionForm

PER_PAGE = 20


@require_safe
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return render(request, "home.html")
    return _list(request, NewSessionForm())


def _list(
    request: HttpRequest, form: NewSessionForm, *, status: int = 200
) -> HttpResponse:
    assert request.user.is_authenticated
    rows = Paginator(queries.visible_to(request.user), PER_PAGE)
    page = rows.get_page(request.GET.get("page"))
    shown = [(session, pages.shown_state(session)) for session in page]
    context = {"form": form, "page": page, "shown": shown}
    return render(request, "home.html", context, status=status)


@require_POST
@login_required
def create(request: HttpRequest) -> HttpResponse:
    form = NewSessionForm(request.POST)
    if not form.is_valid():
        return _list(request, form, status=422)
    assert request.user.is_authenticated
    made = opening.open_browser_session(owner=request.user, **form.cleaned_data)
    page = reverse("session", args=[made.session.public_id])
    return redirect(f"{page}?{urlencode({'token': made.token})}")


@require_safe
@never_cache
def session(request: HttpRequest, public_id: UUID) -> HttpResponse:
    token = request.GET.get("token", "")
    try:
        found = access.session_for(public_id, user=request.user, token=token)
    except SessionNotFoundError as e:
        raise Http404 from e
    except NotAllowedError as e:
        raise PermissionDenied from e
    # Whoever may open it may pass the link on.
    token = access.token_of(found)
    config = pages.config_of(
        found,
        token=token,
        csrf=get_token(request),
        page_url=addresses.of(found, base=request)["page_url"],
        worklet_url=static("parley/worklet.js"),
    )
    context = {
        "session": found,
        "token": token,
        "is_owner": access.may_open(found, request.user),
        "config": config.to_json(),
    }
    response = render(request, "session.html", context)
    # The token stands in the address: it goes to nobody else.
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
