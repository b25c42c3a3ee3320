"""A capture of packets: one speaker's RTP stream, as Discord sends it, to the sinks.

The packets are put in order, made sound, and placed by their sender's clock. Runs on
the event loop, as every capture does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import structlog

from sessions import measures
from sessions.audio.frames import TIMELINE_RATE, Frame, Placed
from sessions.audio.opus import OpusDecoder, OpusError
from sessions.audio.reorder import Counts, Ordered, ReorderBuffer
from sessions.audio.rtpclock import RtpClock
from sessions.audio.stamped import Placement, Stamped
from sessions.audio.unwrap import RtpPacket
from sessions.capture.audience import Audience

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sessions.capture.sinks import Sink, Track
    from sessions.participants import Losses

log = structlog.get_logger(__name__)

RATE = TIMELINE_RATE
RMS_OF = 480


class PacketCapture:
    """Opus packets of one speaker, from the first to the last."""

    origin = None
    """A stream that broke begins anew: RTP's numbers are random."""
    secured = 0

    def __init__(
        self,
        track: Track,
        *,
        zero_s: float,
        sinks: list[Sink],
        clock: Callable[[], float] = time.monotonic,
        read_to: Callable[[], float] | None = None,
    ) -> None:
        """`zero_s`: what the clock said at the session's time zero. `read_to`: what
        came before this time of the clock has been offered. Where packets wait for
        their turn it lies back; else it is now."""
        self.track = track
        self.heard_at = clock()
        self.received = self.damaged = 0
        """Samples at 48 kHz; packets that were no Opus."""
        self.halted = False
        self._clock = clock
        self._read_to = read_to or clock
        self._zero = zero_s
        self._audience = Audience(track, sinks)
        self._order, self._timeline = ReorderBuffer(), RtpClock()
        self._decoder = OpusDecoder()
        self._sound: dict[int, NDArray[np.int16]] = {}
        self._number = self._told_late = self._taken_dropped = 0

    @property
    def counts(self) -> Counts:
        """What became of the packets."""
        return self._order.counts

    @property
    def ahead_s(self) -> float:
        """RTP is paced by its sender: nothing is sent ahead of time."""
        return 0.0

    def offer(
        self, opus: bytes, *, ssrc: int, sequence: int, timestamp: int, came_at: float
    ) -> None:
        """Take one packet; `came_at` is when it was read, on this capture's clock."""
        if self.halted:
            return
        self.heard_at = self._clock()
        self._audience.came(self.heard_at - came_at)
        came_s = came_at - self._zero
        packet = RtpPacket(sequence, timestamp, came_s, opus, ssrc)
        for ordered in self._order.push(packet):
            self._take(ordered)

    def tick(self) -> None:
        """Let go of what was held back; called a few times a second."""
        if not self.halted:
            now_s = self._read_to() - self._zero
            for ordered in self._order.tick(now_s):
                self._take(ordered)
            self._hear(self._timeline.tick(now_s))
            self._tell_late()

    def halt(self) -> None:
        """Place the rest; nothing is taken from now on."""
        if not self.halted:
            self.halted = True
            for ordered in self._order.flush():
                self._take(ordered)
            self._hear(self._timeline.flush())

    def take_losses(self) -> Losses:
        """Of what was sent, what is not there: since they were taken last."""
        dropped = self.counts.late + self.counts.garbage + self.damaged
        taken, self._taken_dropped = dropped - self._taken_dropped, dropped
        return replace(self._audience.take_losses(), dropped=taken)

    async def close(self) -> None:
        """Halt, and close every sink. Whoever waits may lose patience: what was heard
        is written down all the same."""
        self.halt()
        self._tell_late()
        if self.damaged or self.counts.garbage:
            log.warning(
                "capture.unusable",
                **self.track.ids,
                damaged=self.damaged,
                garbage=self.counts.garbage,
            )
        await self._audience.close()

    def _tell_late(self) -> None:
        if late := self.counts.late - self._told_late:
            measures.LATE.labels(self.track.source).inc(late)
            self._told_late += late

    def _take(self, packet: Ordered) -> None:
        try:
            pcm = self._decoder.decode(packet.payload)
        except OpusError:
            self.damaged += 1
            return
        self.received += len(pcm)
        self._audience.arrive(Frame(pcm, RATE, packet.arrival_s))
        number, self._number = self._number, self._number + 1
        self._sound[number] = pcm
        stamped = Stamped(
            number,
            packet.timestamp,
            len(pcm),
            packet.arrival_s,
            _rms(pcm),
            lost=packet.lost,
            restarted=packet.restarted,
        )
        self._hear(self._timeline.place(stamped))

    def _hear(self, placements: list[Placement]) -> None:
        self._audience.hear(self._placed(found) for found in placements)

    def _placed(self, found: Placement) -> Placed:
        pcm = self._sound.pop(found.packet.number)
        missing = found.packet.lost * found.packet.samples
        return Placed(found.position, pcm[found.dropped :], RATE, missing)


def _rms(pcm: NDArray[np.int16]) -> float:
    """By every second sample of a packet of 20 ms: of 500 and more, numpy lets go of
    the interpreter, and the loop waits for it behind every other thread."""
    loud = pcm[:: max(len(pcm) // RMS_OF, 1)].astype(np.float32)
    return float(np.sqrt(np.add.reduce(loud * loud) / len(loud)))
