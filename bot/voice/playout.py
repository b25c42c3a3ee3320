"""What we say on one line: whole frames of 20 ms, one at a time. Pure.

Says when each piece begins and ends by counting frames, so that its place in the
recording is exact.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

FRAME_MS = 20


@dataclass(slots=True, eq=False)
class Piece:
    """Something that is said: 16-bit little-endian mono PCM at the line's rate.

    `begun` and `ended` are samples of the line's whole output, once it was sent so far;
    `cut` says that it was not sent to its end.
    """

    pcm: bytes
    text: str = ""
    begun: int | None = None
    ended: int | None = None
    cut: bool = False


@dataclass(slots=True)
class Playout:
    """The queue of one line at `rate` samples a second."""

    rate: int
    sent: int = 0
    """Samples sent or skipped so far, silence included."""
    _queue: deque[Piece] = field(default_factory=deque)
    _at: int = 0  # bytes of the first piece that were sent

    @property
    def frame_bytes(self) -> int:
        return self.rate * FRAME_MS // 1000 * 2

    @property
    def is_playing(self) -> bool:
        return bool(self._queue)

    @property
    def remaining_s(self) -> float:
        """How much sound is still to be sent, in seconds."""
        waiting = sum(len(piece.pcm) for piece in self._queue) - self._at
        return waiting / 2 / self.rate

    def put(self, piece: Piece) -> None:
        """Say it behind what is being said. An odd last byte is no sample: dropped."""
        piece.pcm = piece.pcm[: len(piece.pcm) & ~1]
        if piece.pcm:
            self._queue.append(piece)

    def frame(self, most: int | None = None) -> bytes | None:
        """The next 20 ms; None where nothing is said. A piece's last frame is filled
        up with what follows it, or with silence; `most`: bytes of what is said that it
        may hold."""
        begun = self.sent
        self.sent += self.frame_bytes // 2
        left = self.frame_bytes if most is None else most
        if not self._queue or not left:
            return None
        parts, missing = [], self.frame_bytes
        while left and self._queue:
            piece = self._queue[0]
            if piece.begun is None:
                piece.begun = begun + (self.frame_bytes - missing) // 2
            part = piece.pcm[self._at : self._at + left]
            parts.append(part)
            missing -= len(part)
            left -= len(part)
            self._at += len(part)
            if self._at == len(piece.pcm):
                piece.ended = self.sent - missing // 2
                self._queue.popleft()
                self._at = 0
        return b"".join(parts) + bytes(missing)

    def ahead(self, skip: int, most: int) -> bytes:
        """What will be said, without the first `skip` bytes of it."""
        parts, at = [], self._at + skip
        for piece in self._queue:
            if most <= 0:
                break
            part = piece.pcm[at : at + most]
            at = max(at - len(piece.pcm), 0)
            most -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, frames: int) -> None:
        """So many frames could not be sent in time: what is said is late by them."""
        self.sent += frames * self.frame_bytes // 2

    def clear(self) -> list[Piece]:
        """Stop at once: what was not, or not wholly, said."""
        unsaid, self._at = list(self._queue), 0
        self._queue.clear()
        for piece in unsaid:
            piece.cut = True
            if piece.begun is not None:
                piece.ended = self.sent
        return unsaid
