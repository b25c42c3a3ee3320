"""A file to keep whose bytes are made while it is sent: it begins at once, and takes no
room of ours."""

from __future__ import annotations

from collections.abc import Generator

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http import StreamingHttpResponse as Streaming
from django.utils.http import content_disposition_header

from sessions import audit
from sessions.networks import network
from sessions.sounds import Watch, WatchedFlow
from sessions.streaming import RETRY_AFTER_S, BusyError, Flow


async def attachment(
    request: HttpRequest,
    pieces: Generator[bytes, None, None],
    content_type: str,
    name: str,
    *,
    watch: Watch | None = None,
) -> HttpResponse | Streaming:
    """The answer, with its first piece made; 503 when too many are being made. Raises
    what making the first piece raises. `watch`: sent only as long as a share lasts."""
    try:
        flow = Flow(pieces, address=network(audit.address_of(request)))
    except BusyError as e:
        body = {"code": e.code, "message": e.message}
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return JsonResponse(body, status=e.status, headers=headers)
    await flow.begin()
    sent = flow if watch is None else WatchedFlow(flow, watch)
    answer = Streaming(sent, content_type=content_type)
    answer["Cache-Control"] = "private, no-store"
    answer["X-Accel-Buffering"] = "no"
    shown = content_disposition_header(True, name)  # noqa: FBT003
    answer["Content-Disposition"] = shown or "attachment"
    return answer
