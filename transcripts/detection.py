"""Detection: the windows that are due, of all tracks, in one call; and what they say.

Runs on one thread, which owns the ears. A bad track costs itself, never the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np
import structlog
from django.conf import settings

from sessions import measures
from transcripts.ear import Ear
from transcripts.hearing import Found, Hearing
from transcripts.speech import Endpointing
from transcripts.vad import BATCH, Floats, Vad, VadChoice

log = structlog.get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

STEP_BUDGET_S = 0.05
"""A backlog is worked off in steps of this length, all tracks in turn."""
STALLED_S = 0.7
"""An utterance whose sound stops coming is ended this much after the usual silence."""
PARTIAL_EVERY_S = 1.0
AHEAD_S = 5.0
"""An ear is given no more than this ahead of what is judged: the rest waits for it."""
FAULTS_LOGGED = 5
"""Of one track: what fails at every frame would fill the log."""


class Detection:
    """Takes steps. `choose` loads the detector, here, because that takes its time;
    `asks`: whether provisional text is asked for just now."""

    def __init__(
        self,
        choose: Callable[[], VadChoice],
        *,
        asks: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._choose = choose
        self._asks = asks
        self._clock = clock
        self._stalled_s = settings.VAD_SILENCE_MS / 1000 + STALLED_S

    def step(self, hearings: list[Hearing], now: float) -> tuple[list[Found], bool]:
        """Detect what is due; what was found, and whether there is more to do."""
        detector = self._choose().vad
        found: list[Found] = []
        behind = {
            hearing
            for hearing in hearings
            if self._spared(hearing, self._take_in, hearing, now)
        }
        began = self._clock()
        deadline = began + STEP_BUDGET_S
        more = hearings
        while more and self._clock() < deadline:
            more = self._round(detector, more, found)
        measures.VAD_TIME.inc(self._clock() - began)
        if more:
            return found, True
        for hearing in hearings:
            if hearing not in behind:
                found += self._spared(hearing, self._look_after, hearing, now) or ()
        return found, bool(behind)

    def _spared(
        self,
        hearing: Hearing,
        work: Callable[P, T],
        *args: P.args,
        **how: P.kwargs,
    ) -> T | None:
        """Work on one track, whose fault costs it what was open and the others nothing:
        then None."""
        try:
            return work(*args, **how)
        except Exception:
            # Whatever it is: the other tracks go on.
            self._lose(hearing)
            return None

    def _lose(self, hearing: Hearing) -> None:
        hearing.faults += 1
        if hearing.faults <= FAULTS_LOGGED:
            log.exception("track.failed", **hearing.track.ids)
        hearing.ear = new_ear()
        if hearing.ended:
            hearing.ear.end()

    def _take_in(self, hearing: Hearing, now: float) -> bool:
        """Give the ear what came; whether some of it has to wait."""
        ending = hearing.ending  # read before the inbox: what came before it counts
        hearing.rests = False
        if hearing.waits:
            hearing.heard_at = now
        while hearing.ear.waiting_s < AHEAD_S:
            if (sound := hearing.take()) is None:
                break
            hearing.ear.add(sound)
        hearing.put_by()
        if ending and not hearing.ended and not hearing.waits:
            hearing.ended = True
            hearing.ear.end()
        return hearing.ear.waiting_s >= AHEAD_S

    def _round(
        self, detector: Vad, hearings: list[Hearing], found: list[Found]
    ) -> list[Hearing]:
        """One window of each track that has one, in calls for many; the tracks that may
        have more."""
        due: list[tuple[Hearing, Floats]] = []
        for hearing in hearings:
            window = self._spared(hearing, self._next, hearing, found)
            if window is not None:
                due.append((hearing, window))
        for i in range(0, len(due), BATCH):
            self._detect(detector, due[i : i + BATCH], found)
        return [hearing for hearing, _ in due]

    def _next(self, hearing: Hearing, found: list[Found]) -> Floats | None:
        ear = hearing.ear
        while (window := ear.window()) is None and ear.jumping:
            cut = ear.settle()
            if ear.closed:
                hearing.drop()
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
            if len(due) == 1:
                self._lose(due[0][0])
                return
            for one in due:  # one of them is bad: which?
                self._detect(detector, [one], found)
            return
        for (hearing, _), chance in zip(due, chances, strict=True):
            cut = self._spared(hearing, hearing.ear.judge, float(chance))
            if cut is not None:
                found.append(Found(hearing, cut))

    def _look_after(self, hearing: Hearing, now: float) -> list[Found]:
        ear = hearing.ear
        if not ear.speaking:
            hearing.partial_at, hearing.rev = now, 0
            hearing.rests = True
            return []
        if now - hearing.heard_at > self._stalled_s:
            cut = ear.flush()
            return [Found(hearing, cut)] if cut else []
        due = now - hearing.partial_at >= PARTIAL_EVERY_S
        if due and ear.speech_s >= PARTIAL_EVERY_S and self._asks():
            hearing.partial_at = now
            hearing.rev += 1
            return [Found(hearing, partial=ear.so_far())]
        return []


def new_ear() -> Ear:
    """An ear as the settings want it."""
    endpointing = Endpointing(
        threshold=settings.VAD_THRESHOLD,
        release=settings.VAD_RELEASE,
        silence_ms=settings.VAD_SILENCE_MS,
        soft_max_s=settings.VAD_SOFT_MAX_S,
    )
    return Ear(endpointing, preroll_ms=settings.VAD_PREROLL_MS)
