"""Why a voice connection closed, and what is done about it: Discord's codes.

Measured against discord.py 2.7.1 with `reconnect=False`: left to itself it is deaf for
half a minute, leaves for good, or comes back, by code and by luck.
"""

from __future__ import annotations

from enum import StrEnum


class Remedy(StrEnum):
    RECONNECT = "reconnect"
    """At once, with a new client: sessions end on Discord's side all the time."""
    LEAVE = "leave"
    """The call is over: the session ends in order, and nobody comes back."""
    GIVE_UP = "give_up"
    """It can never work as it is: tell the operator."""


AUTHENTICATION_FAILED = 4004
SERVER_NOT_FOUND = 4011
UNKNOWN_PROTOCOL = 4012
DISCONNECTED = 4014
"""Sent away, moved, or the main gateway's session has ended: it alone does not say."""
SERVER_CRASHED = 4015
UNKNOWN_MODE = 4016
DAVE_REQUIRED = 4017
RATE_LIMITED = 4021
CALL_TERMINATED = 4022

_LEAVE = {DISCONNECTED, RATE_LIMITED, CALL_TERMINATED}
_GIVE_UP = {
    AUTHENTICATION_FAILED: "Discord refused the voice connection's token.",
    SERVER_NOT_FOUND: "Discord does not know the voice server it named.",
    UNKNOWN_PROTOCOL: "Discord's voice no longer speaks our protocol: update Parley.",
    UNKNOWN_MODE: "Discord's voice no longer knows our encryption: update Parley.",
    DAVE_REQUIRED: "Discord asks for end-to-end encryption: install the package davey.",
}

BACKOFF_S = 0.5
BACKOFF_MAX_S = 15.0
TRIES = 8


def remedy(code: int | None) -> Remedy:
    """What to do about a close code; None: the connection just broke. A code nobody
    knows is tried again: it is what Discord added since."""
    if code in _LEAVE:
        return Remedy.LEAVE
    return Remedy.GIVE_UP if code in _GIVE_UP else Remedy.RECONNECT


def reason(code: int) -> str:
    """For the operator, of a code that is given up."""
    return _GIVE_UP[code]


def backoff_s(attempt: int) -> float | None:
    """How long to wait before this attempt, from 0; None: no more of them."""
    if attempt >= TRIES:
        return None
    return min(BACKOFF_S * 2 ** (attempt - 1), BACKOFF_MAX_S) if attempt else 0.0
