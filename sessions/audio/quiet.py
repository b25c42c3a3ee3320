"""QuietSteps: drift taken out of a talkspurt in small steps, where nobody hears it.

Decides when and by how much; moving the origin is the RtpClock's work. All times are
samples at 48 kHz. Pure.
"""

from __future__ import annotations

from sessions.audio.drift import QUIET_RMS, RunningMinimum, samples

DRIFTED = samples(4)
"""Drift above this is corrected where it is quiet."""
FORCED = samples(12)
"""Drift above this does not wait for real quiet, only for the quietest there is..."""
ENDLESS = samples(60_000)
"""...in a spurt longer than this. Any other will end, and the next begins in place."""
STEP = samples(3)
EVERY = samples(1000)
"""One step at most in this time."""
NOISE = samples(60_000)
"""The room is as loud as the quietest packet of so much sound, silence between spurts
not counted: in ten seconds of talk without a pause, that would be a consonant."""
RUN = 3
"""Packets that must be quiet in a row: the closure of a consonant is shorter."""


class QuietSteps:
    """The steps of one stream. `begin` each spurt, then ask for every packet."""

    def __init__(self) -> None:
        self._noise = RunningMinimum(NOISE)
        self._heard = 0
        self._run = 0
        self._began = 0
        self._stepped = 0

    def begin(self, at: int) -> None:
        """A talkspurt begins: its origin stands where it should."""
        self._run, self._began = 0, at

    def due(self, error: float, *, at: int, rms: float, length: int) -> int:
        """How far to move the origin before this packet of `length` samples: later if
        positive, earlier (so much of it is dropped) if negative. `error`: how far the
        origin should move in all."""
        self._heard += length
        self._noise.add(self._heard, rms)
        noise = self._noise.value or 0.0
        quiet = rms <= QUIET_RMS and rms <= 2 * noise + 1
        self._run = self._run + 1 if quiet else 0
        if at - self._stepped < EVERY or abs(error) < DRIFTED:
            return 0
        endless = at - self._began > ENDLESS and abs(error) > FORCED
        if self._run < RUN and not (endless and rms <= 1.1 * noise):
            return 0
        self._stepped = at
        step = min(STEP, length // 2)
        return max(min(round(error), step), -step)
