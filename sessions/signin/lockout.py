"""Who tries too many passwords: axes counts them in the database, for all processes.

Wrong ones for one name from one address, and all wrong ones of an address.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from sessions import audit
from sessions.networks import network

NAME_MAX = 255
"""As axes keeps them; a name of 150 characters may be longer when it is spelled out."""


class Failures(AxesDatabaseHandler):
    """As axes counts them, which knows one bound: an address has one of its own."""

    def get_failures(
        self, request: HttpRequest, credentials: dict[str, Any] | None = None
    ) -> int:
        """Those of the name; AXES_FAILURE_LIMIT, if its address has too many."""
        of_name: int = super().get_failures(request, credentials)
        if _of_address(request) < settings.FAILURES_PER_ADDRESS:
            return of_name
        return max(of_name, settings.AXES_FAILURE_LIMIT)


def _of_address(request: Any) -> int:
    if request.axes_ip_address is None:
        return 0
    rows = AccessAttempt.objects.filter(
        ip_address=request.axes_ip_address,
        attempt_time__gte=get_cool_off_threshold(request),
    )
    found = rows.aggregate(failures=Sum("failures_since_start"))
    return found["failures"] or 0


def name(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """The same for all spellings that one account is found by."""
    typed = (credentials or {}).get("username") or ""
    folded = unicodedata.normalize("NFKC", typed.strip()).casefold()
    return folded[:NAME_MAX]


def address(request: HttpRequest) -> str | None:
    """Where they come from; of IPv6 the network."""
    return network(audit.address_of(request)) or None


def refused(
    request: HttpRequest,
    response: HttpResponse | None = None,
    credentials: dict[str, Any] | None = None,
) -> HttpResponse:
    """What they are told instead, whether or not the password is right this time."""
    return render(request, "429.html", status=429)
