"""The pages: parse, ask who it is, call one service, draw. Nothing else."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.templatetags.static import static
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from sessions import access, addresses, audit, finished, pages
from sessions.errors import SessionNotFoundError


@require_safe
@never_cache
def session(request: HttpRequest, public_id: UUID) -> HttpResponse:
    token = request.GET.get("token", "")
    try:
        found = access.session_for(public_id, user=request.user, token=token)
    except SessionNotFoundError as e:
        raise Http404 from e
    audit.note(
        found,
        kind=audit.reading(found),
        user=request.user,
        address=audit.address_of(request),
    )
    if finished.is_over(found):
        url = addresses.of(found, base=request)["page_url"]
        return finished.page(request, found, token=token, page_url=url)
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
        "is_owner": access.may_manage(found, request.user),
        "config": config.to_json(),
    }
    response = render(request, "session.html", context)
    # The token stands in the address: it goes to nobody else.
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
