"""The table of states and inputs, and what holds whatever happens."""

from __future__ import annotations

import pytest
from conversation import INPUTS, in_state
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.phone.actions import (
    Action,
    Actions,
    Ask,
    HangUp,
    PlayFiller,
    Say,
    StopAnswering,
    StopSpeaking,
)
from bot.phone.call import Call, Rules, Timer
from bot.phone.dialogue import CHARS_MAX, TURNS_MAX, Saved
from bot.phone.states import ALLOWED, InvalidTransitionError, State

# What each input does in each state: the state after it, and the actions by their
# initials. "!": it is refused.
TABLE = """
               connected    greeting      listening     processing     speaking       transferring  ended
begin          greeting:S   !             !             !              !              !             !
transfer       ended:H      transferring  ended:H       ended:H        transferring   !             !
hang_up        ended:H      ended:H       ended:H       ended:H        ended:H        ended:H       ended
hung_up        ended        ended         ended         ended          ended          ended         ended
caller_began   connected    greeting      listening     processing     listening:XN   transferring  ended
caller_ended   connected    greeting      listening     processing     speaking       transferring  ended
caller_said    connected    greeting      processing:A  processing:A   processing:XNA transferring  ended
digit          connected    greeting      processing:A  processing:NA  processing:XNA transferring  ended
block_arrived  !            !             !             processing     speaking       transferring  ended
answer_failed  !            !             !             speaking:S     speaking:S     transferring  ended
speech_began   !            greeting      speaking      speaking       speaking       transferring  ended
speech_ended   !            listening     listening     listening      listening      ended:H       ended
tick           connected    greeting      listening     processing     speaking       transferring  ended
"""  # noqa: E501
INITIALS: dict[type[Action], str] = {
    Say: "S",
    PlayFiller: "P",
    StopSpeaking: "X",
    StopAnswering: "N",
    Ask: "A",
    HangUp: "H",
}
CASES = [
    (state, name, cell)
    for name, *cells in (line.split() for line in TABLE.strip().splitlines()[1:])
    for state, cell in zip(State, cells, strict=True)
]


@pytest.mark.parametrize(("state", "name", "cell"), CASES)
def test_the_table(state: State, name: str, cell: str) -> None:
    call = in_state(state)
    before = list(call.log)
    if cell == "!":
        with pytest.raises(InvalidTransitionError) as caught:
            INPUTS[name](call, 101.0)
        assert caught.value.code == "invalid_transition"
        assert state.value in caught.value.message
        assert list(call.log) == before
        return
    actions = INPUTS[name](call, 101.0)
    after, _, initials = cell.partition(":")
    assert call.state == after
    assert "".join(INITIALS[type(action)] for action in actions) == initials


def test_the_table_has_every_state_and_input() -> None:
    assert {(state, name) for state, name, _ in CASES} == {
        (state, name) for state in State for name in INPUTS
    }
    assert set(ALLOWED) == set(State)


# --- whatever happens ----------------------------------------------------------------

scripts = st.lists(
    st.tuples(
        st.sampled_from([*INPUTS, "tick", "tick"]),
        st.sampled_from([0.0, 0.5, 2.0, 3.0, 10.0, 60.0]),  # seconds before it
    ),
    max_size=30,
)
some_rules = st.builds(
    Rules,
    answers=st.booleans(),
    is_greeting_interruptible=st.booleans(),
    max_s=st.just(300.0),
)


def check(call: Call, actions: Actions, before: int) -> None:
    """What holds after every input; `before`: so many transitions were logged."""
    new = call.log[before:]
    for was, entry in zip(call.log[before - 1 :], new, strict=False):
        assert entry.state in ALLOWED[was.state]
        assert entry.at_s >= was.at_s
    ended = [action for action in actions if isinstance(action, HangUp)]
    assert not ended or (call.state is State.ENDED and actions == (ended[0],))
    if any(isinstance(action, Ask) for action in actions):
        assert call.state is State.PROCESSING
    if any(isinstance(action, Say) for action in actions):
        assert call.state in (State.GREETING, State.SPEAKING)
    if PlayFiller() in actions:
        assert call.state is State.PROCESSING
    waits = {Timer.LENGTH, *_timers(call.state)}
    assert (due := call.due()) is None or due[0] in waits
    assert (call.state is State.ENDED) == (due is None)
    assert len(call.turns) <= TURNS_MAX
    assert sum(len(turn.text) for turn in call.turns) <= CHARS_MAX


def _timers(state: State) -> set[Timer]:
    listens = {Timer.STILL_THERE, Timer.SILENCE, Timer.DIGITS}
    return {State.LISTENING: listens, State.PROCESSING: {Timer.FILLER}}.get(
        state, set()
    )


@settings(max_examples=15)
@given(scripts, some_rules)
def test_nothing_that_happens_breaks_the_rules(
    script: list[tuple[str, float]], rules: Rules
) -> None:
    call = Call(rules, now=0.0)
    now = 0.0
    fillers = 0
    for name, wait_s in [("begin", 0.0), *script]:
        now += wait_s
        before, was = len(call.log), call.state
        try:
            actions = INPUTS[name](call, now)
        except InvalidTransitionError:
            assert len(call.log) == before
            continue
        check(call, actions, before)
        fillers = 0 if was is not State.PROCESSING else fillers
        fillers += actions.count(PlayFiller())
        assert fillers <= 1
        if was is State.ENDED:
            assert actions == ()
            assert len(call.log) == before
        saved = call.saved()
        assert Saved.from_json(saved.to_json()) == saved
