"""Who tries too many passwords: axes counts them in the database, for all processes."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from sessions import audit


def address(request: HttpRequest) -> str | None:
    """Where they come from, as the audit log knows it."""
    return audit.address_of(request) or None


def refused(
    request: HttpRequest,
    response: HttpResponse | None = None,
    credentials: dict[str, Any] | None = None,
) -> HttpResponse:
    """What they are told instead, whether or not the password is right this time."""
    return render(request, "429.html", status=429)
