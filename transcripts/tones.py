"""Tones of voice: pieces of sound to a classifier beside us, its labels into the log.

A sink like any other, on the event loop of the capture. A classifier that is slow or
dead costs its own labels, never sound: the queue is short, and the oldest piece goes.
"""

from __future__ import annotations

import asyncio
from collections import deque

import structlog
from channels.db import database_sync_to_async
from django.conf import settings

from sessions import events
from sessions.audio.frames import Frame, Placed
from sessions.background import cancel_and_wait, spawn
from sessions.capture.sinks import Sink, Track
from transcripts.classifiers import Classifier, MockClassifier
from transcripts.pieces import Piece, Slicer, Tone

log = structlog.get_logger(__name__)

QUEUE_PIECES = 8
# How long the end of a track waits for labels still on their way.
CLOSE_S = 3.0


def listen(track: Track) -> Sink | None:
    """A sink for this track, or None where no classifier is set: nothing is sent.

    The synthetic one goes first: who asks for it wants no sound to leave.
    """
    if settings.TONE_CLASSIFIER == "mock":
        return ToneSink(track, classifier=MockClassifier())
    if settings.TONE_CLASSIFIER_URL:
        # Its HTTP client takes a fifth of a second to load, in every process.
        from transcripts.httpclassifier import HttpClassifier

        url = f"{settings.TONE_CLASSIFIER_URL}/classify"
        return ToneSink(track, classifier=HttpClassifier(url, track=track))
    return None


class ToneSink:
    """One track's pieces, classified one after the other."""

    def __init__(self, track: Track, *, classifier: Classifier) -> None:
        self.dropped = 0
        self.classified = 0
        self._track = track
        self._classifier = classifier
        self._slicer = Slicer()
        self._queue: deque[Piece] = deque()
        self._news = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def arrive(self, frame: Frame) -> None:
        """Nothing: what is heard has a place."""

    def hear(self, placed: Placed) -> None:
        self._enqueue(self._slicer.add(placed))

    def flush(self) -> None:
        """Nothing: what is found is written at once."""

    def settled(self) -> None:
        """A tone that is lost with its process is not missed."""

    def conclude(self) -> None:
        """Nothing: its tones are told."""

    async def close(self) -> None:
        self._enqueue(self._slicer.flush())
        self._closing = True
        self._news.set()
        if self._task is None:
            return
        await asyncio.wait([self._task], timeout=CLOSE_S)
        await cancel_and_wait(self._task)
        log.info(
            "tones.closed",
            session=self._track.session_id,
            participant=self._track.participant_id,
            classified=self.classified,
            dropped=self.dropped + len(self._queue),
        )

    def _enqueue(self, pieces: list[Piece]) -> None:
        if not pieces:
            return
        for piece in pieces:
            if len(self._queue) == QUEUE_PIECES:
                self._queue.popleft()
                self.dropped += 1
            self._queue.append(piece)
        self._news.set()
        if self._task is None:
            self._task = spawn(self._run(), name="tones")

    async def _run(self) -> None:
        try:
            while self._queue or not self._closing:
                if not self._queue:
                    self._news.clear()
                    await self._news.wait()
                    continue
                await self._classify(self._queue.popleft())
        finally:
            await self._classifier.close()

    async def _classify(self, piece: Piece) -> None:
        tones = await self._classifier.classify(piece)
        self.classified += 1
        for tone in tones:
            if tone.confidence >= settings.TONE_MIN_CONFIDENCE:
                await self._tell(piece, tone)

    async def _tell(self, piece: Piece, tone: Tone) -> None:
        data = {
            "participant": str(self._track.participant_public_id),
            "label": tone.label,
            "confidence": round(tone.confidence, 3),
            "start_ms": piece.start_ms,
            "end_ms": piece.end_ms,
            "mock": tone.mock,
        }
        try:
            append = database_sync_to_async(events.append)
            await append(self._track.session_id, "tone", data)
        except Exception:
            # A label that cannot be kept must not end those that come after it.
            log.exception("tone.not_kept", session=self._track.session_id)
