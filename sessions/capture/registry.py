"""The captures of this process: their ticks, their heartbeats, and their stop.

A session may be ended by any process. The database says so, and whoever captures it
notices here within half a second.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import structlog
from channels.db import database_sync_to_async

from sessions import lifecycle, optout, participants, queries
from sessions.background import PerLoop, spawn
from sessions.capture.attention import attention
from sessions.participants import Sight, Stream

if TYPE_CHECKING:
    from sessions.capture.sinks import Track

log = structlog.get_logger(__name__)

TICK_S = 0.25
WATCH_EVERY = 2
"""Ticks between two looks at the database for sessions that were stopped."""
BEAT_EVERY = 20
"""Ticks between two heartbeats: 5 s, well below the shortest idle time."""


class Stop(StrEnum):
    """Why a capture is stopped from inside."""

    ENDED = "The session has ended."
    REPLACED = "The same stream came again over a newer connection."
    RESTARTING = "The server restarts: connect again and go on."
    OPTED_OUT = "They do not want to be recorded any more."


class Live(Protocol):
    """A capture, of whatever kind of stream."""

    @property
    def track(self) -> Track: ...
    @property
    def heard_at(self) -> float:
        """When something came last, on the event loop's clock."""

    @property
    def halted(self) -> bool: ...
    @property
    def origin(self) -> int | None:
        """Where the stream goes on over another connection; None if it does not."""

    @property
    def secured(self) -> int: ...
    @property
    def received(self) -> int: ...
    def tick(self) -> None: ...
    def halt(self) -> None: ...
    async def close(self) -> None: ...


C = TypeVar("C", bound=Live, covariant=True)


@dataclass(frozen=True, eq=False)
class Held(Generic[C]):
    """A capture, and how to end its connection: waits until all is written down."""

    capture: C
    stop: Callable[[Stop], Coroutine[Any, Any, None]]
    connection: str


@dataclass(frozen=True, eq=False)
class Host:
    """Whoever holds a session together here, whether anybody speaks in it or not."""

    session_id: int
    stop: Callable[[Stop], Coroutine[Any, Any, None]]
    """As a `Held`'s, and more than once: its captures are stopped beside it."""


class Registry:
    """What one event loop captures and shows."""

    def __init__(self) -> None:
        self._held: set[Held[Live]] = set()
        self._hosts: set[Host] = set()
        self._noted: set[Held[Live]] = set()
        self._viewers: Counter[int] = Counter()
        self._opening: set[asyncio.Task[Any]] = set()
        self.is_closed = False
        self._keeper: asyncio.Task[None] | None = None

    def add(self, held: Held[Live]) -> None:
        self._held.add(held)
        attention().watch(while_=lambda: bool(self._held))
        self._keep()

    def remove(self, held: Held[Live]) -> None:
        self._held.discard(held)
        self._noted.discard(held)

    def of_participant(self, participant_id: int) -> list[Held[Live]]:
        """This process's connections of one person."""
        return [
            h for h in self._held if h.capture.track.participant_id == participant_id
        ]

    async def stop(self, session_id: int) -> None:
        """End every capture of a session here, and wait until each is written down.
        Whoever waits may lose patience: they are stopped all the same."""
        await asyncio.shield(self._stopping(session_id))

    def _stopping(self, session_id: int) -> asyncio.Task[None]:
        theirs = [h for h in self._held if h.capture.track.session_id == session_id]
        hosts = [h for h in self._hosts if h.session_id == session_id]
        stopping = stop_each([*theirs, *hosts], Stop.ENDED)
        return spawn(stopping, name=f"stop {session_id}", session=session_id)

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Whoever is let in by the running task, which lasts until they are."""
        task = asyncio.current_task()
        assert task is not None
        self._opening.add(task)
        try:
            yield
        finally:
            self._opening.discard(task)

    def close(self) -> None:
        """The process is about to end: nobody is to be let in any more."""
        self.is_closed = True

    async def shut_down(self) -> None:
        """The process ends: write down what was heard, and ask everybody to return;
        and those, too, who were just being let in."""
        late = list(self._opening)
        try:
            await stop_each([*self._held, *self._hosts], Stop.RESTARTING)
        finally:
            if late:
                await asyncio.wait(late)
                await stop_each(list(self._held), Stop.RESTARTING)

    @contextmanager
    def hosting(self, host: Host) -> Iterator[None]:
        """Its session is held together here for as long as the block lasts: its heart
        beats, and its host is told of its end."""
        self._hosts.add(host)
        try:
            with self.viewing(host.session_id):
                yield
        finally:
            self._hosts.discard(host)

    @contextmanager
    def viewing(self, session_id: int) -> Iterator[None]:
        """Somebody follows a session here for as long as the block lasts: its heart
        beats."""
        self._viewers[session_id] += 1
        self._keep()
        try:
            yield
        finally:
            self._viewers[session_id] -= 1
            if not self._viewers[session_id]:
                del self._viewers[session_id]

    def _keep(self) -> None:
        if self._keeper is None or self._keeper.done():
            self._keeper = spawn(self._keep_on(), name="captures")

    async def _keep_on(self) -> None:
        """Lives while there is anything to look after."""
        turn = 0
        while self._held or self._viewers:
            for held in list(self._held):
                self._tick(held)
            try:
                if turn % BEAT_EVERY == 0:
                    await self._beat()
                # At once when it has a place: until then, whoever returns after a
                # crash would be given another.
                await self._note([h for h in self._held if h not in self._noted])
                if turn % WATCH_EVERY == 0:
                    await self._watch()
            except Exception:
                # Mostly an absent database. Whatever it is: without this task no heart
                # beats, and every session here would be taken for idle.
                log.warning("captures.unwatched", exc_info=True)
            turn += 1
            await asyncio.sleep(TICK_S)

    def _tick(self, held: Held[Live]) -> None:
        try:
            held.capture.tick()
        except Exception:
            # One track's fault must not stop the hearts of all sessions.
            log.exception("capture.failed", **held.capture.track.ids)

    async def _beat(self) -> None:
        """Renew the sessions that have a follower, or sound since the last beat; and
        note how far each stream is safe."""
        recent = asyncio.get_running_loop().time() - BEAT_EVERY * TICK_S * 2
        heard = {
            h.capture.track.session_id
            for h in self._held
            if h.capture.heard_at >= recent
        }
        await database_sync_to_async(lifecycle.touch)(heard | set(self._viewers))
        held = self._open()
        sights = [Sight(h.capture.track.participant_id, h.connection) for h in held]
        for lost in await database_sync_to_async(participants.renew)(sights):
            # A halted one has left, or is just about to.
            if any(h.connection == lost.connection for h in self._open()):
                await database_sync_to_async(participants.put_back)(lost)
        await self._note(held)

    async def _note(self, held: list[Held[Live]]) -> None:
        """Keep where streams go on, of those that have begun."""
        begun = [h for h in held if h.capture.origin is not None]
        if begun:
            streams = [stream_of(h.capture) for h in begun]
            await database_sync_to_async(participants.note_streams)(streams)
            self._noted |= self._held & set(begun)  # some left meanwhile

    def _open(self) -> list[Held[Live]]:
        return [held for held in self._held if not held.capture.halted]

    async def _watch(self) -> None:
        captured = {h.capture.track.session_id for h in self._held}
        captured |= {h.session_id for h in self._hosts}
        if not captured:
            return
        await self._drop_opted_out()
        still = await database_sync_to_async(queries.still_open)(captured)
        for session_id in captured - still:
            self._stopping(session_id)

    async def _drop_opted_out(self) -> None:
        """Whoever asked not to be recorded any more, in whatever process."""
        ids = {h.capture.track.participant_id for h in self._open()}
        gone = await database_sync_to_async(optout.opted_out)(ids) if ids else set()
        for held in self._open():
            if held.capture.track.participant_id in gone:
                held.capture.halt()
                stopping = held.stop(Stop.OPTED_OUT)
                spawn(stopping, name="capture.opted_out", **held.capture.track.ids)


def stream_of(capture: Live) -> Stream:
    """Where a capture's stream goes on if its process dies now."""
    assert capture.origin is not None
    return Stream(capture.track.participant_id, capture.origin, capture.secured)


async def stop_each(running: Sequence[Held[Live] | Host], why: Stop) -> None:
    """Stop all of them, together; raises an ExceptionGroup when some failed."""
    results = await asyncio.gather(
        *(one.stop(why) for one in running), return_exceptions=True
    )
    errors = [e for e in results if isinstance(e, Exception)]
    if errors:
        raise ExceptionGroup("captures did not stop", errors)


_registries = PerLoop(Registry)


def registry() -> Registry:
    """The registry of the running event loop."""
    return _registries.here()
