"""Many telephones in one process: what a server's core is measured by.

Written for little of a core: plain sockets and one epoll, for whoever measures is not
to be what is measured. Each sends 320 bytes every 20 ms, marks each frame with its
number, and times what comes back.
"""

from __future__ import annotations

import gc
import select
import socket
import time
import uuid
from dataclasses import dataclass, field

import numpy as np
import soxr

FRAME_S = 0.020
FRAME_BYTES = 320
SILENCE = bytes(FRAME_BYTES)
HEAD = b"\x10\x01\x40"
WHOLE = len(HEAD) + FRAME_BYTES
SLOTS = 20
"""The calls are spread over a frame's time in so many groups."""
EVENTS = 256
SETTLE_S, LAST_S, GONE_S = 2.0, 0.5, 1.0
TALK_SHARE = 0.4
LINE_NOISE = 4.0  # rms; -78 dBFS
PHRASES = (
    "hello please close the meeting",
    "open the window and read the letter again",
    "seven people wait for the last train home",
)


@dataclass(slots=True)
class Found:
    """What a step found. Times in ms."""

    sent: int = 0
    lost: int = 0
    turnarounds: list[float] = field(default_factory=list)
    lates: list[float] = field(default_factory=list)
    sent_late: list[float] = field(default_factory=list)
    """By how much this process missed its own deadlines."""

    def report(self) -> dict[str, float]:
        turns = np.array(self.turnarounds or [0.0])
        lates = np.array(self.lates or [0.0])
        return {
            "sent": self.sent,
            "lost": self.lost,
            "p50_ms": float(np.percentile(turns, 50)),
            "p99_ms": float(np.percentile(turns, 99)),
            "worst_ms": float(turns.max()),
            "said": len(lates),
            "punctual": float(np.mean(lates <= 5.0)),
            "late_ms": float(np.percentile(lates, 99.9)),
            "sent_late_ms": float(np.percentile(self.sent_late or [0.0], 99)),
        }


class Telephone:
    """One call."""

    __slots__ = ("_held", "_pieces", "_sent_at", "_turn", "arrivals", "is_lost", "line")

    def __init__(self, port: int, pieces: list[bytes], turn: int) -> None:
        self.line = socket.create_connection(("127.0.0.1", port))
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.line.settimeout(0)
        self.line.send(b"\x01\x00\x10" + uuid.uuid4().bytes)
        self._pieces, self._turn = pieces, turn
        self._sent_at: list[float] = []
        self._held = b""
        self.arrivals: list[float] = []
        self.is_lost = False

    def counts_from_now(self) -> None:
        self._sent_at, self.arrivals = [], []

    def send(self, *, counts: bool) -> None:
        """Marked with a number from 1 on, or with nought while it does not count."""
        self._turn = (self._turn + 1) % len(self._pieces)
        if counts:
            self._sent_at.append(time.monotonic())
        mark = len(self._sent_at) if counts else 0
        piece = HEAD + mark.to_bytes(4, "little") + self._pieces[self._turn]
        try:
            is_whole = self.line.send(piece) == WHOLE
        except OSError:
            is_whole = False
        if not is_whole:  # a server that does not read: the call is as good as gone
            self.is_lost = True

    def read(self, found: Found) -> bool:
        """What came; False when the line has ended."""
        try:
            data = self.line.recv(65_536)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        now = time.monotonic()
        if not data:
            self.is_lost = True
            return False
        if self._held:
            data, self._held = self._held + data, b""
        at = 0
        while len(data) - at >= len(HEAD):
            end = at + 3 + (data[at + 1] << 8 | data[at + 2])
            if end > len(data):
                break
            if data[at + 3 : end] != SILENCE:
                self._take(int.from_bytes(data[at + 3 : at + 7], "little"), now, found)
            at = end
        self._held = data[at:]
        return True

    def _take(self, number: int, now: float, found: Found) -> None:
        self.arrivals.append(now)
        if 0 < number <= len(self._sent_at) and (at := self._sent_at[number - 1]):
            found.turnarounds.append((now - at) * 1000)
            self._sent_at[number - 1] = 0.0

    @property
    def sent(self) -> int:
        return len(self._sent_at)

    @property
    def unanswered(self) -> int:
        return sum(at > 0 for at in self._sent_at)


class Exchange:
    """All of them, and the one place where they are waited for."""

    def __init__(self, port: int, *, talks: bool) -> None:
        self.found = Found()
        self._port = port
        self._pieces = marked(speech(TALK_SHARE if talks else 0.0))
        self._random = np.random.default_rng(1)
        self._reading = select.epoll()
        self._by_line: dict[int, Telephone] = {}

    def call(self) -> None:
        turn = int(self._random.integers(len(self._pieces)))
        phone = Telephone(self._port, self._pieces, turn)
        self._by_line[phone.line.fileno()] = phone
        self._reading.register(phone.line, select.EPOLLIN)

    def read(self, *, until: float) -> None:
        """What comes until then, by the monotonic clock. (`epoll` itself waits by whole
        milliseconds.)"""
        while True:
            for line, _ in self._reading.poll(0, EVENTS):
                if not self._by_line[line].read(self.found):
                    self._reading.unregister(line)
            if (left := until - time.monotonic()) <= 0:
                return
            select.select([self._reading], [], [], left)

    def talk(self, seconds: float) -> None:
        """Each says a frame every 20 ms; the first 2 s do not count."""
        phones = list(self._by_line.values())
        began, settled = time.monotonic(), int(SETTLE_S / FRAME_S) * SLOTS
        for turn in range(settled + int(seconds / FRAME_S) * SLOTS):
            self.read(until=(due := began + turn * FRAME_S / SLOTS))
            if turn == settled:
                for phone in phones:
                    phone.counts_from_now()
            if counts := turn >= settled:
                self.found.sent_late.append((time.monotonic() - due) * 1000)
            for phone in phones[turn % SLOTS :: SLOTS]:
                if not phone.is_lost:
                    phone.send(counts=counts)

    def hang_up(self) -> None:
        for phone in self._by_line.values():
            self.found.sent += phone.sent
            self.found.lost += phone.unanswered + phone.is_lost
            self.found.lates += lateness(phone.arrivals)
            phone.line.close()


def generate(
    port: int, calls: int, seconds: float, every_s: float, *, talks: bool
) -> Found:
    """So many callers, who come one after the other and speak, spread over the 20 ms,
    when all are there."""
    gc.disable()
    exchange = Exchange(port, talks=talks)
    for _ in range(calls):
        exchange.call()
        exchange.read(until=time.monotonic() + every_s)
    exchange.talk(seconds)
    exchange.read(until=time.monotonic() + LAST_S)
    exchange.hang_up()
    time.sleep(GONE_S)  # the server ends them while nobody measures
    return exchange.found


def lateness(arrivals: list[float]) -> list[float]:
    """Of frames that are due every 20 ms, in ms behind their deadlines: those of the
    grid that the most punctual hundredth stands on."""
    if len(arrivals) < 100:
        return []
    at = np.array(arrivals) - np.arange(len(arrivals)) * FRAME_S
    return list((at - np.percentile(at, 1)) * 1000)


def marked(sound: bytes) -> list[bytes]:
    """Its frames, each with room for a number in place of its first two samples."""
    ends = range(FRAME_BYTES, len(sound) + 1, FRAME_BYTES)
    return [sound[end - FRAME_BYTES + 4 : end] for end in ends]


def speech(share: float) -> bytes:
    """A minute at 8 kHz: phrases, for a share of the time, and a line's faint noise."""
    from speech import voices

    line = np.random.default_rng(3).normal(0, LINE_NOISE, 60 * 8_000)
    at = 0
    while share and at < len(line):
        phrase = voices.speak(PHRASES[at % len(PHRASES)])
        sound = soxr.resample(voices.trim(phrase), voices.SAMPLE_RATE_HZ, 8_000)
        line[at : at + len(sound)] += sound[: len(line) - at]
        at += round(len(sound) / share)
    return bytes(np.clip(line, -32_768, 32_767).astype("<i2").tobytes())
