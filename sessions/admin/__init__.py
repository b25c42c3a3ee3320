"""Admin pages of a conversation, to read: one module for each noun. State is never
edited; whatever is done goes to the service that the rest of the house calls."""

from __future__ import annotations

from sessions.admin import (
    accounts,
    audit,
    conversations,
    files,
    log,
    people,
    progress,
    shown,
    waiting,
)
from sessions.admin.reading import (
    PartOfSession,
    ReadOnly,
    as_uuid,
    asker,
    named,
    session_link,
)

__all__ = [
    "PartOfSession",
    "ReadOnly",
    "accounts",
    "as_uuid",
    "asker",
    "audit",
    "conversations",
    "files",
    "log",
    "named",
    "people",
    "progress",
    "session_link",
    "shown",
    "waiting",
]
