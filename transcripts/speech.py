"""Endpointing: from speech probabilities to utterances. Pure: counts windows, no clock.

An utterance starts with the first window above the threshold and ends after
`silence_ms` below the release; a monologue is cut at its longest pause.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW_MS = 32
"""One window of 512 samples at 16 kHz."""
MIN_SPEECH_MS = 128
"""Shorter than this is a click; of 250 ms an espeak "no" is left out already."""
PAUSE_MS = 96
"""A monologue is cut only where it pauses at least this long, if it ever does."""


@dataclass(frozen=True, slots=True)
class Endpointing:
    """The settings of an Endpointer."""

    threshold: float = 0.5
    release: float = 0.35
    silence_ms: int = 800
    soft_max_s: float = 15.0

    @property
    def silence_windows(self) -> int:
        return -(-self.silence_ms // WINDOW_MS)

    @property
    def soft_max_windows(self) -> int:
        return round(self.soft_max_s * 1000 / WINDOW_MS)

    @property
    def hard_max_windows(self) -> int:
        """Whisper hears 30 s at once: at 28 s, or twice the soft maximum, it is cut."""
        return round(min(28.0, 2 * self.soft_max_s) * 1000 / WINDOW_MS)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Speech from window `start` up to window `end` (counted from the track's first).

    `cut`: the speaker goes on, the next stretch begins where this one ends.
    """

    start: int
    end: int
    cut: bool = False


class Endpointer:
    """One track's endpointing. `start` and `end` say what is being spoken now."""

    def __init__(self, settings: Endpointing) -> None:
        self._settings = settings
        self._at = 0
        self._voiced = 0
        self._pause: tuple[int, int] | None = None  # the longest since start: from, to
        self.start: int | None = None
        self.end = 0  # behind the last voiced window

    def push(self, probability: float) -> Stretch | None:
        """Take the next window; the utterance it ends, if it ends one."""
        at, self._at = self._at, self._at + 1
        if self.start is None:
            if probability >= self._settings.threshold:
                self._begin(at)
            return None
        if probability >= self._settings.release:
            self._voice(at)
        elif at + 1 - self.end >= self._settings.silence_windows:
            return self._finish()
        return self._cut_if_long(at)

    def flush(self) -> Stretch | None:
        """The track has ended or fallen silent: whatever is open ends now."""
        return self._finish() if self.start is not None else None

    def skip(self, windows: int) -> None:
        """Time passed without sound, after a flush."""
        self._at += windows

    def _begin(self, at: int) -> None:
        self.start, self.end = at, at + 1
        self._voiced, self._pause = 1, None

    def _voice(self, at: int) -> None:
        longest = self._pause[1] - self._pause[0] if self._pause else 0
        if at - self.end > longest:
            self._pause = (self.end, at)
        self.end = at + 1
        self._voiced += 1

    def _finish(self) -> Stretch | None:
        start, self.start = self.start, None
        assert start is not None
        if self._voiced * WINDOW_MS < MIN_SPEECH_MS:
            return None
        return Stretch(start, self.end)

    def _cut_if_long(self, at: int) -> Stretch | None:
        assert self.start is not None
        length = at + 1 - self.start
        if length < self._settings.soft_max_windows:
            return None
        pause = self._pause
        if pause and (pause[1] - pause[0]) * WINDOW_MS >= PAUSE_MS:
            return self._cut(pause[0], pause[1])
        if length < self._settings.hard_max_windows:
            return None
        return self._cut(at + 1, at + 1)

    def _cut(self, end: int, resume: int) -> Stretch:
        assert self.start is not None
        stretch = Stretch(self.start, end, cut=True)
        self.start, self._pause = resume, None
        self.end = max(self.end, resume)
        self._voiced = self.end - resume
        return stretch
