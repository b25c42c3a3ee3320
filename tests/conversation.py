"""Calls for tests: each input by its name, and a call in each state."""

from __future__ import annotations

from collections.abc import Callable

from bot.phone.actions import Actions
from bot.phone.call import Call, Rules
from bot.phone.states import State

Act = Callable[[Call, float], Actions]

INPUTS: dict[str, Act] = {
    "begin": lambda call, now: call.begin(now),
    "transfer": lambda call, now: call.transfer(now),
    "hang_up": lambda call, now: call.hang_up(now),
    "hung_up": lambda call, now: call.hung_up(now),
    "caller_began": lambda call, now: call.caller_began(now),
    "caller_ended": lambda call, now: call.caller_ended(now),
    "caller_said": lambda call, now: call.caller_said(now, "yes"),
    "digit": lambda call, now: call.digit(now, "#"),
    "block_arrived": lambda call, now: call.block_arrived(now),
    "answer_failed": lambda call, now: call.answer_failed(now),
    "speech_began": lambda call, now: call.speech_began(now, "we say"),
    "speech_ended": lambda call, now: call.speech_ended(now, heard_s=now + 0.2),
    "tick": lambda call, now: call.tick(now),
}

# How a call comes into each state.
WAYS: dict[State, tuple[str, ...]] = {
    State.CONNECTED: (),
    State.GREETING: ("begin",),
    State.LISTENING: ("begin", "speech_ended"),
    State.PROCESSING: ("begin", "speech_ended", "caller_said"),
    State.SPEAKING: ("begin", "speech_ended", "caller_said", "speech_began"),
    State.TRANSFERRING: ("begin", "transfer"),
    State.ENDED: ("hung_up",),
}


def in_state(state: State, *, rules: Rules | None = None, now: float = 100.0) -> Call:
    """A call that has just come into `state`."""
    call = Call(rules or Rules(), now=now)
    for name in WAYS[state]:
        INPUTS[name](call, now)
    assert call.state is state
    return call


def listening(rules: Rules | None = None) -> Call:
    """A call that listens since 100.0, where its greeting was heard."""
    call = Call(rules or Rules(), now=90.0)
    call.begin(90.0)
    call.speech_began(90.0, "Hello!")
    call.speech_ended(99.8, heard_s=100.0)
    return call
