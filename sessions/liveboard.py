"""The WebSocket of the dashboard, `/live`: the sessions that are live, as they change.

Only for those who are signed in, and only as long as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING
from uuid import UUID

from channels.db import database_sync_to_async

from sessions import audit, signedin, wire
from sessions.allowance import Allowance
from sessions.background import cancel_and_wait, spawn
from sessions.board import board
from sessions.consumers import READER_MESSAGES_BURST, SessionConsumer
from sessions.errors import NotAllowedError
from sessions.wire import Close, WireError

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

CHECK_S = 3.0
"""For so long a window stays open whose reader has signed out."""


class BoardConsumer(SessionConsumer):
    """One window of one person."""

    _tasks: tuple[asyncio.Task[None], ...] = ()

    async def opened(self) -> None:
        self._messages = Allowance(10.0, READER_MESSAGES_BURST)
        reader = await self._reader()
        if reader is None:
            raise NotAllowedError
        self._tasks = (
            spawn(self._guarded(self._send_on(reader)), name="board.send"),
            spawn(self._guarded(self._check_on(reader)), name="board.check"),
        )

    async def _reader(self) -> AbstractBaseUser | None:
        # A cookie counts only on our own pages; other sites' scripts carry it too.
        if not self._same_origin():
            return None
        key = self.scope["session"].session_key
        return await database_sync_to_async(signedin.user_of)(key)

    async def _send_on(self, reader: AbstractBaseUser) -> None:
        stream, noted = board().follow(reader.pk), set[str]()
        async with contextlib.aclosing(stream):
            async for message in stream:
                new = set(message.get("ids", ())) - noted
                if new:
                    await self._note(reader, new)
                noted |= new
                await self.answer(message)

    async def _note(self, reader: AbstractBaseUser, sessions: set[str]) -> None:
        await database_sync_to_async(audit.note_each)(
            map(UUID, sessions),
            kind=audit.Kind.LINES,
            user=reader,
            address=self._address(),
        )

    async def _check_on(self, reader: AbstractBaseUser) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            if await self._reader() != reader:
                await self.released()
                await self.close_once(Close.SIGNED_OUT, "You have signed out.")
                return

    async def received(self, text: str | None, data: bytes | None) -> None:
        if not self._messages.take(1, now=time.monotonic()):
            raise WireError("flood", "Too many messages.")
        if data is not None or wire.text_message(text or "", rate=1).type != "ping":
            raise WireError("bad_frame", "This socket takes only pings.")
        await self.answer({"type": "pong"})

    async def released(self) -> None:
        for task in self._tasks:
            if task is not asyncio.current_task():
                await cancel_and_wait(task)
