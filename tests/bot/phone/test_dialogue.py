"""A dialogue is bounded, and comes back from JSON whole or not at all."""

from __future__ import annotations

import json

import pytest

from bot.phone.dialogue import (
    CHARS_MAX,
    JSON_MAX_CHARS,
    TURN_MAX_CHARS,
    TURNS_MAX,
    BrokenDialogueError,
    Saved,
    Speaker,
    Turn,
    bounded,
    with_turn,
)
from bot.phone.states import State

WHOLE = Saved(State.LISTENING, (Turn(Speaker.CALLER, "Привіт 😀", 7),), 12.5)


def caller(text: str) -> Turn:
    return Turn(Speaker.CALLER, text, 0)


def test_it_comes_back_as_it_was() -> None:
    assert Saved.from_json(WHOLE.to_json()) == WHOLE


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": None},
        {"state": "asleep"},
        {"state": ["listening"]},
        {"turns": None},
        {"turns": 5},
        {"turns": [None]},
        {"turns": ["caller"]},
        {"turns": [{"speaker": "caller", "text": "a"}]},
        {"turns": [{"speaker": "nobody", "text": "a", "at_ms": 1}]},
        {"turns": [{"speaker": "us", "text": 5, "at_ms": 1}]},
        {"turns": [{"speaker": "us", "text": "\ud800", "at_ms": 1}]},
        {"turns": [{"speaker": "us", "text": "a", "at_ms": "1"}]},
        {"turns": [{"speaker": "us", "text": "a", "at_ms": True}]},
        {"saved_at_s": "now"},
        {"saved_at_s": float("nan")},
        {"saved_at_s": float("inf")},
    ],
)
def test_it_refuses_what_it_would_not_write(changes: dict[str, object]) -> None:
    text = json.dumps(json.loads(WHOLE.to_json()) | changes)
    with pytest.raises(BrokenDialogueError) as caught:
        Saved.from_json(text)
    assert caught.value.code == "broken_dialogue"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"text"', "{}", "[" * 100_000, " " * (JSON_MAX_CHARS + 1)],
    ids=range(8),
)
def test_it_refuses_what_is_no_dialogue(text: str) -> None:
    with pytest.raises(BrokenDialogueError):
        Saved.from_json(text)


def test_the_oldest_turns_are_forgotten() -> None:
    kept = bounded(caller(str(number)) for number in range(TURNS_MAX + 5))
    assert len(kept) == TURNS_MAX
    assert (kept[0].text, kept[-1].text) == ("5", str(TURNS_MAX + 4))
    full = bounded(caller("a" * TURN_MAX_CHARS) for _ in range(10))
    assert sum(len(turn.text) for turn in full) == CHARS_MAX


def test_a_turn_too_long_keeps_its_end() -> None:
    (turn,) = with_turn((), caller("a" + "b" * TURN_MAX_CHARS))
    assert turn.text == "b" * TURN_MAX_CHARS


def test_half_a_character_does_not_make_a_call_unwritable() -> None:
    turns = with_turn((), caller("a\ud83d"))
    Saved.from_json(Saved(State.LISTENING, turns).to_json()).to_json().encode()
