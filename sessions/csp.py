"""Response headers of pages: what a browser may load, run and tell others.

Everything comes from this origin; no inline script, no inline style, no plug-in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

PERMISSIONS = "microphone=(self), camera=(), geolocation=(), payment=(), usb=()"


def policy(host: str) -> str:
    """The Content-Security-Policy for pages served under `host`."""
    directives = {
        "default-src": "'none'",
        "script-src": "'self'",  # audio worklets come under it too
        "worker-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "media-src": "'self'",
        # Not every browser takes 'self' to include the WebSockets of the origin.
        "connect-src": f"'self' ws://{host} wss://{host}" if host else "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


@sync_and_async_middleware
def content_security_policy(get_response: Callable[[HttpRequest], Any]) -> Any:
    """Middleware: the strict policy on every response that has none of its own."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            return _guarded(request, await get_response(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        return _guarded(request, get_response(request))

    return answer


def _guarded(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    response.headers.setdefault("Content-Security-Policy", policy(_host(request)))
    response.headers.setdefault("Permissions-Policy", PERMISSIONS)
    return response


def _host(request: HttpRequest) -> str:
    try:
        return request.get_host()
    except DisallowedHost:
        return ""  # answered 400 already
