"""The audience of a track: all sinks that listen to it, each whatever the others do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import structlog

from sessions.background import spawn
from sessions.capture.tally import Tally

if TYPE_CHECKING:
    from sessions.audio.frames import Frame, Placed
    from sessions.capture.sinks import Sink, Track
    from sessions.participants import Losses

log = structlog.get_logger(__name__)


class Audience:
    """Belongs to one capture and its event loop."""

    def __init__(self, track: Track, sinks: list[Sink]) -> None:
        self._track = track
        self._sinks = sinks
        self._closing: asyncio.Task[None] | None = None
        self._is_well = True
        self._tally = Tally(track.source)

    def came(self, waited_s: float) -> None:
        """Something is taken in that came so long ago."""
        self._tally.came(waited_s)

    def arrive(self, frame: Frame) -> None:
        self._tally.arrived(frame)
        self._each("arrive", frame)

    def hear(self, sound: Iterable[Placed]) -> None:
        for placed in sound:
            self._tally.placed(placed)
            self._each("hear", placed)

    def flush(self) -> None:
        """Have what came written down; else it is, at the end of the loop's round."""
        self._each("flush")

    def settled(self) -> int | None:
        """The position before which everything is safe with every one of them; None
        if none would miss anything."""
        settled = [at for sink in self._sinks if (at := sink.settled()) is not None]
        return min(settled) if settled else None

    def take_losses(self) -> Losses:
        """The holes in the track since they were taken last."""
        return self._tally.take_losses()

    async def close(self) -> None:
        """Close every one, once. Whoever waits may lose patience: what was heard is
        written down all the same."""
        if self._closing is None:
            closing = self._close_all()
            self._closing = spawn(closing, name="capture.close", **self._track.ids)
        await asyncio.shield(self._closing)

    async def _close_all(self) -> None:
        # At once: nobody's last words wait for a disk that another waits for.
        await asyncio.gather(*map(self._close_one, self._sinks))
        if self._is_well:
            self._each("conclude")
        self._tally.close()
        log.info("capture.closed", received_ms=round(self._tally.arrived_s * 1000))

    async def _close_one(self, sink: Sink) -> None:
        try:
            await sink.close()
        except Exception:
            # One listener's failure must not cost another its last words.
            log.exception("sink.close_failed")
            self._is_well = False

    def _each(
        self,
        what: Literal["arrive", "hear", "flush", "conclude"],
        *sound: Frame | Placed,
    ) -> None:
        for sink in self._sinks:
            try:
                getattr(sink, what)(*sound)
            except Exception:
                # A listener that fails loses itself, never the others' sound.
                log.exception("sink.failed", **self._track.ids)
                self._is_well = False
