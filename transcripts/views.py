"""The pages of the search and of a session that is shared: parse, ask who it is, call
one service, draw."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from sessions import audit, finished, listing, shares
from sessions.shares import NotSharedError
from transcripts.search import search
from transcripts.terms import LONGEST

PER_PAGE = 20
LONGEST_NUMBER = 19
"""Digits: with fewer it is one that a database knows."""


@require_safe
@never_cache
@login_required
def search_page(request: HttpRequest) -> HttpResponse:
    assert request.user.is_authenticated
    query = request.GET.get("q", "").strip()[:LONGEST]
    filters = listing.parse(request.GET)
    hits = search(
        query,
        sessions=listing.searched(request.user, filters),
        before=_number(request.GET.get("before", "")),
        most=PER_PAGE + 1,
    )
    audit.many(request, [hit.session for hit in hits[:PER_PAGE]])
    following = hits[PER_PAGE - 1].number if len(hits) > PER_PAGE else None
    context = {
        "query": query,
        "filters": filters,
        "hits": hits[:PER_PAGE],
        "following": following,
    }
    return render(request, "search.html", context)


@require_safe
@never_cache
def shared_page(request: HttpRequest, token: str) -> HttpResponse:
    """One session to be read and heard, by whoever has the link."""
    try:
        session = shares.find(token).session
    except NotSharedError as e:
        return _private(render(request, "unshared.html", status=e.status))
    return _private(finished.page(request, session, token=token, read_only=True))


def _private(response: HttpResponse) -> HttpResponse:
    """The token stands in the address: for no search engine, and for no other site."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _number(given: str) -> int | None:
    """A page's end, as the page before told it; anything else is the first page."""
    is_one = given.isascii() and given.isdigit() and len(given) < LONGEST_NUMBER
    return int(given) if is_one else None
