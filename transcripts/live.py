"""Listening, live: every track of this process in one room.

Sinks put sound in ears; one thread detects for all of them (`detection`), one writer
records what was said (`scribe`). Speech recognition never slows this down.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog
from channels.db import database_sync_to_async
from django.conf import settings

from sessions import events, realtime
from sessions.background import PerLoop, spawn
from sessions.capture.sinks import Track
from transcripts import scribe, vad
from transcripts.detection import Detection, new_ear
from transcripts.hearing import Found, Hearing
from transcripts.progress import Progress
from transcripts.vad import VadChoice

log = structlog.get_logger(__name__)

TICK_S = 0.032
"""At most this long, a window, new sound waits for others to share a call with."""
IDLE_TICK_S = 0.1
REPORT_EVERY_S = 1.5
AFTER_FAULT_S = 0.1
UNWRITTEN_MAX = 200
"""While so much that was found is not written down, because the database is away or
slow, nothing more is looked for: sound can wait on the disk, what was found cannot."""


Watcher = Callable[[float], None]


class Room:
    """All tracks of one event loop."""

    def __init__(
        self,
        choose: Callable[[], VadChoice],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._choose = choose
        self._clock = clock
        self._progress = Progress(clock=clock)
        self._detection = Detection(choose, asks=self._asks, clock=clock)
        self._hearings: list[Hearing] = []
        self._new = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(
            1, thread_name_prefix="vad", initializer=realtime.stand_back
        )
        self._unwritten = 0  # found, and not yet a row or an offer
        self._watchers: dict[int, Watcher] = {}

    def open(self, track: Track) -> Hearing:
        """Listen to a track from now on."""
        hearing = Hearing(track, new_ear(), self.wake, heard_at=self._clock())
        known = {h.track.session_id for h in self._hearings}
        if track.session_id not in known:
            spawn(self._tell_if_degraded(track.session_id), name="vad.degraded")
        self._hearings.append(hearing)
        self.wake()
        return hearing

    def watch(self, participant_id: int, told: Watcher) -> None:
        """Tell how much of an utterance this person has said by now, in seconds, at
        every step while they speak; and 0 once they do not."""
        self._watchers[participant_id] = told

    def unwatch(self, participant_id: int) -> None:
        self._watchers.pop(participant_id, None)

    def wake(self) -> None:
        self._new.set()
        if self._worker is None or self._worker.done():
            self._worker = spawn(self._listen_on(), name="listening")

    async def _listen_on(self) -> None:
        """Lives while there are tracks: detect, hand on, wait for more."""
        found: asyncio.Queue[Found] = asyncio.Queue()
        helpers = [
            spawn(self._write_on(found), name="listening.write"),
            spawn(self._report_on(), name="listening.report"),
        ]
        try:
            # While the last rows are written a new track may come.
            while self._hearings or self._unwritten:
                self._new.clear()
                if not await self._listen(found):
                    await self._pause()
        finally:
            for helper in helpers:
                helper.cancel()

    async def _listen(self, found: asyncio.Queue[Found]) -> bool:
        """One step; whether there is more to do at once."""
        due = [hearing for hearing in self._hearings if hearing.is_due]
        if not due:
            return False
        detection, loop = self._detection, asyncio.get_running_loop()
        step = detection.step if self._unwritten < UNWRITTEN_MAX else detection.wait
        try:
            found_now, more = await loop.run_in_executor(
                self._thread, step, due, self._clock()
            )
        except Exception:
            # Whatever it is, it is ours, and nobody here would be heard any more.
            log.exception("listening.failed")
            await asyncio.sleep(AFTER_FAULT_S)
            return False
        for item in found_now:
            self._hand_on(item, found)
        for hearing in due:
            hearing.done_to = hearing.ear.settled
            self._tell_watcher(hearing)
        return more

    def _tell_watcher(self, hearing: Hearing) -> None:
        told = self._watchers.get(hearing.track.participant_id)
        speech_s = hearing.ear.speech_s
        if told is None or speech_s == hearing.told_s:
            return
        hearing.told_s = speech_s
        try:
            told(speech_s)
        except Exception:
            # A listener's fault is not the room's.
            log.exception("watcher.failed", session=hearing.track.session_id)

    def _hand_on(self, item: Found, queue: asyncio.Queue[Found]) -> None:
        if item.cut is not None:
            item.hearing.on_their_way.append(item.cut.audio_start)
        self._unwritten += 1
        queue.put_nowait(item)
        if item.closed:
            self._hearings.remove(item.hearing)

    def _asks(self) -> bool:
        return settings.STT_PARTIALS and self._progress.is_ready

    async def _pause(self) -> None:
        await asyncio.sleep(TICK_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._new.wait(), IDLE_TICK_S)

    async def _write_on(self, queue: asyncio.Queue[Found]) -> None:
        while True:
            found = await queue.get()
            try:
                await scribe.write(found)
            except Exception:
                # Nobody behind this one may wait for ever.
                log.exception("listening.unwritten")
            finally:
                self._unwritten -= 1
                self.wake()

    async def _tell_if_degraded(self, session_id: int) -> None:
        loop = asyncio.get_running_loop()
        chosen = await loop.run_in_executor(self._thread, self._choose)
        if chosen.degraded:
            data = {"code": "voice_detection", "message": chosen.message}
            await database_sync_to_async(events.append)(session_id, "notice", data)

    async def _report_on(self) -> None:
        while True:
            ids = {h.track.session_id for h in self._hearings}
            await database_sync_to_async(self._progress.report)(ids)
            await asyncio.sleep(REPORT_EVERY_S)


_rooms = PerLoop(lambda: Room(vad.state))


def room() -> Room:
    """The room of the running event loop."""
    return _rooms.here()


def listen(track: Track) -> Hearing:
    """The capture sink (`CAPTURE_SINKS`): listens to a track on the running loop."""
    return _rooms.here().open(track)
