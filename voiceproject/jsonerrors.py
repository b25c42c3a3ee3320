"""Below /api/ every error is JSON, also what Django answers before the API is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase, JsonResponse

WORDS = {
    400: ("bad_request", "The request cannot be understood."),
    403: ("not_allowed", "This is not allowed."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take this method."),
    413: ("too_large", "The request is too large."),
    500: ("internal", "Something went wrong on our side."),
}


class JsonErrors:
    """Middleware: gives a plain error below /api/ the documented shape."""

    sync_capable = False
    async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]
    ) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = await self.get_response(request)
        if not request.path.startswith("/api/") or response.status_code < 400:
            return response
        if "json" in response.headers.get("Content-Type", ""):
            return response
        code, message = WORDS.get(response.status_code, ("error", "Not possible."))
        answer = JsonResponse(
            {"code": code, "message": message}, status=response.status_code
        )
        if "Allow" in response.headers:
            answer["Allow"] = response.headers["Allow"]
        return answer
