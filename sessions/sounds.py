"""Sound for whoever has a share's link: it comes through us, part by part.

A link to the storage itself could not be taken back. Here the share is looked at when a
part is asked for, and again and again while it is sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Self
from urllib.parse import quote

from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http import StreamingHttpResponse as Streaming
from django.views.decorators.http import require_safe

from sessions import audit, ranges, recordings, shares
from sessions.errors import VoiceError
from sessions.masters import AUDIO
from sessions.models import Recording, Tier
from sessions.storage import StorageError, storage
from sessions.streaming import Flow

PIECE = 1 << 18
LOOK_EVERY_S = 20.0
"""So long a share's sound goes on after the share was revoked, at the most."""
PLAYED = (Tier.MASTER, Tier.FRAGMENT, Tier.CHUNK)


class Watch:
    """Looks, now and then, whether a share still shows anything."""

    def __init__(
        self, token: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._token, self._clock, self._looked = token, clock, clock()

    async def is_over(self) -> bool:
        if self._clock() - self._looked <= LOOK_EVERY_S:
            return False
        self._looked = self._clock()
        return await database_sync_to_async(shares.session_of)(self._token) is None


class WatchedFlow:
    """A flow that breaks off once its share is over."""

    def __init__(self, flow: Flow, watch: Watch) -> None:
        self._flow, self._watch = flow, watch

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if await self._watch.is_over():
            self._flow.close()
            raise StopAsyncIteration
        return await anext(self._flow)

    def close(self) -> None:
        self._flow.close()


def shared(token: str, recording: int | None) -> str:
    """The address of a session's master, or of another of its recordings."""
    query = "" if recording is None else f"?recording={recording}"
    return f"/shared/{quote(token)}/sound{query}"


@require_safe
async def shared_sound(request: HttpRequest, token: str) -> HttpResponseBase:
    """The master, or one of the recordings, or a part of it."""
    wanted = request.GET.get("recording", "")
    try:
        row = await database_sync_to_async(_find)(request, token, wanted)
        stat = await asyncio.to_thread(storage().stat, row.key) if row else None
    except (VoiceError, StorageError) as e:
        return HttpResponse(e.message, status=e.status, content_type="text/plain")
    if row is None or stat is None:
        gone = "There is no such recording, or not yet."
        return HttpResponse(gone, status=404, content_type="text/plain")
    part = ranges.wanted(request.headers.get("Range", ""), size=stat.size)
    if part.is_empty:
        headers = {"Content-Range": f"bytes */{stat.size}"}
        return HttpResponse(status=416, headers=headers)
    body = _pieces(Watch(token), row.key, part.start, part.stop)
    if request.method == "HEAD":
        body = _nothing()
    response = Streaming(body, status=part.status, content_type=AUDIO)
    for name, value in part.headers.items():
        response[name] = value
    response["Cache-Control"] = "private, no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


def _find(request: HttpRequest, token: str, wanted: str) -> Recording | None:
    """The audit log is told. Raises NotSharedError."""
    session = shares.find(token).session
    if wanted and not (wanted.isascii() and wanted.isdigit() and len(wanted) < 19):
        return None
    row = recordings.to_download(session.pk, int(wanted) if wanted else None)
    if row is None or row.tier not in PLAYED:
        return None
    address = audit.address_of(request)
    audit.note(session, kind=audit.Kind.AUDIO, user=request.user, address=address)
    return row


async def _pieces(
    watch: Watch, key: str, start: int, stop: int
) -> AsyncIterator[bytes]:
    while start < stop and not await watch.is_over():
        end = min(start + PIECE, stop)
        piece = await asyncio.to_thread(storage().read, key, start=start, stop=end)
        if not piece:
            return
        start += len(piece)
        yield piece


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
