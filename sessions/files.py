"""Serves locally stored files to whoever holds a signed link; with S3, the bucket does.

Players ask for parts of a file, to seek in it: `ranges` reads what they ask for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http import StreamingHttpResponse as Streaming
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from sessions import ranges
from sessions.storage import LinkRefusedError, unsign

PIECE = 1 << 18


@require_safe
async def stored(request: HttpRequest, token: str) -> HttpResponseBase:
    """A file, or a part of it."""
    try:
        linked = unsign(token)
    except LinkRefusedError as e:
        return HttpResponse(e.message, status=e.status, content_type="text/plain")
    path = Path(settings.STORAGE_DIR) / linked.key
    if not path.is_file():
        gone = "The file is not there any more."
        return HttpResponse(gone, status=404, content_type="text/plain")
    size = path.stat().st_size
    part = ranges.wanted(request.headers.get("Range", ""), size=size)
    if part.is_empty:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    is_get = request.method == "GET"
    body = _pieces(path, part.start, part.stop) if is_get else _nothing()
    kind = linked.content_type or "application/octet-stream"
    response = Streaming(body, status=part.status, content_type=kind)
    for header, value in part.headers.items():
        response[header] = value
    response["Cache-Control"] = "private, no-store"
    name = content_disposition_header(True, linked.filename or path.name)  # noqa: FBT003
    response["Content-Disposition"] = name or "attachment"
    return response


async def _pieces(path: Path, start: int, stop: int) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < stop:
            piece = await asyncio.to_thread(file.read, min(PIECE, stop - start))
            if not piece:
                return
            start += len(piece)
            yield piece


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
