"""A caller to try the phone with: the other end of AudioSocket, as Asterisk is.

Sends the UUID, then a frame of sound every 20 ms by absolute deadlines, and keeps what
comes back with the moment it came. It judges as Asterisk does: what would end a real
call ends this one, and is told in the summary. Knows nothing of our server.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from bot.phone.protocol import DIGIT, HANG_UP, IDENTITY, KIND10, RATES, Audio

DIGIT_S = 0.08
"""From the key's way down to the digit; Asterisk sends no sound meanwhile."""
GAP_S = 0.06
"""A longer wait for the next frame is heard: a telephone holds about two."""
SOUND_PEAK = 328
"""One hundredth of full scale: what stays below is silence."""
FRAME_MS = 20


class Heard(NamedTuple):
    """A frame that came back, and when: seconds since the UUID was sent."""

    arrival_s: float
    audio: Audio


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of a call, from the caller's side."""

    seconds: float
    frames_sent: int
    frames_withheld: int
    """While a key was down."""
    frames_received: int
    sound_received_s: float
    gaps: int
    longest_gap_ms: float
    first_frame_ms: float | None
    """After the UUID; None: nothing came."""
    first_sound_ms: float | None
    """The same of the first frame that is not silence."""
    split_messages: int
    """Reads that ended inside a message: Asterisk waits 5 ms for the rest."""
    end: str


class Caller(asyncio.Protocol):
    """One call: `connect`, `say` and `wait` in any order, `hang_up`."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        call: uuid.UUID | None = None,
        kind10_rate: int = RATES[KIND10],
        frame_ms: int = FRAME_MS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`kind10_rate`: of sound of kind 0x10, both ways; old Asterisk has no other
        kind. `frame_ms`: what the telephone packs together, 10 to 60."""
        self.call = call or uuid.uuid4()
        self.heard: list[Heard] = []
        self.end = ""
        """Why it is over: `hung up here`, `goodbye`, `closed`, or what was wrong."""
        self._host, self._port = host, port
        self._kind10_rate, self._frame_ms = kind10_rate, frame_ms
        self._clock, self._sleep = clock, sleep
        self._transport: asyncio.Transport | None = None
        self._over, self._news = asyncio.Event(), asyncio.Event()
        self._held = b""
        self._began_s = self._due_s = self._ended_s = 0.0
        self._sent = self._withheld = self._split = 0

    # --- asyncio's ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._began_s = self._due_s = self._clock()
        self._transport.write(_message(IDENTITY, self.call.bytes))

    def data_received(self, data: bytes) -> None:
        arrival_s = self._clock() - self._began_s
        data, at = self._held + data, 0
        while len(data) - at >= 3 and not self.end:
            end = at + 3 + (data[at + 1] << 8 | data[at + 2])
            if end > len(data):
                break
            self._take(data[at], data[at + 3 : end], arrival_s)
            at = end
        self._held = data[at:]
        self._split += bool(self._held)

    def connection_lost(self, exc: Exception | None) -> None:
        self.end = self.end or ("closed" if exc is None else f"lost: {exc}")
        self._ended_s = self._clock()
        self._over.set()
        self._news.set()

    # --- what a caller does ---------------------------------------------------------

    async def connect(self) -> None:
        """Raises OSError when nobody answers."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, self._host, self._port)

    async def say(
        self,
        pcm: NDArray[np.int16],
        rate: int,
        *,
        digits: Sequence[tuple[float, str]] = (),
    ) -> None:
        """Send sound in real time, right behind what was sent before, and press keys:
        `(seconds from the beginning of this sound, symbol)`, `DIGIT_S` apart at least.
        Ends early with the call."""
        if self._due_s < self._clock():
            self._due_s = self._clock()  # before all of it is prepared: that takes time
        kind, step = self._kind(rate), rate * self._frame_ms // 1000
        keys = deque(sorted(digits))
        size = math.ceil(len(pcm) / step)
        if keys:
            last_ms = (keys[-1][0] + DIGIT_S) * 1000
            size = max(size, math.ceil(last_ms / self._frame_ms))
        data = np.pad(pcm, (0, size * step - len(pcm))).astype("<i2").tobytes()
        for number in range(size):
            if not await self._is_due():
                return
            at_s = number * self._frame_ms / 1000
            if keys and at_s >= keys[0][0] + DIGIT_S:
                self.press(keys.popleft()[1])
            if keys and at_s >= keys[0][0]:
                self._withheld += 1
            else:
                self._send(kind, data[number * step * 2 : (number + 1) * step * 2])
        for _, symbol in keys:
            self.press(symbol)

    async def wait(self, seconds: float, rate: int = RATES[KIND10]) -> None:
        """Say nothing: silence is sent, as a telephone does."""
        await self.say(np.zeros(round(seconds * rate), np.int16), rate)

    async def be_away(self, seconds: float) -> None:
        """Send nothing at all: on hold, or the network is gone."""
        self._due_s = max(self._due_s, self._clock()) + seconds
        await self._sleep(max(self._due_s - self._clock(), 0.0))

    def press(self, symbol: str) -> None:
        """Let go of a key, now."""
        self._send(DIGIT, symbol.encode())

    def hang_up(self) -> None:
        """Close the connection: Asterisk says no goodbye either."""
        self.end = self.end or "hung up here"
        if self._transport is not None:
            self._transport.close()

    async def hears(self, frames: int, *, within_s: float) -> None:
        """Wait until so many have come, or the end. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while len(self.heard) < frames and not self.end:
                self._news.clear()
                await self._news.wait()

    async def over(self, *, within_s: float) -> None:
        """Wait for the end, in real time. Raises TimeoutError."""
        await asyncio.wait_for(self._over.wait(), within_s)

    # --- what became of it ----------------------------------------------------------

    def summary(self) -> Summary:
        arrivals = [heard.arrival_s for heard in self.heard]
        waits = [later - sooner for sooner, later in pairwise(arrivals)]
        sounds = [heard.arrival_s for heard in self.heard if is_sound(heard.audio.pcm)]
        ended_s = self._ended_s if self._over.is_set() else self._clock()
        return Summary(
            seconds=ended_s - self._began_s,
            frames_sent=self._sent,
            frames_withheld=self._withheld,
            frames_received=len(self.heard),
            sound_received_s=sum(heard.audio.duration_s for heard in self.heard),
            gaps=sum(wait > GAP_S for wait in waits),
            longest_gap_ms=max(waits, default=0.0) * 1000,
            first_frame_ms=arrivals[0] * 1000 if arrivals else None,
            first_sound_ms=sounds[0] * 1000 if sounds else None,
            split_messages=self._split,
            end=self.end,
        )

    # --- how ------------------------------------------------------------------------

    async def _is_due(self) -> bool:
        """Wait for the next frame's moment; False: the call is over."""
        if (wait_s := self._due_s - self._clock()) > 0:
            await self._sleep(wait_s)
        self._due_s += self._frame_ms / 1000
        return not self.end

    def _send(self, kind: int, payload: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_message(kind, payload))
            self._sent += kind in RATES

    def _take(self, kind: int, payload: bytes, arrival_s: float) -> None:
        """As Asterisk does: sound is played, anything else ends the call."""
        if kind in RATES and payload:
            rate = self._kind10_rate if kind == KIND10 else RATES[kind]
            self.heard.append(Heard(arrival_s, Audio(payload, rate)))
            self._news.set()
            return
        fault = f"Asterisk would drop this: kind 0x{kind:02x}, {len(payload)} bytes"
        self.end = "goodbye" if kind == HANG_UP else fault
        self.hang_up()

    def _kind(self, rate: int) -> int:
        if rate == self._kind10_rate:
            return KIND10
        for kind, its_rate in RATES.items():
            if its_rate == rate and kind != KIND10:
                return kind
        raise ValueError(f"there is no kind of sound with {rate} samples a second")


def is_sound(pcm: bytes) -> bool:
    """Whether a frame is more than silence."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
    return (
        bool(len(samples)) and int(np.abs(samples.astype(np.int32)).max()) > SOUND_PEAK
    )


def _message(kind: int, payload: bytes) -> bytes:
    return bytes((kind, len(payload) >> 8, len(payload) & 255)) + payload
