"""How a process that carries sound is set up, so that its loop is not kept from it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
import threading

from django.db import connections

SWITCH_S = 0.0002
"""How long another thread (detection, encoding, the database, each in its turn) may
keep the loop from its frames; Python's own 5 ms are a quarter of one. At a hundred who
talk in turn, a millisecond kept it 50 ms at the 99th percentile, this 33, and cost no
more."""

GARBAGE = 10_000, 20, 100
"""When the garbage is collected: the young as before, all of it seldom. To look through
everything took 50 to 130 ms, every few seconds, and everybody waited."""

BACK = 10
"""How much nicer (`nice`) threads are whose work may wait. A hundred calls on one core:
99 of 100 frames answered within 7 ms, and within 44 where all threads are equal; 200
members of Discord on two, from run to run: a packet waits 5 to 24 s at most, not 12 to
24."""

_KEPT = {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}


def tune() -> None:
    """Before the loop runs. What is loaded by now stays, and is no garbage."""
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


def stand_back() -> None:
    """For a thread whose work may wait, encoding or detection: where there is more to
    do than cores for it, the kernel runs the loop first. Linux alone knows it of a
    thread; elsewhere nothing changes."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):  # a sandbox that forbids it
            nice = os.getpriority(os.PRIO_PROCESS, thread)
            os.setpriority(os.PRIO_PROCESS, thread, nice + BACK)


def trim() -> None:
    """Give back what is free in between what is not: of glibc's, which keeps it for
    itself. Without, a process grows for as long as it records, by ever less. A few
    milliseconds, without the interpreter; elsewhere nothing happens."""
    if (give_back := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        give_back(0)


def keep_connections() -> None:
    """Every thread keeps its connection to the database, instead of opening one for
    each question (a millisecond of SQLite). For a process whose threads live as long
    as it does."""
    for database in connections.settings.values():
        database |= _KEPT


def keep_connection() -> None:
    """The same for the thread that asks, and no other: a web process has one for each
    of its requests, and these end."""
    for connection in connections.all(initialized_only=False):
        connection.settings_dict = connection.settings_dict | _KEPT
