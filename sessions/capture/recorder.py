"""The recorder: the sink of `CAPTURE_SINKS` that keeps a track.

On the event loop it only writes the journal; encoding and rotation happen at the desk.
If the encoder or the disk fails, the journal goes on, and the chunks are made from it
at the end. Speech recognition never comes near it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from django.utils import timezone

from sessions import recordings, spool
from sessions.audio.frames import Frame, Placed
from sessions.audio.journal import Head
from sessions.background import spawn
from sessions.capture.desk import desk
from sessions.capture.diary import Diary, conclude
from sessions.capture.health import Health, Trouble
from sessions.capture.sinks import Track
from sessions.capture.tape import Sealed, Tape
from sessions.spool import Folder

log = structlog.get_logger(__name__)

BEHIND_MAX_S = 60.0
"""How long sound may wait to be encoded: a machine with more to encode than it can
leaves the chunks to the end, and goes on with the journals."""


def record(track: Track) -> Recorder | None:
    """The sink factory: records a track unless its session keeps nothing."""
    if not track.recorded or track.started_at is None:
        return None
    opened_at = timezone.now()
    folder = spool.new(
        session=track.session_public_id,
        participant=track.participant_public_id,
        opened_at=opened_at,
    )
    head = Head(
        session=str(track.session_public_id),
        participant=str(track.participant_public_id),
        session_pk=track.session_id,
        participant_pk=track.participant_id,
        rate=track.rate,
        started_at=track.started_at.isoformat(),
        opened_at=opened_at.isoformat(),
    )
    recorder = Recorder(track, folder, Diary(folder, head))
    desk.put(recorder)
    return recorder


class Recorder:
    """One connection's recording, while it goes on."""

    def __init__(
        self,
        track: Track,
        folder: Folder,
        diary: Diary,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.track = track
        self._folder = folder
        self._diary = diary
        self._tape: Tape | None = Tape(folder, chunk_s=settings.RECORDING_CHUNK_S)
        self._unplaced: deque[tuple[int, int]] = deque()  # number, samples
        self._inbox: deque[Placed] = deque()
        self._end = 0
        self._clock = clock
        self._encoded_at = clock()  # all that had come by then
        self._closing = self._is_flushing = False
        self._health = Health(track.session_id)
        self._loop = asyncio.get_running_loop()
        self._written: asyncio.Future[None] = self._loop.create_future()

    @property
    def ids(self) -> dict[str, int]:
        return self.track.ids

    def arrive(self, frame: Frame) -> None:
        number = self._diary.sound(frame)
        self._flush_soon()
        if len(frame.pcm):
            self._unplaced.append((number, len(frame.pcm)))

    def hear(self, placed: Placed) -> None:
        number, samples = self._unplaced.popleft()
        dropped = samples - len(placed.pcm)
        self._diary.placed(number, placed.position, dropped=dropped)
        self._flush_soon()
        self._end = placed.end
        self._inbox.append(placed)

    def flush(self) -> None:
        self._is_flushing = False
        self._diary.flush()

    def settled(self) -> int | None:
        self.flush()
        return 0 if self._diary.is_behind else self._end

    async def close(self) -> None:
        """The connection has ended: its last chunk is sealed and its journal safe."""
        self.flush()
        self._closing = True
        desk.wake()
        await self._written
        await database_sync_to_async(recordings.ring)(self.track.session_id)

    def conclude(self) -> None:
        conclude(self._folder)

    def _flush_soon(self) -> None:
        """At the end of this round of the loop."""
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self.flush)

    def work(self) -> bool:
        """At the desk: encode what came; seal what is whole."""
        closing = self._closing  # before the inbox is looked at: nothing comes after
        self._diary.retry()
        sealed = self._encode()
        self._health.is_now(self._trouble())
        if closing and not self._diary.is_behind:
            self._tell(sealed + self._finish(), is_last=True)
            return False
        if sealed:
            self._tell(sealed, is_last=False)
        return True

    def _trouble(self) -> Trouble:
        if self._diary.is_behind:
            return "disk"
        return "later" if self._tape is None else ""

    @property
    def is_unsynced(self) -> bool:
        return self._diary.is_unsynced

    def sync(self) -> None:
        self._diary.sync()

    def _encode(self) -> list[Sealed]:
        sealed: list[Sealed] = []
        now = self._clock()
        if self._inbox and self._tape and now - self._encoded_at > BEHIND_MAX_S:
            self._give_up_tape(why="behind")
        self._encoded_at = now
        try:
            while self._inbox:
                placed = self._inbox.popleft()
                if self._tape is not None:
                    sealed += self._tape.put(placed)
        except Exception:
            # A full disk, a fault in the encoder: the journal has it, and whoever
            # makes the fragment makes the chunks from there.
            log.exception("recording.tape")
            self._give_up_tape(why="fault")
        return sealed

    def _finish(self) -> list[Sealed]:
        sealed: list[Sealed] = []
        try:
            sealed = self._tape.finish() if self._tape is not None else []
        except Exception:
            # As above.
            log.exception("recording.tape")
            self._give_up_tape(why="fault")
        self._diary.close()
        return sealed

    def _give_up_tape(self, *, why: str) -> None:
        log.warning("recording.chunks_given_up", why=why)
        if self._tape is not None:
            self._tape.close()
        self._tape = None

    def _tell(self, sealed: list[Sealed], *, is_last: bool) -> None:
        """On the event loop: rows for what was sealed, then whoever waits goes on."""

        def note() -> None:
            noting = self._note(sealed, is_last=is_last)
            spawn(noting, name="recording.sealed", **self.ids)

        self._loop.call_soon_threadsafe(note)

    async def _note(self, sealed: list[Sealed], *, is_last: bool) -> None:
        try:
            for chunk in sealed:
                await database_sync_to_async(recordings.sealed)(self._whole(chunk))
        except Exception:
            # The row comes later, from what lies in the spool.
            log.warning("recording.not_noted", exc_info=True)
        finally:
            if is_last and not self._written.done():
                self._written.set_result(None)

    def _whole(self, chunk: Sealed) -> recordings.Chunk:
        return recordings.Chunk(
            session_id=self.track.session_id,
            participant_id=self.track.participant_id,
            connection=self._folder.name,
            first_frame=chunk.first_frame,
            frames=chunk.frames,
            path=chunk.path,
            metered=chunk.metered,
        )
