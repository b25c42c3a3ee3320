"""Rows that outlive a power cut: asked for before what they stand for is deleted.

SQLite, as it is set here (WAL, synchronous=NORMAL), may lose its newest transactions
with the power. Other databases sync each commit.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.db import connection

from sessions.spool import sync_folder


def sync_rows() -> None:
    """Make every row that was committed before outlive a power cut. Raises OSError.

    Only the log is opened, never the database: closing that would give up the locks
    that SQLite holds on it in this process. What is not in the log any more was synced
    when it was taken over.
    """
    if connection.vendor != "sqlite":
        return
    log = Path(f"{connection.settings_dict['NAME']}-wal")
    try:
        descriptor = os.open(log, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(log.parent)
