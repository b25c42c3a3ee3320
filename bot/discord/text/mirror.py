"""What is said in a session, as text in a Discord channel, while people talk.

Lines gather and go up at a pace: into our newest message by an edit, into a new one
below when that is full, old, or no longer the newest of the channel. What Discord
refuses for good makes the mirror silent; all else is asked again, later. Never disturbs
a session, and never rewrites a line: the log has no event that changes what was said.

A request without an answer may have been carried out. It is repeated as it was: an edit
changes nothing the second time, and for a new message Discord looks at its nonce. That
it does for "a few minutes" only: if an outage begins with such a request and lasts
longer, that message is there twice.
"""

from __future__ import annotations

import asyncio
import secrets
import textwrap
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple, Self

import discord
import structlog
from discord.utils import escape_markdown

from bot.discord.text.lines import Line
from sessions.background import cancel_and_wait, spawn

log = structlog.get_logger(__name__)

EVERY_S = 1.5
"""From request to request. Discord grants a channel about five in five seconds."""
FULL = 1900
"""Of the 2,000 characters that Discord takes."""
PIECE = 700
"""Characters of one line's text, before its signs are escaped: more is cut up."""
PAGE_S = 3000.0
"""Discord rations edits of messages older than an hour (its error 30046)."""
REQUEST_S = 35.0
"""discord.py itself waits out limits of up to 30 s and tries again."""
AGAIN_S, AGAIN_MAX_S = 2.0, 60.0
CLOSE_S = 5.0
UNKNOWN_MESSAGE = 10008
NOBODY = discord.AllowedMentions.none()


class _Piece(NamedTuple):
    """A line, or a part of one that is too long, as it will stand there."""

    seq: int
    start_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class _Page:
    """A message of ours, and what is in it."""

    message: discord.Message
    content: str
    began_s: float


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked of Discord, the same each time until there is an answer."""

    content: str
    pieces: int
    """So many of those that wait are in it."""
    page: _Page | None
    """The message to edit; None: a new one."""
    nonce: int


class Mirror:
    """One session's. `async with` it: its lines are posted for as long as that lasts,
    and what is left at the end, within CLOSE_S. Belongs to one event loop."""

    def __init__(
        self,
        channel: discord.abc.Messageable,
        *,
        mark: int = 0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`mark`: that of an earlier mirror, behind which this one goes on.

        That others wrote below is known by the channel's `last_message_id`, which
        discord.py keeps only with the intent `guild_messages`."""
        self.is_silent = False
        """The channel is gone, or we may not write in it."""
        self.refused = 0
        """Lines that Discord did not take for what is in them."""
        self._channel = channel
        self._clock, self._sleep = clock, sleep
        self._waiting: deque[_Piece] = deque()
        self._newest = mark
        self._page: _Page | None = None
        self._request: _Request | None = None
        self._failures = 0  # in a row
        self._next_at = clock()
        self._is_closing = False
        self._news = asyncio.Event()
        self._nap: asyncio.Future[object] | None = None
        self._poster: asyncio.Task[None] | None = None

    @property
    def mark(self) -> int:
        """The event up to which everything was posted."""
        return self._waiting[0].seq - 1 if self._waiting else self._newest

    def put(self, line: Line) -> None:
        """Post it soon. Lines come in the order of their events; one that was there
        already is left out."""
        if self.is_silent or self._is_closing or line.seq <= self._newest:
            return
        self._newest = line.seq
        self._waiting.extend(_pieces(line))
        self._news.set()

    async def __aenter__(self) -> Self:
        self._poster = spawn(self._post_on(), name="discord.mirror")
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Post what is left, within CLOSE_S; the second time there is nothing left."""
        if not self._is_closing:
            self._is_closing = True
            self._failures = 0
            self._news.set()
            if self._nap is not None:
                self._nap.cancel()
        if self._poster is not None:
            await self._ends_within(self._poster, CLOSE_S)

    async def _post_on(self) -> None:
        try:
            while await self._has_some():
                await self._rest()
                await self._post()
        finally:
            if self._waiting:
                self._log("mirror.left", seq=self.mark)

    async def _has_some(self) -> bool:
        """Wait for lines; False when there will be no more."""
        while not self._waiting:
            if self._is_closing or self.is_silent:
                return False
            self._news.clear()
            await self._news.wait()
        return True

    async def _rest(self) -> None:
        """Until the next request is due. At the end only failures are waited out."""
        pause = self._next_at - self._clock()
        if pause <= 0 or (self._is_closing and not self._failures):
            return
        self._nap = asyncio.ensure_future(self._sleep(pause))
        try:
            await asyncio.wait([self._nap])
        finally:
            self._nap.cancel()

    # --- one request ------------------------------------------------------------------

    async def _post(self) -> None:
        self._next_at = self._clock() + EVERY_S
        request = self._request = self._request or self._drafted()
        asking = asyncio.create_task(self._ask(request))
        try:
            if not await self._ends_within(asking, REQUEST_S):
                raise TimeoutError
            self._posted(request, asking.result())
        except Exception as error:
            # Whatever discord.py, aiohttp or the network raise: it costs no session.
            self._failed(request, error)

    async def _ask(self, request: _Request) -> discord.Message:
        if request.page is None:
            return await self._channel.send(
                request.content,
                nonce=request.nonce,
                allowed_mentions=NOBODY,
                suppress_embeds=True,
                silent=True,
            )
        message = request.page.message
        # Without `suppress`, discord.py asks for the links' previews again.
        await message.edit(
            content=request.content, allowed_mentions=NOBODY, suppress=True
        )
        return message

    async def _ends_within(self, task: asyncio.Task[Any], seconds: float) -> bool:
        """Whether it ended by then; if not, it is cancelled."""
        late = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({task, late}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return True
            await cancel_and_wait(task)
            return False
        finally:
            late.cancel()
            task.cancel()

    # --- what is asked ----------------------------------------------------------------

    def _drafted(self, *, most: int | None = None) -> _Request:
        """As much of what waits, oldest events first, as our newest message takes, or
        a new one; in the order in which it was said."""
        page = self._page
        count = self._fitting(page.content, most) if page and self._is_open(page) else 0
        if not count:
            page, count = None, self._fitting("", most)
        pieces = sorted(islice(self._waiting, count), key=lambda p: (p.start_ms, p.seq))
        above = [page.content] if page else []
        content = "\n".join([*above, *(piece.text for piece in pieces)])
        return _Request(content, count, page, secrets.randbits(63))

    def _is_open(self, page: _Page) -> bool:
        """Whether it is fresh, and still the last of its channel."""
        newest = getattr(self._channel, "last_message_id", None) or 0
        is_fresh = self._clock() - page.began_s < PAGE_S
        return is_fresh and newest <= page.message.id

    def _fitting(self, above: str, most: int | None) -> int:
        """How many of those that wait go below that."""
        size, count = _size(above), 0
        for piece in islice(self._waiting, most):
            size += 1 + _size(piece.text)
            if size > FULL and (count or above):
                break
            count += 1
        return count

    # --- how it went ------------------------------------------------------------------

    def _posted(self, request: _Request, message: discord.Message) -> None:
        if request.page is None:
            self._page = _Page(message, request.content, self._clock())
        else:
            self._page = replace(request.page, content=request.content)
        self._done(request)

    def _done(self, request: _Request) -> None:
        self._request = None
        for _ in range(request.pieces):
            self._waiting.popleft()
        if self._failures:
            self._failures = 0
            self._log("mirror.goes_on")

    def _failed(self, request: _Request, error: Exception) -> None:
        match error:
            case discord.NotFound() if error.code == UNKNOWN_MESSAGE:
                self._vanished(request)
            case discord.NotFound() | discord.Forbidden():
                self._fall_silent(error)
            case discord.HTTPException(status=400):
                self._refused(request, error)
            case discord.RateLimited(retry_after=seconds):
                self._wait(error, seconds)
            case _:
                again_s = min(AGAIN_S * 2**self._failures, AGAIN_MAX_S)
                self._wait(error, again_s)

    def _vanished(self, request: _Request) -> None:
        """Somebody deleted our message. Of a new one that says: it had been posted."""
        self._page = self._request = None
        if request.page is None:
            self._done(request)

    def _refused(self, request: _Request, error: discord.HTTPException) -> None:
        """Discord does not want this content, or no more edits: try a new message,
        then smaller ones, until what is refused is one line. That one is left out."""
        self._request = self._page = None
        if request.page is None and request.pieces > 1:
            self._request = self._drafted(most=request.pieces // 2)
        elif request.page is None:
            if not self.refused:
                self._log("mirror.refused", seq=self._waiting[0].seq, code=error.code)
            self.refused += 1
            self._done(request)

    def _fall_silent(self, error: Exception) -> None:
        self._log("mirror.silent", why=type(error).__name__)
        self.is_silent = True
        self._newest = self.mark
        self._waiting.clear()
        self._request = self._page = None

    def _wait(self, error: Exception, seconds: float) -> None:
        """Keep everything, and ask the same again after so long."""
        if not self._failures:
            self._log("mirror.waits", exc_info=error)
        self._failures = min(self._failures + 1, 10)
        self._next_at = self._clock() + seconds

    def _log(self, event: str, **what: Any) -> None:
        log.warning(event, channel=getattr(self._channel, "id", 0), **what)


def _pieces(line: Line) -> list[_Piece]:
    """`**Name**: text`, in one line of the screen as a rule."""
    head = f"**{_plain(line.name)}**: "
    texts = textwrap.wrap(line.text, PIECE) or [""]
    return [_Piece(line.seq, line.start_ms, head + _plain(text)) for text in texts]


def _plain(text: str) -> str:
    """Text of which Discord shows every sign, and does nothing by any: no links behind
    words, which discord.py leaves in places, and nobody's or no channel's name."""
    flat = " ".join(text.split()).replace("](", "] (")
    return escape_markdown(flat, ignore_links=False).replace("<", "\\<")


def _size(text: str) -> int:
    """In UTF-16 units: as much as Discord may count, in whatever way it counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
