"""Serves locally stored files to whoever holds a signed link; with S3, the bucket does.

Players ask for parts of a file, to seek in it: one range is answered, as RFC 9110 14
has it; what asks for several gets the whole file.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http import StreamingHttpResponse as Streaming
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from sessions.storage import LinkRefusedError, unsign

PIECE = 1 << 18
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


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
    wanted = RANGE.fullmatch(request.headers.get("Range", ""))
    start, stop = _part(wanted, size) if wanted else (0, size)
    if start >= stop and wanted:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    body = _pieces(path, start, stop) if request.method == "GET" else _nothing()
    kind = linked.content_type or "application/octet-stream"
    response = Streaming(body, status=206 if wanted else 200, content_type=kind)
    response["Content-Length"] = stop - start
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, no-store"
    if wanted:
        response["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    name = content_disposition_header(True, linked.filename or path.name)  # noqa: FBT003
    response["Content-Disposition"] = name or "attachment"
    return response


def _part(wanted: re.Match[str], size: int) -> tuple[int, int]:
    """Start and stop of a range; an empty part when it lies behind the file's end."""
    first, last = wanted.groups()
    if not first:  # the last so many bytes
        return max(size - int(last or 0), 0), size
    return int(first), min(int(last) + 1 if last else size, size)


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
