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
from dataclasses import replace

import numpy as np
import structlog
from channels.db import database_sync_to_async
from django.conf import settings

from sessions import events, measures, realtime
from sessions.audio.frames import Placed
from sessions.background import PerLoop, spawn
from sessions.capture.sinks import Track
from transcripts import scribe, vad
from transcripts.detection import Detection, new_ear
from transcripts.ear import Cut
from transcripts.hearing import Found, Hearing
from transcripts.progress import Progress
from transcripts.shelf import Shelf
from transcripts.spoken import RATE
from transcripts.vad import VadChoice

log = structlog.get_logger(__name__)

TICK_S = 0.032
"""At most this long, a window, new sound waits for others to share a call with."""
IDLE_TICK_S = 0.1
REPORT_EVERY_S = 1.5
AFTER_FAULT_S = 0.1
ASKS_MAX = 20
"""While more than this is not written down, because the database is away or slow, no
provisional text is asked for."""
CUTS_HELD = 100
"""Of utterances that are not written down so many are held in memory; the sound of more
waits on the disk."""
_NO_SOUND = np.zeros(0, np.int16)


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
        self._cuts = 0  # of them, utterances
        self._shelf = Shelf()  # the sound of some of these, in their order
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
            measures.VAD_BEHIND.set(0.0)

    async def _listen(self, found: asyncio.Queue[Found]) -> bool:
        """One step; whether there is more to do at once."""
        due = [hearing for hearing in self._hearings if hearing.is_due]
        if not due:
            return False
        loop, step = asyncio.get_running_loop(), self._detection.step
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
            if self._cuts >= CUTS_HELD:
                item = self._put_by(item, item.cut)
            self._cuts += 1
        self._unwritten += 1
        queue.put_nowait(item)
        if item.closed:
            self._hearings.remove(item.hearing)

    def _put_by(self, item: Found, cut: Cut) -> Found:
        try:
            self._shelf.put(Placed(cut.audio_start, cut.audio, RATE))
        except OSError:
            return item  # a full disk: in memory, as before
        return replace(item, cut=replace(cut, audio=_NO_SOUND), is_shelved=True)

    def _whole(self, item: Found) -> Found:
        """As it was before its sound was put by."""
        if item.cut is None or not item.is_shelved:
            return item
        try:
            sound = self._shelf.take()
        except OSError:
            log.exception("utterance.lost", **item.hearing.track.ids)
            return replace(item, cut=None)
        assert sound is not None, "as many were put by"
        return replace(item, cut=replace(item.cut, audio=sound.pcm))

    def _asks(self) -> bool:
        is_slow = self._unwritten > ASKS_MAX
        return settings.STT_PARTIALS and self._progress.is_ready and not is_slow

    async def _pause(self) -> None:
        await asyncio.sleep(TICK_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._new.wait(), IDLE_TICK_S)

    async def _write_on(self, queue: asyncio.Queue[Found]) -> None:
        while True:
            found = await queue.get()
            is_cut = found.cut is not None
            try:
                await scribe.write(self._whole(found))
            except Exception:
                # Nobody behind this one may wait for ever.
                log.exception("listening.unwritten")
            finally:
                self._unwritten -= 1
                self._cuts -= is_cut
                self.wake()

    async def _tell_if_degraded(self, session_id: int) -> None:
        loop = asyncio.get_running_loop()
        chosen = await loop.run_in_executor(self._thread, self._choose)
        if chosen.degraded:
            data = {"code": "voice_detection", "message": chosen.message}
            await database_sync_to_async(events.append)(session_id, "notice", data)

    async def _report_on(self) -> None:
        while True:
            behind_s = max((one.behind_s for one in self._hearings), default=0.0)
            measures.VAD_BEHIND.set(behind_s)
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
