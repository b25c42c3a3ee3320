"""The states of a call, and the one table of how they follow each other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sessions.errors import VoiceError


class State(StrEnum):
    CONNECTED = "connected"
    GREETING = "greeting"
    LISTENING = "listening"
    PROCESSING = "processing"
    SPEAKING = "speaking"
    TRANSFERRING = "transferring"
    ENDED = "ended"


_OUT = frozenset({State.TRANSFERRING, State.ENDED})
ALLOWED: dict[State, frozenset[State]] = {
    State.CONNECTED: _OUT | {State.GREETING, State.LISTENING},
    State.GREETING: _OUT | {State.LISTENING},
    State.LISTENING: _OUT | {State.PROCESSING, State.SPEAKING},
    State.PROCESSING: _OUT | {State.LISTENING, State.SPEAKING},
    State.SPEAKING: _OUT | {State.LISTENING},
    State.TRANSFERRING: frozenset({State.ENDED}),
    State.ENDED: frozenset(),
}


class InvalidTransitionError(VoiceError):
    """Something was asked of a call that its state does not lead to."""

    def __init__(self, state: State, asked: str) -> None:
        message = f"A call that is {state.value} cannot do this: {asked}."
        super().__init__("invalid_transition", message, status=409)


@dataclass(frozen=True, slots=True)
class Transition:
    """A call came into `state` at `at_s` of the monotonic clock, because of `why`."""

    state: State
    at_s: float
    why: str
