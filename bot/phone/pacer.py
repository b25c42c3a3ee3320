"""The pacer: a small process that sends every line its frame each 20 ms.

Whatever keeps the bot from its work for a moment (a database, an encoder, the garbage
of a thousand calls), what callers hear goes on at its pace. The bot hands it each
line's socket, and a few seconds of what is to be said; it tells what it sent.

Asterisk does not pace: what is sent at once leaves at once, and a phone plays its tail.
All lines are served in groups a few milliseconds apart, against deadlines that are
multiples of 20 ms: lateness never adds up. After a stall the frames that were due are
skipped, not sent in a burst.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import socket
import time
from collections import deque

from bot.phone import resets
from bot.phone.lane import Lane, Socket
from bot.phone.orders import (
    END,
    HUSH,
    HUSHED,
    LARGEST,
    PACE,
    SAY,
    USE,
    Served,
    order,
    read_order,
    rounds,
)

FRAME_S = 0.020
SLOTS = 4
SLOT_S = FRAME_S / SLOTS
STALL_S = 2 * FRAME_S
"""As late as this, frames are skipped: a line is never more than two behind."""
SLICE_NS = 100_000
"""The shortest time slice that Linux gives (6.12): who asks for little at a time is let
in at once. On two full cores it makes the difference between 200 ms and 5."""
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}


class Wire:
    """A line's socket, which never blocks; who reads it is told of its reset."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.close = sock.close
        sock.settimeout(0)

    def send(self, data: bytes, /) -> int:
        try:
            return self._sock.send(data)
        except ConnectionResetError:
            resets.mark(self._sock)
            raise


class Pacer:
    """All lanes, in their groups. Says nothing and waits for nothing: `told` is what
    the bot is to know."""

    def __init__(self) -> None:
        self._slots: list[dict[int, Lane]] = [{} for _ in range(SLOTS)]
        self._lanes: dict[int, Lane] = {}
        self._began = 0.0
        self._turn = 0
        self.told: deque[bytes] = deque()

    def obey(self, data: bytes, sock: Socket | None, *, now: float) -> None:
        """An order; a socket came with it or not."""
        kind, line, payload = read_order(data)
        if kind == PACE:
            assert sock is not None
            self._pace(line, Lane(sock, payload), now=now)
            return
        lane = self._lanes.get(line)
        if kind == HUSH:
            if lane is not None:
                lane.hush()
            self.told.append(order(HUSHED, line))
        elif lane is None:
            return
        elif kind == SAY:
            lane.say(payload)
        elif kind == USE:
            lane.use(payload)
        elif kind == END:
            lane.end(payload)
            self._forget(line, lane)

    def due_s(self, now: float) -> float | None:
        """How long until somebody is to be served; None while there is nobody."""
        if not self._lanes:
            return None
        return max(self._began + self._turn * SLOT_S - now, 0.0)

    def serve(self, now: float) -> None:
        """Serve whoever is due."""
        due = self._began + self._turn * SLOT_S
        if not self._lanes or now < due:
            return
        missed = int((now - due) / FRAME_S) if now - due >= STALL_S else 0
        count = SLOTS if missed else 1
        served: list[Served] = []
        for number in range(self._turn, self._turn + count):
            for line, lane in list(self._slots[number % SLOTS].items()):
                if (taken := lane.serve()) is not None:
                    served.append((line, taken, missed))
                self._forget(line, lane)
        self._turn += missed * SLOTS + count
        self.told += rounds(due, served)

    def _pace(self, line: int, lane: Lane, *, now: float) -> None:
        if not self._lanes:
            self._began, self._turn = now, 0
        self._lanes[line] = lane
        min(self._slots, key=len)[line] = lane

    def _forget(self, line: int, lane: Lane) -> None:
        if lane.is_over:
            self._lanes.pop(line, None)
            for slot in self._slots:
                slot.pop(line, None)


def run(control: socket.socket) -> None:
    """Until the bot is gone: its lines go with it, and Asterisk notices."""
    pacer = Pacer()
    control.settimeout(0)
    while True:
        writing = [control] if pacer.told else []
        wait_s = pacer.due_s(time.monotonic())
        readable, _, _ = select.select([control], writing, [], wait_s)
        if readable and not _obeyed(pacer, control):
            return
        pacer.serve(time.monotonic())
        _tell(pacer, control)


def _obeyed(pacer: Pacer, control: socket.socket) -> bool:
    """Take the orders that have come; False when no more will."""
    try:
        for _ in range(SLOTS * 64):  # and then whoever is due
            data, fds, _, _ = socket.recv_fds(control, LARGEST + 16, 1)
            if not data:
                return False
            wire = Wire(socket.socket(fileno=fds[0])) if fds else None
            pacer.obey(data, wire, now=time.monotonic())
    except BlockingIOError:
        pass
    except ConnectionError:
        return False
    return True


def _tell(pacer: Pacer, control: socket.socket) -> None:
    try:
        while pacer.told:
            control.send(pacer.told[0])
            pacer.told.popleft()
    except (BlockingIOError, ConnectionError):
        pass  # the bot is busy, or gone: soon again, or never


class _SchedAttr(ctypes.Structure):
    """`struct sched_attr` (linux/sched/types.h), as far as SCHED_OTHER needs it."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def ask_for_short_slices() -> None:
    """Where the kernel knows them; elsewhere it says no, and nothing is lost."""
    number = _SCHED_SETATTR.get(os.uname().machine)
    if number is not None:
        size = ctypes.sizeof(_SchedAttr)
        asked = _SchedAttr(size=size, nice=os.nice(0), runtime=SLICE_NS)
        ctypes.CDLL(None).syscall(number, 0, ctypes.byref(asked), 0)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the bot ends it, when calls have ended
    ask_for_short_slices()
    gc.disable()  # it makes no circles
    with socket.socket(fileno=0) as control:
        run(control)


if __name__ == "__main__":
    main()
