"""The page of the search: parse, ask who it is, call one service, draw."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from sessions import queries
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
    hits = search(
        query,
        sessions=queries.searchable_by(request.user),
        before=_number(request.GET.get("before", "")),
        most=PER_PAGE + 1,
    )
    following = hits[PER_PAGE - 1].number if len(hits) > PER_PAGE else None
    context = {"query": query, "hits": hits[:PER_PAGE], "following": following}
    return render(request, "search.html", context)


def _number(given: str) -> int | None:
    """A page's end, as the page before told it; anything else is the first page."""
    is_one = given.isascii() and given.isdigit() and len(given) < LONGEST_NUMBER
    return int(given) if is_one else None
