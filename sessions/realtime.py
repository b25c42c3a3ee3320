"""How a process that carries sound is set up, so that its loop is not kept from it."""

from __future__ import annotations

import gc
import sys

from django.db import connections

SWITCH_S = 0.0002
"""How long another thread (detection, encoding, the database, each in its turn) may
keep the loop from its frames; Python's own 5 ms are a quarter of one. At a hundred who
talk in turn, a millisecond kept it 50 ms at the 99th percentile, this 33, and cost no
more."""

GARBAGE = 10_000, 20, 100
"""When the garbage is collected: the young as before, all of it seldom. To look through
everything took 50 to 130 ms, every few seconds, and everybody waited."""

_KEPT = {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}


def tune() -> None:
    """Before the loop runs. What is loaded by now stays, and is no garbage."""
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


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
