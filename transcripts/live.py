"""Listening, live: every track of this process, one voice detection call for all.

Sinks put sound in ears; one thread takes all windows that are due, detects, and cuts
utterances; one writer records them. Speech recognition never slows this down.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections

from sessions import events, flashes
from sessions.audio.frames import Placed
from sessions.background import spawn
from sessions.capture.sinks import Track
from transcripts import partials, status, unrecorded, utterances, vad
from transcripts.ear import Cut, Ear
from transcripts.speech import Endpointing
from transcripts.vad import BATCH, Floats, Vad, VadChoice

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
AWAY = (OperationalError, InterfaceError, OSError)
"""What a database that is locked or absent raises; it comes back."""
REFUSED_AFTER = 3
FAULTS_LOGGED = 5
"""Of one track: what fails at every frame would fill the log."""


@dataclass(slots=True)
class Hearing:
    """One track that is listened to, and its way in: `hear` is a capture's sink."""

    track: Track
    ear: Ear
    room: Room
    inbox: deque[Placed] = field(default_factory=deque)
    ending: bool = False  # no more sound will come
    ended: bool = False  # and the ear knows
    heard_at: float = 0.0
    partial_at: float = 0.0
    rev: int = 0
    written: asyncio.Future[None] | None = None
    faults: int = 0
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
        self,
        choose: Callable[[], VadChoice],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Called on the detection thread: loading the model takes its time.
        self._choose = choose
        self._clock = clock
        self._hearings: list[Hearing] = []
        self._new = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vad")
        self._stalled_s = settings.VAD_SILENCE_MS / 1000 + STALLED_S
        self._unwritten = 0  # found, and not yet a row or an offer
        self._told: dict[int, tuple[dict[str, Any], float]] = {}

    def open(self, track: Track) -> Hearing:
        """Listen to a track from now on."""
        hearing = Hearing(track, _new_ear(), self, heard_at=self._clock())
        known = {h.track.session_id for h in self._hearings}
        if track.session_id not in known:
            spawn(self._tell_if_degraded(track.session_id), name="vad.degraded")
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
        loop = asyncio.get_running_loop()
        try:
            step, more = await loop.run_in_executor(
                self._thread, self.step, self._clock()
            )
        except Exception:
            # Whatever it is, it is ours, and nobody here would be heard any more.
            log.exception("listening.failed")
            await asyncio.sleep(RETRY_S[0])
            return False
        for item in step:
            self._hand_on(item, found)
        for hearing in self._hearings:
            hearing.done_to = hearing.ear.settled
        return more

    def _hand_on(self, item: Found, queue: asyncio.Queue[Found]) -> None:
        if item.cut is not None:
            item.hearing.on_their_way.append(item.cut.audio_start)
        self._unwritten += 1
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
        detector = self._choose().vad
        found: list[Found] = []
        hearings = list(self._hearings)
        for hearing in hearings:
            with self._spared(hearing):
                self._take_in(hearing, now)
        deadline = self._clock() + STEP_BUDGET_S
        more = True
        while more and self._clock() < deadline:
            more = self._round(detector, hearings, found)
        if not more:
            for hearing in hearings:
                with self._spared(hearing):
                    found += self._look_after(hearing, now)
        return found, more

    @contextlib.contextmanager
    def _spared(self, hearing: Hearing) -> Iterator[None]:
        """A fault on one track costs it what was open, and the others nothing."""
        try:
            yield
        except Exception:
            hearing.faults += 1
            if hearing.faults <= FAULTS_LOGGED:
                log.exception("track.failed", session=hearing.track.session_id)
            hearing.ear = _new_ear()
            if hearing.ended:
                hearing.ear.end()

    def _take_in(self, hearing: Hearing, now: float) -> None:
        ending = hearing.ending  # read before the inbox: what came before it counts
        if hearing.inbox:
            hearing.heard_at = now
        while hearing.inbox:
            hearing.ear.add(hearing.inbox.popleft())
        if ending and not hearing.ended:
            hearing.ended = True
            hearing.ear.end()

    def _round(
        self, detector: Vad, hearings: list[Hearing], found: list[Found]
    ) -> bool:
        """One window of each track that has one, in calls of at most 64."""
        due: list[tuple[Hearing, Floats]] = []
        for hearing in hearings:
            with self._spared(hearing):
                if (window := self._next(hearing, found)) is not None:
                    due.append((hearing, window))
        for i in range(0, len(due), BATCH):
            self._detect(detector, due[i : i + BATCH], found)
        return bool(due)

    def _next(self, hearing: Hearing, found: list[Found]) -> Floats | None:
        ear = hearing.ear
        while (window := ear.window()) is None and ear.jumping:
            cut = ear.settle()
            if cut or ear.closed:
                found.append(Found(hearing, cut, closed=ear.closed))
        return window

    def _detect(
        self, detector: Vad, due: list[tuple[Hearing, Floats]], found: list[Found]
    ) -> None:
        states = [hearing.ear.vad_state for hearing, _ in due]
        try:
            chances = detector(np.stack([window for _, window in due]), states)
        except Exception:
            if len(due) > 1:  # one of them is bad: which?
                for one in due:
                    self._detect(detector, [one], found)
                return
            with self._spared(due[0][0]):
                raise
            return
        for (hearing, _), chance in zip(due, chances, strict=True):
            with self._spared(hearing):
                if (cut := hearing.ear.judge(float(chance))) is not None:
                    found.append(Found(hearing, cut))

    def _look_after(self, hearing: Hearing, now: float) -> list[Found]:
        ear = hearing.ear
        if not ear.speaking:
            hearing.partial_at, hearing.rev = now, 0
            return []
        if now - hearing.heard_at > self._stalled_s:
            cut = ear.flush()
            return [Found(hearing, cut)] if cut else []
        due = now - hearing.partial_at >= PARTIAL_EVERY_S
        if settings.STT_PARTIALS and due and ear.speech_s >= PARTIAL_EVERY_S:
            hearing.partial_at = now
            hearing.rev += 1
            return [Found(hearing, partial=ear.so_far())]
        return []

    # --- back on the loop ------------------------------------------------------------

    async def _write_on(self, queue: asyncio.Queue[Found]) -> None:
        while True:
            found = await queue.get()
            try:
                await self._write(found)
            except Exception:
                # Nobody behind this one may wait for ever.
                log.exception("listening.unwritten")
            finally:
                self._unwritten -= 1
                self.wake()

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
        """Make it a row; as often as it takes while the database is away."""
        spoken = _spoken(track, cut)
        for attempt in itertools.count():
            try:
                await database_sync_to_async(_record)(spoken)
                return
            except Exception as e:
                # A locked or absent database comes back, and those behind us wait for
                # it anyway. A row it will never take must not keep them waiting.
                log.exception("utterance.not_recorded", session=track.session_id)
                is_away = isinstance(e, AWAY)
                if not is_away and attempt >= REFUSED_AFTER:
                    log.error("utterance.lost", session=track.session_id)
                    return
                await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])

    async def _tell_if_degraded(self, session_id: int) -> None:
        loop = asyncio.get_running_loop()
        chosen = await loop.run_in_executor(self._thread, self._choose)
        if chosen.degraded:
            data = {"code": "voice_detection", "message": chosen.message}
            await database_sync_to_async(events.append)(session_id, "notice", data)

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


def _new_ear() -> Ear:
    endpointing = Endpointing(
        threshold=settings.VAD_THRESHOLD,
        release=settings.VAD_RELEASE,
        silence_ms=settings.VAD_SILENCE_MS,
        soft_max_s=settings.VAD_SOFT_MAX_S,
    )
    return Ear(endpointing, preroll_ms=settings.VAD_PREROLL_MS)


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
    if unrecorded.is_forgotten(spoken.session_id):
        return
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
    if loop not in _rooms:
        _rooms[loop] = Room(vad.state)
    return _rooms[loop].open(track)
