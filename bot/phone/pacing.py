"""The bot's side of the pacer: lines handed to it, and word of what went out.

The pacer is another process (`pacer`), begun with the server and again whenever it
should fail; it knows each line by a number. What it tells is told to the line, in
order. Also feels the pulse of the bot's own loop, for the watchdog.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog
from django.conf import settings

from bot.phone import orders
from bot.phone.orders import END, HUSH, HUSHED, PACE, SAY, USE, Served

log = structlog.get_logger(__name__)

HUSHED_WITHIN_S = 0.1
"""The pacer takes a tenth of a millisecond for it."""
BEAT_S = 0.1
SILENT_S = 1.0
"""A pacer that has told nothing for so long, while there are lines, is begun anew."""
ENDED_WITHIN_S = 2.0


class Paced(Protocol):
    """A line."""

    def pace(self) -> None:
        """Ask to be paced: now, and whenever there is a new pacer."""

    def paced(self, taken: int, *, skipped: int) -> None:
        """A frame went out, with so many bytes of what is said (0: silence; UNSENT: not
        even that), behind so many frames that did not."""


class Pacing:
    """The pacer of one loop, and its lines."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lines: dict[int, Paced] = {}
        self._newest = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsaid: deque[tuple[bytes, int | None]] = deque()
        self._told: deque[Served] = deque()
        self._deaf: set[int] = set()  # lines whose HUSHED did not come in time
        self._told_at = 0.0
        self._beats = False
        self.late_s = 0.0
        """How late we learnt of the newest round: the lag of the loop."""
        self.beat_at: float | None = None
        """When the loop was last at work; None while there is no line."""

    # --- its process ----------------------------------------------------------------

    def start(self) -> None:
        """Begin the pacer. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bot.phone.pacer"],
                stdin=theirs.fileno(),
                cwd=settings.BASE_DIR,
            )
        ours.settimeout(0)
        self._control, self._told_at = ours, self._clock()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(ours.fileno(), self._read)

    def close(self) -> None:
        """No more pacing."""
        self._lines.clear()
        self._stop()

    def _stop(self) -> None:
        if self._control is not None and self._loop is not None:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()
            self._control = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDED_WITHIN_S)
            self._process.kill()
            self._process.wait()
            self._process = None
        self._unsaid.clear()

    def _start_anew(self, why: str) -> None:
        log.error("phone.pacer_lost", why=why, lines=len(self._lines))
        if self._process is not None:
            self._process.kill()
        self._deliver()
        self._stop()
        self._deaf.clear()
        try:
            self.start()
        except OSError:
            log.exception("phone.no_pacer")  # tried again with the next beat
            return
        for line in list(self._lines.values()):
            line.pace()

    def _beat(self) -> None:
        now = self._clock()
        has_told = now - self._told_at < SILENT_S
        # Where our own loop stood still, the word of it only waits to be read.
        stood_still = self.beat_at is not None and now - self.beat_at > SILENT_S / 2
        if not (has_told or stood_still or not self._lines):
            self._start_anew("silent")
        self._beats = bool(self._lines)
        self.beat_at = now if self._lines else None
        if self._beats:
            asyncio.get_running_loop().call_later(BEAT_S, self._beat)

    # --- for lines ------------------------------------------------------------------

    def add(self, line: Paced) -> int:
        """A number for it, by which it orders."""
        self._newest += 1
        self._lines[self._newest] = line
        self._told_at = max(self._told_at, self._clock())
        if not self._beats:
            self._beat()
        return self._newest

    def pace(self, number: int, descriptor: int, silence: bytes) -> None:
        """A frame each 20 ms from now on: this one, where nothing is said."""
        self._order(PACE, number, silence, descriptor)

    def use(self, number: int, silence: bytes) -> None:
        """Speak at another rate."""
        self._order(USE, number, silence)

    def say(self, number: int, pcm: bytes) -> None:
        """Behind what is being said."""
        for at in range(0, len(pcm), orders.LARGEST):
            self._order(SAY, number, pcm[at : at + orders.LARGEST])

    def hush(self, number: int) -> None:
        """Say nothing more, at once. The line is told what went out before."""
        self._order(HUSH, number)
        until = self._clock() + HUSHED_WITHIN_S
        while not self._has_hushed(number, until - self._clock()):
            if self._clock() >= until:
                log.warning("phone.pacer_deaf")
                self._deaf.add(number)
                break
        told, self._told = self._told, deque()
        for served in told:
            if served[0] == number:
                self._tell(served)
            else:
                self._told.append(served)
        if self._told and self._loop is not None:
            self._loop.call_soon(self._deliver)

    def remove(self, number: int, *, last: bytes = b"") -> None:
        """No more frames: these bytes, and our end of the line is closed."""
        if self._lines.pop(number, None) is not None:
            self._deaf.discard(number)
            self._order(END, number, last)

    # --- the wire -------------------------------------------------------------------

    def _order(
        self,
        kind: int,
        number: int,
        payload: bytes = b"",
        descriptor: int | None = None,
    ) -> None:
        if self._control is not None:
            data = orders.order(kind, number, payload)
            self._unsaid.append((data, descriptor))
            self._say()

    def _say(self) -> None:
        """Send what waits, as far as the pacer takes it."""
        while self._unsaid and self._control is not None:
            data, descriptor = self._unsaid[0]
            try:
                if descriptor is None:
                    self._control.send(data)
                else:
                    socket.send_fds(self._control, [data], [descriptor])
            except BlockingIOError:
                return  # soon again: it tells of each round
            except OSError:
                if descriptor is None:
                    return  # it is gone: whoever reads finds out
            self._unsaid.popleft()

    def _read(self) -> None:
        """What it told."""
        self.late_s = 0.0
        with contextlib.suppress(BlockingIOError):
            while self._hear():
                pass
        self._say()
        self._deliver()

    def _hear(self, hushed: int | None = None) -> bool:
        """Take one word; False when that says that this line has hushed, or that there
        is no pacer any more. Raises BlockingIOError where there is none."""
        assert self._control is not None
        try:
            data = self._control.recv(orders.LARGEST)
        except ConnectionError:
            data = b""
        if not data:
            assert self._loop is not None
            self._loop.remove_reader(self._control.fileno())
            self._loop.call_soon(self._start_anew, "ended")
            return False
        if data[0] == HUSHED:
            _, number, _ = orders.read_order(data)
            self._deaf.discard(number)
            return number != hushed
        due, served = orders.read_round(data)
        self._told_at = self._clock()
        self.late_s = max(self.late_s, self._told_at - due)
        self._told += served
        return True

    def _has_hushed(self, number: int, within_s: float) -> bool:
        if self._control is None:
            return True
        ready = select.poll()
        ready.register(
            self._control, select.POLLIN | bool(self._unsaid) * select.POLLOUT
        )
        ready.poll(max(within_s, 0.0) * 1000)
        self._say()
        try:
            return not self._hear(number)
        except BlockingIOError:
            return False

    def _deliver(self) -> None:
        while self._told:
            self._tell(self._told.popleft())

    def _tell(self, served: Served) -> None:
        number, taken, skipped = served
        if (line := self._lines.get(number)) is None:
            return
        if number in self._deaf and taken != orders.UNSENT:
            taken = 0  # it went out behind what was cut: nobody knows of it
        try:
            line.paced(taken, skipped=skipped)
        except Exception:
            # One line's fault must not silence the others.
            log.exception("line.failed")
