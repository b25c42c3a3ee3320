"""What we say in a call: out on its line, onto a track, into the text.

The line is a telephone's, or a Discord call's. It paces; here is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import structlog

from bot.voice.playout import Piece
from sessions.audio.frames import TIMELINE_RATE

if TYPE_CHECKING:
    from bot.voice.playout import Playout
    from bot.voice.tts.speaker import Pcm
    from sessions.capture.capture import Capture

log = structlog.get_logger(__name__)


class Line(Protocol):
    """Where frames go out at their pace. Tells a `Mouth` of each, and of each piece."""

    @property
    def playout(self) -> Playout: ...
    @property
    def rate(self) -> int:
        """Samples a second."""

    def say(self, piece: Piece) -> None:
        """Say it behind what is being said."""

    def hush(self) -> None:
        """Stop saying anything, at once."""


class Block:
    """One text on its way to be heard, in as many pieces as its voice makes."""

    def __init__(self, mouth: LineMouth, text: str, *, is_filler: bool) -> None:
        self._mouth = mouth
        self.text = text
        self.is_filler = is_filler
        self.begun: int | None = None
        self.ended: int | None = None
        self.is_cut = False
        self._open = 0  # pieces that are not said yet
        self._is_finished = False

    def put(self, pcm: Pcm) -> None:
        if not self.is_cut:
            self._open += 1
            self._mouth.put(Piece(pcm.tobytes()), self)

    def finish(self) -> None:
        self._is_finished = True
        self._close()

    def said(self, piece: Piece) -> None:
        self._open -= 1
        self.is_cut |= piece.cut
        if piece.begun is not None:
            self.begun = piece.begun if self.begun is None else self.begun
            self.ended = piece.ended
        self._close()

    def _close(self) -> None:
        if self._is_finished and not self._open:
            self._mouth.closed(self)


class LineMouth:
    """`turns.Mouth` on a line. `begun` and `closed` tell of blocks: the first frame of
    one is out; it was heard, or stopped."""

    def __init__(
        self,
        line: Line,
        *,
        begun: Callable[[Block], None],
        closed: Callable[[Block], None],
        open_track: Callable[[int], Capture],
    ) -> None:
        self._line = line
        self._open_track = open_track
        self._capture: Capture | None = None
        self._begun, self._closed = begun, closed
        self._blocks: dict[Piece, Block] = {}
        self._unrecorded = 0  # samples of silence since the last frame on the track
        self._zero = 0  # the sample of the line's output that the track begins with

    @property
    def rate(self) -> int:
        return self._line.rate

    @property
    def is_playing(self) -> bool:
        return self._line.playout.is_playing

    def move(self, line: Line) -> None:
        """Speak on another line from now on, and onto another track."""
        self._line, self._capture = line, None

    def begin(self, text: str, *, is_filler: bool) -> Block:
        return Block(self, text, is_filler=is_filler)

    def put(self, piece: Piece, block: Block) -> None:
        self._blocks[piece] = block
        self._line.say(piece)

    def hush(self) -> None:
        self._line.hush()

    def sent(self, frame: bytes | None, *, skipped: int) -> None:
        """A frame went out, behind so many that did not."""
        samples = self._line.playout.frame_bytes // 2
        self._unrecorded += skipped * samples
        if frame is None:
            self._unrecorded += samples
            return
        self._track(samples).offer(frame, skipped=self._unrecorded)
        self._unrecorded = 0
        piece, block = next(iter(self._blocks.items()))  # they are said in order
        if block.begun is None and piece.begun is not None:
            block.begun = piece.begun
            self._begun(block)

    def _track(self, samples: int) -> Capture:
        """The track for what goes out: opened with the first word of ours, so that who
        is never spoken to has none; and anew when the line's rate changes."""
        if self._capture is None or self._capture.rate != self._line.rate:
            self._capture = self._open_track(self._line.rate)
            self._zero, self._unrecorded = self._line.playout.sent - samples, 0
        return self._capture

    def said(self, piece: Piece) -> None:
        block = self._blocks.pop(piece)
        block.said(piece)

    def closed(self, block: Block) -> None:
        self._closed(block)

    def place(self, block: Block) -> tuple[int, int] | None:
        """Where the block stands on the timeline; None if nothing of it was heard."""
        capture = self._capture
        if capture is None or capture.origin is None:
            return None
        if block.begun is None or block.ended is None:
            return None
        scale = TIMELINE_RATE // self._line.rate
        return (
            capture.origin + (block.begun - self._zero) * scale,
            capture.origin + (block.ended - self._zero) * scale,
        )
