"""What a call writes down while it lasts: in order, and never in the call's way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import structlog
from channels.db import database_sync_to_async

from sessions import events
from sessions.background import spawn
from transcripts import utterances
from transcripts.utterances import Scripted

log = structlog.get_logger(__name__)

Write = Callable[[], Any]
CLOSE_WITHIN_S = 5.0


class CallLog:
    """One call's writes to the database, one after the other."""

    def __init__(self, session_id: int) -> None:
        self._session_id = session_id
        self._queue: asyncio.Queue[Write | None] = asyncio.Queue()
        self._writer = spawn(self._write_on(), name="call.log", session=session_id)

    def run(self, write: Write) -> None:
        """Do this in a thread of the database, behind what came before."""
        self._queue.put_nowait(write)

    def state(self, state: str, why: str) -> None:
        self._event("call", {"state": state, "why": why})

    def digit(self, symbol: str, *, at_ms: int) -> None:
        self._event("digit", {"digit": symbol, "at_ms": at_ms})

    def notice(self, code: str, message: str) -> None:
        self._event("notice", {"code": code, "message": message})

    def said(
        self, participant_id: int, place: tuple[int, int], text: str, *, language: str
    ) -> None:
        """A line of ours, at its place on the timeline."""
        start, end = place
        line = Scripted(
            self._session_id, participant_id, start, end, text, language=language
        )
        self.run(lambda: utterances.write(line))

    async def written(self) -> None:
        """Until all of it so far is written, or a while has gone by."""
        if self._writer.done():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), CLOSE_WITHIN_S)

    async def close(self) -> None:
        """Write what is left, within a while: the database may be away."""
        self._queue.put_nowait(None)
        await asyncio.wait([self._writer], timeout=CLOSE_WITHIN_S)
        self._writer.cancel()

    def _event(self, type_: str, data: dict[str, Any]) -> None:
        self.run(lambda: events.append(self._session_id, type_, data))

    async def _write_on(self) -> None:
        while (write := await self._queue.get()) is not None:
            try:
                await database_sync_to_async(write)()
            except Exception:
                # A line of the log is not worth a call.
                log.exception("call.not_written")
            finally:
                self._queue.task_done()
