"""Settings of a web process whose disk is slow: a track takes a moment to settle."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voiceproject.settings import *  # noqa: F403 (settings, all of them)

if TYPE_CHECKING:
    from sessions.audio.frames import Frame, Placed
    from sessions.capture.sinks import Track

CAPTURE_SINKS = ["slow_settling.listen"]
SETTLES_S = 1.5
"""Within the time that a web process has."""


class Slow:
    """A sink that keeps nothing, and takes its time for it."""

    def arrive(self, frame: Frame) -> None: ...
    def hear(self, placed: Placed) -> None: ...
    def flush(self) -> None: ...
    def settled(self) -> int | None:
        return None

    async def close(self) -> None:
        await asyncio.sleep(SETTLES_S)

    def conclude(self) -> None: ...


def listen(track: Track) -> Slow:
    return Slow()
