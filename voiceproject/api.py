"""The HTTP API, composed of its apps' routers; every error is `{"code", "message"}`."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from bot.api import router as calls_router
from sessions.additions import router as additions_router
from sessions.api import router as sessions_router
from sessions.downloads import router as downloads_router
from sessions.errors import VoiceError
from sessions.rates import TooManyError
from sessions.waveforms import router as waveforms_router
from transcripts.api import router as transcripts_router
from transcripts.privacyapi import router as privacy_router

log = structlog.get_logger(__name__)

api = NinjaAPI(title="Parley", version="1", docs_url="/docs", urls_namespace="api")
api.add_router("/sessions", sessions_router)
api.add_router("/sessions", downloads_router)
api.add_router("/sessions", waveforms_router)
api.add_router("/sessions", transcripts_router)
api.add_router("/sessions", additions_router)
api.add_router("/sessions", privacy_router)
api.add_router("/calls", calls_router)


def _error(request: HttpRequest, code: str, message: str, status: int) -> HttpResponse:
    return api.create_response(
        request, {"code": code, "message": message}, status=status
    )


@api.exception_handler(VoiceError)
def on_voice_error(request: HttpRequest, e: VoiceError) -> HttpResponse:
    return _error(request, e.code, e.message, e.status)


@api.exception_handler(TooManyError)
def on_too_many(request: HttpRequest, e: TooManyError) -> HttpResponse:
    answer = on_voice_error(request, e)
    answer["Retry-After"] = str(e.retry_after_s)
    return answer


@api.exception_handler(AuthenticationError)
def on_stranger(request: HttpRequest, e: AuthenticationError) -> HttpResponse:
    message = "This needs a sign-in or a token."
    return _error(request, "sign_in", message, 401)


@api.exception_handler(ValidationError)
def on_invalid(request: HttpRequest, e: ValidationError) -> HttpResponse:
    return _error(request, "invalid", _first_fault(e.errors), 422)


def _first_fault(errors: list[dict[str, Any]]) -> str:
    if not errors:
        return "The request is not valid."
    where = ".".join(str(part) for part in errors[0].get("loc", ())[1:])
    return f"{where or 'body'}: {errors[0].get('msg', 'not valid')}"


@api.exception_handler(Http404)
def on_missing(request: HttpRequest, e: Http404) -> HttpResponse:
    return _error(request, "not_found", "There is nothing at this address.", 404)


@api.exception_handler(HttpError)
def on_http_error(request: HttpRequest, e: HttpError) -> HttpResponse:
    if isinstance(e.__cause__, RequestDataTooBig):
        return _error(request, "too_large", "The request is too large.", 413)
    if isinstance(e.__cause__, RecursionError):
        return _error(request, "invalid", "body: it is nested too deep", 422)
    return _error(request, "bad_request", e.message, e.status_code)


@api.exception_handler(RequestDataTooBig)
def on_too_large(request: HttpRequest, e: RequestDataTooBig) -> HttpResponse:
    return _error(request, "too_large", "The request is too large.", 413)


@api.exception_handler(Exception)
def on_fault(request: HttpRequest, e: Exception) -> HttpResponse:
    # Our fault: the traceback is for the log, the caller gets the documented shape.
    log.error(
        "api.failed",
        path=request.resolver_match and request.resolver_match.route,
        exc_info=e,
    )
    return _error(request, "internal", "Something went wrong on our side.", 500)
