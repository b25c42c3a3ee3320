"""The AudioSocket server: lines in, calls found for them, and an end in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import structlog
from django.conf import settings

from bot.phone.actions import Reason
from bot.phone.conversation import Conversation, answer
from bot.phone.door import Door
from bot.phone.line import Line
from bot.phone.pacing import Pacing
from sessions.background import spawn
from sessions.errors import VoiceError

if TYPE_CHECKING:
    from uuid import UUID

    from bot.phone.talking import Talking

log = structlog.get_logger(__name__)

BACKLOG = 4096
"""Connections that wait in the kernel for a busy loop: behind a full queue, callers try
again only after seconds."""

ACCEPTS = 16
"""Listeners on the one socket: libuv takes a single connection from each per turn of
the loop (since 1.45), and a busy loop has few turns."""


class PhoneServer:
    """One per process. `talking` says what is said on its lines."""

    def __init__(self, talking: Talking, *, max_calls: int | None = None) -> None:
        self.talking = talking
        self.max_calls = max_calls or settings.AUDIOSOCKET_MAX_CALLS
        self.pacing = Pacing()
        self._door = Door(settings.AUDIOSOCKET_ALLOW)
        self._lines: set[Line] = set()
        self._calls: dict[UUID, Conversation] = {}
        self._undecided: set[asyncio.Task[None]] = set()
        self._taking: set[asyncio.Task[None]] = set()
        # Each goes with the last who waits for it: strangers' UUIDs do not pile up.
        self._opening: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._coming = 0  # calls that are being answered
        self._servers: list[asyncio.Server] = []
        self.is_draining = False
        self.is_closing = False
        self.refused = 0

    @property
    def conversations(self) -> list[Conversation]:
        return list(self._calls.values())

    @property
    def is_full(self) -> bool:
        return len(self._calls) + self._coming >= self.max_calls

    @property
    def is_listening(self) -> bool:
        return any(server.is_serving() for server in self._servers)

    @property
    def port(self) -> int:
        return int(self._servers[0].sockets[0].getsockname()[1])

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises OSError when the address cannot be had."""
        loop = asyncio.get_running_loop()
        self.pacing.start()
        first = await loop.create_server(self._new_line, host, port, backlog=BACKLOG)
        self._servers = [first]
        for sock in [one.dup() for one in first.sockets for _ in range(ACCEPTS - 1)]:
            again = await loop.create_server(self._new_line, sock=sock, backlog=BACKLOG)
            self._servers.append(again)
        log.info("phone.listening", host=host, port=self.port)

    @property
    def active(self) -> int:
        """Calls that need this process, among them those that are just being answered
        and those whose line has just broken."""
        return len(self._calls) + len(self._taking) + len(self._undecided)

    def drain(self) -> None:
        """No new calls, not over lines that are open already either: Asterisk dials the
        next server. Those that run go on."""
        self.is_draining = True
        for server in self._servers:
            server.close()

    async def shut_down(self) -> None:
        """No new calls; those that run end in order, their sound written down."""
        self.is_closing = True
        self.drain()
        if self._taking:
            await asyncio.wait(self._taking)
        ends = [call.finish(Reason.SHUTDOWN) for call in self.conversations]
        for result in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(result, BaseException):
                log.error("call.not_ended", exc_info=result)
        for line in list(self._lines):
            line.abort()
        self.pacing.close()

    def cut_all(self) -> None:
        """Cut every line, from any thread: the loop hangs, and Asterisk is to know."""
        for line in list(self._lines):
            line.cut()

    def _new_line(self) -> Line:
        line = Line(
            pacing=self.pacing,
            identified=self._identified,
            lost=self._lost,
            allows=lambda peer: not self.is_closing and self._door.lets_in(line, peer),
            kind10_rate=settings.AUDIOSOCKET_KIND10_RATE,
        )
        self._lines.add(line)
        return line

    def _lost(self, line: Line) -> None:
        self._lines.discard(line)
        self._door.left(line)

    def _identified(self, line: Line, uuid: UUID) -> None:
        self._door.left(line)
        taking = spawn(self._take(line, uuid), name="phone.call")
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)

    async def _take(self, line: Line, uuid: UUID) -> None:
        try:
            await self._answer(line, uuid)
        except VoiceError as e:
            log.warning("call.refused", call=str(uuid), peer=line.peer, code=e.code)
            line.hang_up()
        except Exception:
            # Mostly an absent database. Asterisk dials the next server.
            log.exception("call.failed", call=str(uuid), peer=line.peer)
            line.abort()

    async def _answer(self, line: Line, uuid: UUID) -> None:
        """The newest connection of a UUID has the call; the one before lets go."""
        async with self._opening.setdefault(uuid, asyncio.Lock()):
            if not self._door.may_ask(line.peer):
                raise FloodError
            running = self._calls.get(uuid)
            if running is not None and not running.is_over:
                running.take_over(line)
                return
            if self.is_draining:
                raise DrainingError
            if self.is_full:
                self.refused += 1
                raise FullError(self.max_calls)
            self._coming += 1
            try:
                answered = await answer(
                    uuid, talking=self.talking, began_at=line.began_at
                )
            finally:
                self._coming -= 1
            conversation = Conversation(line, answered, talking=self.talking)
            self._calls[uuid] = conversation
        conversation.when_over(self._forget)
        conversation.begin()

    def _forget(self, conversation: Conversation) -> None:
        if self._calls.get(conversation.uuid) is conversation:
            del self._calls[conversation.uuid]
        if (task := conversation.undecided) is not None and not task.done():
            self._undecided.add(task)
            task.add_done_callback(self._undecided.discard)


class DrainingError(VoiceError):
    def __init__(self) -> None:
        message = "This process is about to end: it takes no more calls."
        super().__init__("draining", message, status=503)


class FullError(VoiceError):
    def __init__(self, most: int) -> None:
        message = f"{most} calls are the most that this process takes."
        super().__init__("full", message, status=503)


class FloodError(VoiceError):
    def __init__(self) -> None:
        super().__init__("flood", "Too many calls at once.", status=429)
