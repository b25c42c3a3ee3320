"""One AudioSocket connection: bytes in, messages out, and what we say on its way out.

Knows the protocol, nothing of sessions. From the first moment to the last a frame of
ours goes out every 20 ms, silence where nothing is said: a server that only answers can
freeze Asterisk. The pacer sends them; here is what they hold.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, cast

import structlog
from django.utils import timezone

from bot.phone import protocol
from bot.phone.intake import KEY, Intake
from bot.phone.orders import UNSENT
from bot.phone.protocol import Audio, Decoder, Digit, HungUp, Identified, ProtocolError
from bot.phone.unread import Unread
from bot.voice.playout import Piece, Playout

if TYPE_CHECKING:
    from uuid import UUID

    from bot.phone.pacing import Pacing
    from bot.phone.protocol import Message

log = structlog.get_logger(__name__)

UUID_WITHIN_S = 5.0
"""Asterisk says the UUID within a millisecond; who does not in this time is no call."""
WAITING_MAX_S = 60.0
WAITING_MAX = 6000
"""Sound kept, and frames, while the call is being opened: a megabyte at 8 kHz."""
READ_BYTES = 4096
"""Read at once, a quarter of a second; then all others have their turn, unless the line
is behind its time. A hundred that flood would otherwise hold the loop up for seconds,
each with its buffer full."""
AT_ONCE = 12
"""Frames of what waited that are told before all others have their turn, too."""
AHEAD_S, AHEAD_LEAST_S = 2.0, 1.0
"""How much of what is said the pacer has, so that it goes on while we are held up."""
RATE_16K_KIND, RATE_8K_KIND = 0x12, 0x10


FIRST_SOUND = timedelta(milliseconds=200)
"""What is heard first began before the connection did: a frame, and its way here."""


class Listener(Protocol):
    """What a line tells, on the event loop."""

    def heard(self, audio: Audio, *, waited_s: float = 0.0) -> None:
        """Sound that came so many seconds ago."""

    def dialled(self, symbol: str) -> None: ...
    def hung_up(self) -> None: ...
    def sent(self, frame: bytes | None, *, skipped: int) -> None:
        """One frame of ours went out; None is silence. `skipped` before it did not."""

    def said(self, piece: Piece) -> None:
        """A piece was said, wholly or up to where it was cut."""


class Line(asyncio.BufferedProtocol):
    """A connection, from `accept` to its end."""

    def __init__(
        self,
        *,
        pacing: Pacing,
        identified: Callable[[Line, UUID], None],
        lost: Callable[[Line], None],
        allows: Callable[[str], bool],
        kind10_rate: int,
    ) -> None:
        self._pacing = pacing
        self._number: int | None = None  # by which it is paced
        self._handed = 0  # bytes that the pacer has to say
        self._missed = 0  # frames that did not go out since the last that did
        self._identified, self._lost, self._allows = identified, lost, allows
        self._decoder = Decoder(kind10_rate=kind10_rate)
        self._kind10_rate = kind10_rate
        self._transport: asyncio.Transport | None = None
        self._listener: Listener | None = None
        self._waiting: deque[tuple[Audio | Digit, float]] = deque()
        self._rest = b""
        self._waiting_s = 0.0
        self._handshake: asyncio.TimerHandle | None = None
        self._kind = RATE_8K_KIND
        self._silence = b""
        self._saying: deque[Piece] = deque()
        self.playout = Playout(kind10_rate)
        self._use(RATE_8K_KIND, kind10_rate)
        self.peer = ""
        self.began_at = timezone.now()
        self.is_lost = self.was_cut = False
        self.is_broken = False
        """It ended without anybody's farewell: a reset, a network that is gone."""
        self._is_forgotten = self._is_over = False
        self._is_paused = self._is_hushing = False
        self._buffer = bytearray(READ_BYTES)
        self._intake = Intake(now=0.0)
        self._empty = 0  # messages of the decoder that were counted
        self._unread: Unread | None = None
        self.unsent = 0
        """Frames that the other end did not take in time."""

    @property
    def rate(self) -> int:
        """Of what we send, in samples a second: that of what we hear."""
        return self.playout.rate

    # --- asyncio's ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.began_at = timezone.now() - FIRST_SOUND
        self.peer = str((transport.get_extra_info("peername") or ("",))[0])
        if not self._allows(self.peer):
            log.warning("line.refused", peer=self.peer)
            self.close()
            return
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._unread = Unread(sock.fileno())
        loop = asyncio.get_running_loop()
        self._intake = Intake(now=loop.time())
        self._handshake = loop.call_later(UUID_WITHIN_S, self._goodbye)
        self._number = self._pacing.add(self)
        self.pace()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.read(bytes(self._buffer[:nbytes]))
        now = asyncio.get_running_loop().time()
        if nbytes == READ_BYTES and not self._intake.is_behind(now):
            self._pause(0.0)

    def read(self, data: bytes) -> bool:
        """Take what came; False when it is no protocol, and the line is closed."""
        is_valid = True
        try:
            messages = self._decoder.feed(data)
        except ProtocolError as e:
            is_valid, messages = False, e.before
            log.warning("line.garbage", peer=self.peer, code=e.code)
            self.close()
        for message in messages:
            self._take(message)
        self._count_others(messages)
        return is_valid

    def connection_lost(self, exc: Exception | None) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        was_reset = self._unread is not None and self._unread.was_reset()
        self.is_broken = exc is not None or was_reset
        self._let_go()
        self._rest = self._unread.read() if self._unread is not None else b""
        self._lost(self)
        self._take_rest()

    # --- for the call ---------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
        """Tell this one from now on, and what waited."""
        self._listener = listener
        self._tell_waiting()

    def forget(self) -> None:
        """Tell nobody any more: the call goes on over another line."""
        while self._waiting and self._listener is not None:
            self._tell_oldest()
        self._waiting.clear()
        self._listener = None
        self._is_forgotten = True

    def say(self, piece: Piece) -> None:
        """Say it behind what is being said."""
        self.playout.put(piece)
        self._saying.append(piece)
        self._hand_over()

    def hush(self) -> None:
        """Stop saying anything, at once."""
        if self._handed and self._number is not None:
            self._is_hushing = True
            self._pacing.hush(self._number)
            self._is_hushing, self._handed = False, 0
        self.playout.clear()
        self._told_pieces()

    def hang_up(self) -> None:
        """The proper end: Asterisk's dialplan goes on behind it."""
        if self._transport is not None and not self._transport.is_closing():
            self._let_go(protocol.hang_up())
        self.close()

    def close(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def abort(self) -> None:
        """Away with it, sent or not."""
        if self._transport is not None:
            self._transport.abort()

    def cut(self) -> None:
        """Away with it, from another thread: the loop hangs. The call is not over;
        Asterisk may dial it again elsewhere."""
        self.was_cut = True
        if self._unread is not None:
            self._unread.cut()

    # --- the pacer's ----------------------------------------------------------------

    def pace(self) -> None:
        """Ask for our frames, silent ones until something is said."""
        if self._transport is None or self._transport.is_closing():
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None and self._number is not None:
            self._pacing.pace(self._number, sock.fileno(), self._silence)
            self._handed = 0
            self._hand_over()

    def paced(self, taken: int, *, skipped: int) -> None:
        """A frame of ours went out, or did not."""
        if taken == UNSENT:
            self.unsent += 1
            self.playout.skip(skipped + 1)
            self._missed += skipped + 1
            return
        if skipped:
            self.playout.skip(skipped)
        frame = self.playout.frame(taken)
        self._handed -= taken
        skipped, self._missed = skipped + self._missed, 0
        if self._listener is not None:
            self._listener.sent(frame, skipped=skipped)
        if self._saying and self._saying[0].ended is not None:
            self._told_pieces()
        if taken:
            self._hand_over()

    def _hand_over(self) -> None:
        """Let the pacer have what is said next."""
        second = 2 * self.playout.rate
        if self._number is None or self._is_hushing:
            return
        if self._handed < AHEAD_LEAST_S * second:
            most = round(AHEAD_S * second) - self._handed
            if pcm := self.playout.ahead(self._handed, most):
                self._handed += len(pcm)
                self._pacing.say(self._number, pcm)

    def _let_go(self, last: bytes = b"") -> None:
        """No frame from now on, but for these last bytes."""
        if self._number is not None:
            number, self._number = self._number, None
            self._pacing.remove(number, last=last)

    def _told_pieces(self) -> None:
        while self._saying:
            piece = self._saying[0]
            if piece.ended is None and not piece.cut:
                return
            self._saying.popleft()
            if self._listener is not None:
                self._listener.said(piece)

    def _take(self, message: object) -> None:
        match message:
            case Audio():
                self._hear(message)
            case Identified():
                self._begin(message.uuid)
            case Digit():
                self._tell(message)
            case HungUp():
                self.close()
            case _:
                log.debug("line.ignored", peer=self.peer)

    def _hear(self, audio: Audio) -> None:
        """Take sound, and read no further while it comes much faster than time."""
        now = asyncio.get_running_loop().time()
        late_s = self._pacing.late_s
        pause_s = self._intake.heard(audio.duration_s, now=now, late_s=late_s)
        if pause_s:
            self._pause(pause_s)
        self._tell(audio)

    def _count_others(self, messages: list[Message]) -> None:
        """Who sends much that is no sound is read no further for a while."""
        others: float = self._decoder.empty - self._empty
        self._empty = self._decoder.empty
        for message in messages:
            if not isinstance(message, Audio):
                others += KEY if isinstance(message, Digit) else 1
        if others:
            now = asyncio.get_running_loop().time()
            if pause_s := self._intake.other(others, now=now):
                self._pause(pause_s)

    def _take_rest(self) -> None:
        """What was unread when the line went, piece by piece, as all is read."""
        loop = asyncio.get_running_loop()
        is_wanted = not self._is_forgotten and self._intake.has_more_to_say(loop.time())
        if self._rest and is_wanted:
            piece, self._rest = self._rest[:READ_BYTES], self._rest[READ_BYTES:]
            if not self.read(piece):
                self._rest = b""
            loop.call_soon(self._take_rest)
        else:
            self._rest = b""
            if self._handshake is not None:
                self._handshake.cancel()
            self._tell_waiting()

    def _tell_waiting(self) -> None:
        """What waited, piece by piece, and in the end that the line is gone."""
        if self._listener is None:
            return
        for _ in range(min(len(self._waiting), AT_ONCE)):
            self._tell_oldest()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._tell_waiting)
        elif self.is_lost and not self._rest and not self._is_over:
            self._is_over = True
            self._listener.hung_up()

    def _pause(self, seconds: float) -> None:
        """Read no further for so long, and until all others were read."""
        if self._is_paused or self._transport is None or self._transport.is_closing():
            return
        self._is_paused = True
        self._transport.pause_reading()
        asyncio.get_running_loop().call_later(seconds, self._read_on)

    def _read_on(self) -> None:
        self._is_paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _begin(self, uuid: UUID) -> None:
        if self._handshake is not None:
            self._handshake.cancel()
            self._handshake = None
            self._identified(self, uuid)

    def _tell(self, message: Audio | Digit) -> None:
        if isinstance(message, Audio) and message.rate != self.playout.rate:
            self._answer_at(message.rate)
        if self._is_forgotten:
            return
        if self._listener is None or self._waiting:
            self._keep(message)
        else:
            self._pass_on(message)

    def _keep(self, message: Audio | Digit) -> None:
        if self._waiting_s <= WAITING_MAX_S and len(self._waiting) < WAITING_MAX:
            self._waiting.append((message, time.monotonic()))
            self._waiting_s += _seconds(message)

    def _tell_oldest(self) -> None:
        message, came_at = self._waiting.popleft()
        self._waiting_s -= _seconds(message)
        self._pass_on(message, waited_s=time.monotonic() - came_at)

    def _pass_on(self, message: Audio | Digit, *, waited_s: float = 0.0) -> None:
        assert self._listener is not None
        if isinstance(message, Audio):
            self._listener.heard(message, waited_s=waited_s)
        else:
            self._listener.dialled(message.symbol)

    def _answer_at(self, rate: int) -> None:
        """Speak as we are spoken to, unless something is being said already: only the
        kinds of 8 and 16 kHz fit into one segment of any network."""
        wideband = rate >= 16_000
        if not self.playout.is_playing:
            if rate == self._kind10_rate or not wideband:
                self._use(RATE_8K_KIND, self._kind10_rate)
            else:
                self._use(RATE_16K_KIND, 16_000)

    def _use(self, kind: int, rate: int) -> None:
        if rate != self.playout.rate or not self._silence:
            sent_s = self.playout.sent / self.playout.rate
            self.playout = Playout(rate, sent=round(sent_s * rate))
        self._kind = kind
        self._silence = protocol.audio(bytes(self.playout.frame_bytes), kind)
        if self._number is not None:
            self._pacing.use(self._number, self._silence)

    def _goodbye(self) -> None:
        """No UUID came: a health check, or a stranger."""
        self._handshake = None
        log.info("line.no_uuid", peer=self.peer)
        self.close()


def _seconds(message: Audio | Digit) -> float:
    return message.duration_s if isinstance(message, Audio) else 0.0
