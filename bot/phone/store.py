"""What is kept of running calls, so that one that is dialled again goes on.

In Redis, and in a folder of this machine while Redis is away or where there is none.
Nobody who keeps a call waits: one task writes, and of each call only the latest. While
Redis is away calls are in the folder, the health says so, and what it missed is written
when it answers again, by itself.

A call is kept from its first `save` until `forget`, and until its time is over when
this process was killed in between.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import structlog

from bot.phone.dialogue import BrokenDialogueError, Saved
from bot.phone.remote import Remote, RemoteError
from bot.phone.shelf import Shelf
from bot.phone.states import State
from sessions.background import cancel_and_wait, spawn
from sessions.outages import Outage

log = structlog.get_logger(__name__)
T = TypeVar("T")

LOOK_S = 1.0
# A call begins only when it is known whether it goes on: longer nobody waits for that.
LOAD_S = 0.1
CLOSE_S = 2.0
BATCH = 5


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """Where calls are kept (`redis` or `files`), and whether that is as it should be.

    `unwritten` calls would not outlive this process at this moment.
    """

    kind: str
    is_degraded: bool
    calls: int
    unwritten: int


class CallStore:
    """The calls of one process, on one event loop.

    `folder` is this machine's, `ttl_s` how long a broken-off call is kept, `look_s`
    how often Redis is looked after, `wall` seconds of the wall clock.
    """

    def __init__(
        self,
        folder: Path,
        *,
        redis_url: str = "",
        ttl_s: int = 1800,
        look_s: float = LOOK_S,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shelf = Shelf(folder)
        self._remote = Remote(redis_url, ttl_s=ttl_s) if redis_url else None
        self._ttl_s, self._look_s = ttl_s, look_s
        self._wall, self._clock = wall, clock
        self._desk = ThreadPoolExecutor(1, thread_name_prefix="calls")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="calls read")
        self._redis_outage = Outage("Redis, for calls")
        self._shelf_outage = Outage("the folder of calls")
        self._is_remote_away = self._is_shelf_away = False
        self._run_id = ""
        self._live: dict[UUID, Saved] = {}
        self._gone: dict[UUID, float] = {}  # forgotten, and since when
        self._changed: dict[UUID, None] = {}  # in the order in which they are written
        self._failed: dict[UUID, None] = {}
        self._on_shelf: set[UUID] = set()
        self._wake = asyncio.Event()
        self._is_closing = False
        self._writer: asyncio.Task[None] | None = None
        self._look_at_s = self._renew_at_s = clock()

    # --- what calls ask -------------------------------------------------------------

    def start(self) -> None:
        """Begin to look after Redis; the first call would do so as well."""
        if self._is_closing or (self._writer and not self._writer.done()):
            return
        self._writer = spawn(self._write(), name="call store")

    async def load(self, uuid: UUID) -> Saved | None:
        """What is kept of a call; None if nothing is, or nothing that can be read.

        Never raises, and takes at most LOAD_S.
        """
        self.start()
        if uuid not in self._live and uuid not in self._gone:
            texts = await asyncio.gather(self._remote_text(uuid), self._file_text(uuid))
            kept = [saved for text in texts if text and (saved := _read(uuid, text))]
            oldest_s = self._wall() - self._ttl_s
            kept = [saved for saved in kept if saved.saved_at_s > oldest_s]
            if uuid not in self._live and uuid not in self._gone:
                return max(kept, key=lambda saved: saved.saved_at_s, default=None)
        return self._live.get(uuid)

    def save(self, uuid: UUID, saved: Saved) -> None:
        """Keep this of a call from now on. Returns at once.

        A call that has ended is forgotten: there is nothing to go on with.
        """
        if saved.state is State.ENDED:
            self.forget(uuid)
            return
        kept = self._live.get(uuid)
        if kept and (kept.state, kept.turns) == (saved.state, saved.turns):
            return
        self._live[uuid] = replace(saved, saved_at_s=self._wall())
        self._gone.pop(uuid, None)
        self._note(uuid)

    def forget(self, uuid: UUID) -> None:
        """A call has ended as calls do: keep nothing of it. Returns at once."""
        self._live.pop(uuid, None)
        self._gone[uuid] = self._wall()
        self._note(uuid)

    def health(self) -> StoreHealth:
        is_dead = self._writer is not None and self._writer.done()
        return StoreHealth(
            kind="redis" if self._remote else "files",
            is_degraded=self._is_remote_away or self._is_shelf_away or is_dead,
            calls=len(self._live),
            unwritten=len(self._live.keys() & (self._changed | self._failed).keys()),
        )

    async def close(self) -> None:
        """Write what is unwritten, for CLOSE_S at most, and let go of everything."""
        self._is_closing = True
        self._wake.set()
        if self._writer is not None:
            await asyncio.wait([self._writer], timeout=CLOSE_S)
            await cancel_and_wait(self._writer)
        if self._remote is not None:
            try:
                await self._remote.close()
            except RemoteError:
                self._redis_outage.began()  # it is closed all the same
        self._desk.shutdown(wait=False)
        self._reader.shutdown(wait=False)

    # --- reading --------------------------------------------------------------------

    async def _remote_text(self, uuid: UUID) -> str | None:
        if self._remote is None or self._is_remote_away:
            return None
        try:
            return await self._remote.get(uuid, within_s=LOAD_S)
        except RemoteError:
            self._remote_is_away()
            return None

    async def _file_text(self, uuid: UUID) -> str | None:
        # On a thread of its own: who dials anew does not wait behind what is written.
        read = asyncio.get_running_loop().run_in_executor
        try:
            async with asyncio.timeout(LOAD_S):
                return await read(self._reader, self._shelf.get, uuid)
        except TimeoutError:  # an OSError, too, but no outage: many dial at once
            log.warning("call.read_late", call=str(uuid))
            return None
        except OSError:
            self._shelf_is_away()
            return None

    # --- writing --------------------------------------------------------------------

    def _note(self, uuid: UUID) -> None:
        self._changed[uuid] = None
        self._wake.set()
        self.start()

    async def _write(self) -> None:
        while True:
            while uuids := list(self._changed)[:BATCH]:
                for uuid in uuids:
                    del self._changed[uuid]
                if not await self._write_these(uuids):
                    self._failed |= dict.fromkeys(uuids)
            if self._is_closing:
                return
            if self._clock() >= self._look_at_s:
                self._look_at_s = self._clock() + self._look_s
                await self._look()
            if not self._changed:
                await self._wait()

    async def _wait(self) -> None:
        """Until something is to be written, or it is time to look again."""
        self._wake.clear()
        try:
            async with asyncio.timeout(max(self._look_at_s - self._clock(), 0.0)):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _look(self) -> None:
        """Try again what failed, renew what is old, and see how Redis is."""
        self._changed |= self._failed
        self._failed = {}
        now = self._clock()
        if now >= self._renew_at_s:
            self._renew_at_s = now + self._ttl_s / 3
            self._changed |= dict.fromkeys(self._live)
            await self._sweep()
        if self._remote is None:
            return
        try:
            run_id = await self._remote.run_id()
        except RemoteError:
            self._remote_is_away()
            return
        if self._is_remote_away or run_id != self._run_id:
            self._changed |= dict.fromkeys([*self._live, *self._gone])
        self._run_id, self._is_remote_away = run_id, False
        self._redis_outage.ended()

    async def _write_these(self, uuids: list[UUID]) -> bool:
        """Write calls where they can be written; False if that is nowhere."""
        calls = {uuid: self._live.get(uuid) for uuid in uuids}
        texts = await self._at_desk(lambda: _texts(calls))
        is_sent = await self._send(texts)
        if is_sent:
            # What the folder has of them is old now.
            is_old = {u for u in uuids if u in self._on_shelf or texts[u] is None}
            await self._put(dict.fromkeys(is_old))
        elif not await self._put(texts):
            return False
        if is_sent or self._remote is None:
            for uuid in uuids:
                if texts[uuid] is None:
                    self._gone.pop(uuid, None)
        return True

    async def _send(self, texts: dict[UUID, str | None]) -> bool:
        """Whether Redis has it now."""
        if self._remote is None or self._is_remote_away:
            return False
        try:
            await self._remote.write(texts)
        except RemoteError:
            self._remote_is_away()
            return False
        return True

    async def _put(self, texts: dict[UUID, str | None]) -> bool:
        """Whether the folder is as `texts` say; None: without that call."""
        try:
            await self._at_desk(lambda: self._put_each(texts))
        except OSError:
            self._shelf_is_away()
            return False
        self._on_shelf |= {uuid for uuid, text in texts.items() if text is not None}
        self._on_shelf -= {uuid for uuid, text in texts.items() if text is None}
        self._is_shelf_away = False
        self._shelf_outage.ended()
        return True

    def _put_each(self, texts: dict[UUID, str | None]) -> None:
        for uuid, text in texts.items():
            if text is None:
                self._shelf.drop(uuid)
            else:
                self._shelf.put(uuid, text)

    async def _sweep(self) -> None:
        """Drop what nobody dialled again in time."""
        oldest_s = self._wall() - self._ttl_s
        for uuid in [u for u, since_s in self._gone.items() if since_s < oldest_s]:
            del self._gone[uuid]  # Redis has let go of it by itself
        try:
            await self._at_desk(lambda: self._shelf.sweep(before_s=oldest_s))
        except OSError:
            self._shelf_is_away()

    def _remote_is_away(self) -> None:
        self._is_remote_away = True
        self._redis_outage.began()

    def _shelf_is_away(self) -> None:
        self._is_shelf_away = True
        self._shelf_outage.began()

    async def _at_desk(self, work: Callable[[], T]) -> T:
        """Off the event loop, where 300 calls at once may take their time."""
        return await asyncio.get_running_loop().run_in_executor(self._desk, work)


def _texts(calls: Mapping[UUID, Saved | None]) -> dict[UUID, str | None]:
    return {uuid: saved.to_json() if saved else None for uuid, saved in calls.items()}


def _read(uuid: UUID, text: str) -> Saved | None:
    try:
        return Saved.from_json(text)
    except BrokenDialogueError:
        log.warning("call.unreadable", call=str(uuid))
        return None
