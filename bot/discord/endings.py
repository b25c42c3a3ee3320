"""How calls end: each once, however many ask for it; and what is said of it behind the
end.

The order is `finish`'s, what is undone here is `Conversation.close`'s. Where two come
together, the session's row decides; whoever was first in this process names the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from channels.db import database_sync_to_async
from django.db import Error as DatabaseError
from django.db import transaction

from bot.discord.conversation import Conversation
from bot.discord.notices import Notice, text
from bot.discord.panel import Panel
from bot.discord.text.asker import Asker
from bot.discord.unbroken import insist
from sessions import events, finish, lifecycle, queries, queue
from sessions.background import spawn
from sessions.errors import VoiceError
from sessions.models import State, VoiceRequest, VoiceSession
from transcripts import figures

log = structlog.get_logger(__name__)

MARKED_WITHIN_S = 120.0
"""Until a row says how its call ended: a process that died half-way leaves that to the
reaper."""
LOOK_EVERY_S = 0.1
WHOLE = ("channel_deleted", "guild_removed")
OUTSIDE = ("left", "kicked", "disconnected")
"""What Discord says first where one of those is the reason."""


class Endings:
    """Of all calls of an operator, on its event loop."""

    def __init__(self, *, freed: Callable[[], None]) -> None:
        """`freed` is told when a slot may be free again."""
        self._freed = freed
        self._askers: dict[int, Asker] = {}
        self._panels: dict[int, Panel] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: set[Conversation] = set()
        self._is_hurried = False

    def awaited(self, call: Conversation, asker: Asker) -> None:
        """Its user is yet to come; if they do not, they are told."""
        self._askers[call.session.pk] = asker

    def shown(self, call: Conversation, panel: Panel) -> None:
        """Post its panel, and take it back when all is over."""
        self._panels[call.session.pk] = panel
        panel.start(call)

    def warn(self, call: Conversation, notice: Notice) -> None:
        """Something is wrong with what is heard: told in its text channel, and on its
        page."""
        data = {"code": notice.value, "message": text(notice, "en")}
        append = database_sync_to_async(events.append)
        call.works.run(append(call.session.pk, "notice", data), name="discord.notice")
        if (panel := self.panel_of(call)) is not None:
            call.works.start(panel.warn(notice), name="discord.warn")

    def panel_of(self, call: Conversation) -> Panel | None:
        return self._panels.get(call.session.pk)

    # --- the end ----------------------------------------------------------------------

    async def end(self, call: Conversation, reason: str) -> bool:
        """True for the first who asks, unless another process was faster. Returns when
        all is written down, and undone."""
        is_first = self.begin(call, reason)
        assert call.ending is not None
        return await asyncio.shield(call.ending) and is_first

    def begin(self, call: Conversation, reason: str) -> bool:
        """The same, and nobody waits for it."""
        if call.ending is not None:
            if reason in WHOLE and call.why in OUTSIDE:
                call.why = reason
            return False
        call.why = reason
        session = call.session.pk
        call.ending = spawn(self._end(call), name=f"end {session}", session=session)
        return True

    def soon(self, call: Conversation, reason: str) -> None:
        """The same, of one that may be over already."""
        if not call.is_closed:
            self.begin(call, reason)

    def expire(self, call: Conversation) -> None:
        """Its user has had their time: it ends, unless they came in this moment."""
        session = call.session.pk
        task = spawn(self._expire(call), name=f"expire {session}", session=session)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def give_back(self, request: VoiceRequest) -> None:
        """The slot of one that came to nothing before it was a call."""
        give_back = database_sync_to_async(queue.give_back)
        await insist(lambda: give_back(request.pk, attempt=request.attempts))

    async def _expire(self, call: Conversation) -> None:
        fail = database_sync_to_async(_fail)
        session_id = call.session.pk
        if await insist(lambda: fail(session_id, reason="join_timeout")):
            await self.end(call, "join_timeout")

    async def _end(self, call: Conversation) -> bool:
        release = database_sync_to_async(queue.release)
        try:
            return await insist(lambda: self._close(call))
        finally:
            await insist(lambda: release(call.session.pk))
            self._freed()

    async def _close(self, call: Conversation) -> bool:
        """Whether it was us who ended it."""
        session_id = call.session.pk
        fail = database_sync_to_async(_fail)
        try:
            # In this order: what waits may become active meanwhile, never the reverse.
            if await fail(session_id, reason=call.why):
                return True
            return await finish.end(session_id, reason=lambda: call.why)
        except ExceptionGroup:
            log.exception("discord.end_failed", session=session_id)
            return True  # it is marked all the same
        finally:
            # Also where another ends it, or the database is away: no bot stays in a
            # channel for its sake.
            await call.close()

    # --- behind it --------------------------------------------------------------------

    def closed(self, call: Conversation) -> None:
        """Nothing of it is left here; what is said of it and its last lines follow."""
        self._last.add(call)
        if self._is_hurried:
            call.hurry()
        session = call.session.pk
        task = spawn(self._epilogue(call), name=f"epilogue {session}", session=session)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, *, within_s: float) -> None:
        """The process ends: wait for what was heard and is not written down yet, and
        for what is to be said, but for no last lines."""
        self._is_hurried = True
        for call in self._last:
            call.hurry()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=within_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=within_s)

    async def _epilogue(self, call: Conversation) -> None:
        try:
            reason = await self._reason_marked(call)
            await self._tell(call, reason)
            await self._note_figures(call)
        finally:
            await call.epilogue()
            await call.settled()
            self._last.discard(call)

    async def conclude(self, call: Conversation, panel: Panel) -> None:
        """The same for one that had ended, and whose process died behind that."""
        await panel.close(call.session.end_reason or call.session.failure)
        await call.epilogue()

    async def _note_figures(self, call: Conversation) -> None:
        note, found = database_sync_to_async(figures.note), call.figures().to_json()
        await insist(lambda: note(call.session.pk, found))

    async def _reason_marked(self, call: Conversation) -> str:
        """Why it ended, by its row: another process may just be at it."""
        if (session := await self._marked(call)) is not None:
            call.session = session
        return call.session.end_reason or call.session.failure or call.why or "ended"

    async def _marked(self, call: Conversation) -> VoiceSession | None:
        if call.ending is not None:
            await asyncio.wait([call.ending], timeout=MARKED_WITHIN_S)
        find = database_sync_to_async(_find)
        until = asyncio.get_running_loop().time() + MARKED_WITHIN_S
        while asyncio.get_running_loop().time() < until:
            try:
                session = await find(call.session.pk)
            except DatabaseError:
                log.warning("discord.end_unread", session=call.session.pk)
            else:
                if session is None or session.state not in queries.ALIVE:
                    return session
                if self._is_hurried:
                    return None
            await asyncio.sleep(LOOK_EVERY_S)
        return None

    async def _tell(self, call: Conversation, reason: str) -> None:
        """Who was to come, and who reads the panel."""
        session = call.session
        asker = self._askers.pop(session.pk, None)
        if asker is not None and session.state == State.FAILED:
            code = reason if reason == "join_timeout" else "session_ended"
            await asker.fail(VoiceError(code, "The room is no more."))
        panel = self._panels.pop(session.pk, None)
        if panel is not None:
            await panel.close(reason)


def _find(session_id: int) -> VoiceSession | None:
    return VoiceSession.objects.filter(pk=session_id).first()


def _fail(session_id: int, *, reason: str) -> bool:
    """One that never began, or True once; a session that is active is not failed."""
    with transaction.atomic():
        rows = VoiceSession.objects.select_for_update().filter(pk=session_id)
        session = rows.first()  # None: deleted meanwhile
        if session is None or session.state not in (State.REQUESTED, State.WAITING):
            return False
        return lifecycle.advance(
            session_id, State.FAILED, reason=reason, failure=reason
        )
