"""Response headers of pages: what a browser may load, run and tell others.

Everything comes from this origin; no inline script, no plug-in, and no inline style but
what carries the nonce of its one response. The admin alone is let do two things more,
and still loads nothing from elsewhere:

* `unsafe-eval`. Its Alpine turns the expressions in attributes of unfold's templates
  into functions. Alpine's build without that takes no such expressions, so that all of
  those templates would have to be ours. Nothing of a stranger's gets into an attribute
  but escaped, and no script gets in without this origin having it as a file.
* Inline style. unfold writes its colours into the page, and widths into attributes. It
  changes with colours and versions: a hash of it would break a page in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

PERMISSIONS = "microphone=(self), camera=(), geolocation=(), payment=(), usb=()"


ADMIN = "/admin/"
ADMINS: dict[str, str] = {
    "script-src": "'self' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
}


def policy(
    host: str,
    *,
    path: str = "/",
    forms: str = "",
    style_nonce: str = "",
    media: str = "",
) -> str:
    """The Content-Security-Policy for a page served under `host`, at `path`.

    Its forms may lead to the origin `forms`, too, and sound come from `media`;
    `style_nonce` lets this one response have style elements that carry it.
    """
    style = f"'self' 'nonce-{style_nonce}'" if style_nonce else "'self'"
    directives = {
        "default-src": "'none'",
        "script-src": "'self'",  # audio worklets come under it too
        "worker-src": "'self'",
        "style-src": style,
        "img-src": "'self' data:",
        "font-src": "'self'",
        "media-src": f"'self' {media}".strip(),
        # Not every browser takes 'self' to include the WebSockets of the origin.
        "connect-src": f"'self' ws://{host} wss://{host}" if host else "'self'",
        "form-action": f"'self' {forms}".rstrip(),
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    if path.startswith(ADMIN):
        directives |= ADMINS
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def let_forms_lead_to(
    response: HttpResponseBase, request: HttpRequest, *, url: str
) -> None:
    """Let this page's forms go on to the origin of `url`."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    value = policy(_host(request), forms=origin)
    response.headers["Content-Security-Policy"] = value


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
    told = policy(_host(request), path=request.path)
    response.headers.setdefault("Content-Security-Policy", told)
    response.headers.setdefault("Permissions-Policy", PERMISSIONS)
    return response


def _host(request: HttpRequest) -> str:
    try:
        return request.get_host()
    except DisallowedHost:
        return ""  # answered 400 already
