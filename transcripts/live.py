"""Listening, live: every track of this process, one voice detection call for all.

Sinks put sound in ears; one thread takes all windows that are due, detects, and cuts
utterances; one writer records them. Speech recognition never slows this down.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import close_old_connections

from sessions import events, flashes
from sessions.audio.frames import Placed
from sessions.background import spawn
from sessions.capture.sinks import Track
from transcripts import partials, status, utterances, vad
from transcripts.ear import Cut, Ear
from transcripts.speech import Endpointing
from transcripts.vad import BATCH, Vad

log = structlog.get_logger(__name__)

TICK_S = 0.02
"""At most this long new sound waits for others to share a call with."""
IDLE_TICK_S = 0.1
STEP_BUDGET_S = 0.05
"""A backlog is worked off in steps of this length, all tracks in turn."""
STALLED_S = 0.7
"""An utterance whose sound stops coming is ended this much after the usual silence."""
PARTIAL_EVERY_S = 1.0
REPORT_EVERY_S = 1.5
RETRY_S = (0.1, 0.5, 2.0, 5.0)


@dataclass(slots=True)
class Hearing:
    """One track that is listened to, and its way in: `hear` is a capture's sink."""

    track: Track
    ear: Ear
    room: Room
    inbox: deque[Placed] = field(default_factory=deque)
    ending: bool = False
    heard_at: float = 0.0
    partial_at: float = 0.0
    rev: int = 0
    written: asyncio.Future[None] | None = None
    done_to: int = 0  # what the ear is through with
    on_their_way: list[int] = field(default_factory=list)  # cuts that are not rows yet

    def hear(self, placed: Placed) -> None:
        self.inbox.append(placed)
        self.room.wake()

    def settled(self) -> int:
        return min([self.done_to, *self.on_their_way])

    async def close(self) -> None:
        """Hear out what came, and wait until the last utterance is a row."""
        self.written = asyncio.get_running_loop().create_future()
        self.ending = True
        self.room.wake()
        await self.written


@dataclass(frozen=True, slots=True)
class Found:
    """What a step found on one track: an utterance, its beginning, or the end."""

    hearing: Hearing
    cut: Cut | None = None
    partial: Cut | None = None
    closed: bool = False


class Room:
    """All tracks of one event loop."""

    def __init__(
        self, detector: Vad, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._vad = detector
        self._clock = clock
        self._hearings: list[Hearing] = []
        self._new = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vad")
        self._stalled_s = settings.VAD_SILENCE_MS / 1000 + STALLED_S
        self._told: dict[int, tuple[dict[str, Any], float]] = {}

    def open(self, track: Track) -> Hearing:
        """Listen to a track from now on."""
        endpointing = Endpointing(
            threshold=settings.VAD_THRESHOLD,
            release=settings.VAD_RELEASE,
            silence_ms=settings.VAD_SILENCE_MS,
            soft_max_s=settings.VAD_SOFT_MAX_S,
        )
        ear = Ear(endpointing, preroll_ms=settings.VAD_PREROLL_MS)
        hearing = Hearing(track, ear, self, heard_at=self._clock())
        self._hearings.append(hearing)
        self.wake()
        return hearing

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
        loop = asyncio.get_running_loop()
        try:
            while self._hearings:
                self._new.clear()
                step, more = await loop.run_in_executor(
                    self._thread, self.step, self._clock()
                )
                for item in step:
                    self._hand_on(item, found)
                for hearing in self._hearings:
                    hearing.done_to = hearing.ear.settled
                if not more:
                    await self._pause()
                if not self._hearings:
                    await found.join()  # while it waits, a new track may come
        finally:
            for helper in helpers:
                helper.cancel()

    def _hand_on(self, item: Found, queue: asyncio.Queue[Found]) -> None:
        if item.cut is not None:
            item.hearing.on_their_way.append(item.cut.audio_start)
        queue.put_nowait(item)
        if item.closed:
            self._hearings.remove(item.hearing)

    async def _pause(self) -> None:
        await asyncio.sleep(TICK_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._new.wait(), IDLE_TICK_S)

    # --- on the detection thread ---------------------------------------------------

    def step(self, now: float) -> tuple[list[Found], bool]:
        """Detect what is due; what was found, and whether there is more to do."""
        found: list[Found] = []
        hearings = list(self._hearings)
        for hearing in hearings:
            self._take_in(hearing, now)
        deadline = self._clock() + STEP_BUDGET_S
        more = True
        while more and self._clock() < deadline:
            more = self._round(hearings, found)
        if not more:
            found += [f for h in hearings if (f := self._look_after(h, now))]
        return found, more

    def _take_in(self, hearing: Hearing, now: float) -> None:
        ending = hearing.ending  # read before the inbox: what came before it counts
        if hearing.inbox:
            hearing.heard_at = now
        while hearing.inbox:
            hearing.ear.add(hearing.inbox.popleft())
        if ending and hearing.written is not None:
            hearing.ending = False
            hearing.ear.end()

    def _round(self, hearings: list[Hearing], found: list[Found]) -> bool:
        """One window of each track that has one, in calls of at most 64."""
        due = []
        for hearing in hearings:
            ear = hearing.ear
            while (window := ear.window()) is None and ear.jumping:
                cut = ear.settle()
                if cut or ear.closed:
                    found.append(Found(hearing, cut, closed=ear.closed))
            if window is not None:
                due.append((hearing, window))
        for i in range(0, len(due), BATCH):
            batch = due[i : i + BATCH]
            chances = self._vad(
                np.stack([window for _, window in batch]),
                [hearing.ear.vad_state for hearing, _ in batch],
            )
            for (hearing, _), chance in zip(batch, chances, strict=True):
                if (cut := hearing.ear.judge(float(chance))) is not None:
                    found.append(Found(hearing, cut))
        return bool(due)

    def _look_after(self, hearing: Hearing, now: float) -> Found | None:
        ear = hearing.ear
        if not ear.speaking:
            hearing.partial_at, hearing.rev = now, 0
            return None
        if now - hearing.heard_at > self._stalled_s:
            cut = ear.flush()
            return Found(hearing, cut) if cut else None
        due = now - hearing.partial_at >= PARTIAL_EVERY_S
        if settings.STT_PARTIALS and due and ear.speech_s >= PARTIAL_EVERY_S:
            hearing.partial_at = now
            hearing.rev += 1
            return Found(hearing, partial=ear.so_far())
        return None

    # --- back on the loop ------------------------------------------------------------

    async def _write_on(self, queue: asyncio.Queue[Found]) -> None:
        while True:
            found = await queue.get()
            try:
                await self._write(found)
            finally:
                queue.task_done()

    async def _write(self, found: Found) -> None:
        if found.cut is not None:
            await self._record(found.hearing.track, found.cut)
            found.hearing.on_their_way.remove(found.cut.audio_start)
        elif found.partial is not None:
            await database_sync_to_async(_offer)(found.hearing, found.partial)
        written = found.hearing.written
        if found.closed and written is not None and not written.done():
            written.set_result(None)

    async def _record(self, track: Track, cut: Cut) -> None:
        """Make it a row; as often as it takes: a line is never dropped here."""
        spoken = _spoken(track, cut)
        for attempt in range(1_000_000):
            try:
                await database_sync_to_async(_record)(spoken)
                return
            except Exception:
                # A locked or absent database comes back; the queue behind us waits.
                log.exception("utterance.not_recorded", session=track.session_id)
                await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])

    async def _report_on(self) -> None:
        """Tell each listened-to session how far its text is."""
        while True:
            ids = {h.track.session_id for h in self._hearings}
            await database_sync_to_async(self._report)(ids)
            await asyncio.sleep(REPORT_EVERY_S)

    def _report(self, session_ids: set[int]) -> None:
        now = self._clock()
        self._told = {pk: t for pk, t in self._told.items() if pk in session_ids}
        for session_id in session_ids:
            try:
                state = speech_state(session_id)
            except Exception:
                log.warning("speech.unknown", session=session_id, exc_info=True)
                continue  # the database is away: the next report will tell
            told, at = self._told.get(session_id, (None, 0.0))
            if state != told or now - at > flashes.TTL_S / 2:
                self._told[session_id] = (state, now)
                flashes.show(session_id, "speech", "speech", state)


def _spoken(track: Track, cut: Cut) -> utterances.Spoken:
    return utterances.Spoken(
        public_id=cut.utterance_id,
        session_id=track.session_id,
        participant_id=track.participant_id,
        start=cut.start,
        end=cut.end,
        audio_start=cut.audio_start,
        audio=cut.audio.astype("<i2").tobytes(),
    )


def _record(spoken: utterances.Spoken) -> None:
    close_old_connections()
    utterances.record(spoken)
    partials.withdraw(spoken.session_id, spoken.participant_id)


def _offer(hearing: Hearing, cut: Cut) -> None:
    """Ask for provisional text; a question not yet answered is replaced."""
    track = hearing.track
    partials.offer(
        partials.PartialRequest(
            session_id=track.session_id,
            participant_id=track.participant_id,
            participant_public_id=track.participant_public_id,
            name=track.name,
            utterance_id=cut.utterance_id,
            rev=hearing.rev,
            start=cut.start,
            audio_start=cut.audio_start,
            audio=cut.audio.astype("<i2").tobytes(),
        )
    )


def speech_state(session_id: int) -> dict[str, Any]:
    """How speech-to-text is doing for a session, as its page shows it."""
    behind = utterances.backlog(session_id).oldest_s
    return status.read().to_json(behind_s=behind)


_rooms: dict[asyncio.AbstractEventLoop, Room] = {}


def listen(track: Track) -> Hearing:
    """The capture sink (`CAPTURE_SINKS`): listens to a track on the running loop."""
    loop = asyncio.get_running_loop()
    for other in [loop_ for loop_ in _rooms if loop_.is_closed()]:
        del _rooms[other]
    chosen = vad.state()
    if loop not in _rooms:
        _rooms[loop] = Room(chosen.vad)
    if chosen.degraded:
        spawn(_say_degraded(track.session_id, chosen.message), name="vad.degraded")
    return _rooms[loop].open(track)


async def _say_degraded(session_id: int, message: str) -> None:
    data = {"code": "voice_detection", "message": message}
    await database_sync_to_async(events.append)(session_id, "notice", data)
