"""What an OpenAI-compatible server writes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.voice.responder.completion import MAX_CALLS, Completion, Thoughts
from bot.voice.responder.port import HangUp, Transfer


def delta(**fields: Any) -> str:
    return json.dumps({"choices": [{"delta": fields}]})


def call(name: str | None = None, arguments: str = "", *, index: int = 0) -> str:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return delta(tool_calls=[{"index": index, "function": function}])


def test_text_comes_as_it_is_written() -> None:
    completion = Completion()
    assert completion.feed(delta(role="assistant", content="")) == ""
    assert completion.feed(delta(content="Hello")) == "Hello"
    assert not completion.finished
    completion.feed(json.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}]}))
    assert completion.finished
    assert completion.feed(json.dumps({"choices": [], "usage": {"total": 3}})) == ""
    assert completion.action() is None


def test_an_answer_in_one_piece_is_taken_too() -> None:
    completion = Completion()
    message = {"role": "assistant", "content": "Hello."}
    answer = {"choices": [{"message": message, "finish_reason": "stop"}]}
    assert completion.feed(json.dumps(answer)) == "Hello."
    assert completion.finished


def test_a_transfer_comes_in_pieces() -> None:
    completion = Completion(transfers=["sales"])
    completion.feed(call("transfer", '{"to"'))
    completion.feed(call(None, ': "sales"}'))
    assert completion.action() == Transfer("sales")


def test_it_hangs_up() -> None:
    completion = Completion()
    completion.feed(call("hang_up", "{}"))
    assert completion.action() == HangUp()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("transfer", '{"to": "0900123456"}'),
        ("transfer", '{"to": ["sales"]}'),
        ("transfer", '"sales"'),
        ("transfer", "[" * 2000),
        ("transfer", ""),
        ("delete_everything", "{}"),
    ],
)
def test_it_does_nothing_that_nobody_allowed(name: str, arguments: str) -> None:
    completion = Completion(transfers=["sales"])
    completion.feed(call(name, arguments))
    with pytest.raises(ValueError, match="may not"):
        completion.action()


def test_calls_without_number_or_end_are_bounded() -> None:
    completion = Completion(transfers=["sales"])
    for index in (-1, MAX_CALLS, 10**9):
        completion.feed(call("hang_up", index=index))
    assert completion.action() is None
    for _ in range(100):
        completion.feed(call("x" * 100, "y" * 100))
    kept = [len(part) for parts in completion._calls.values() for part in parts]
    assert sum(kept) <= 4000


@pytest.mark.parametrize(
    "data",
    [
        "",
        "hello",
        "[]",
        '{"error": {"message": "overloaded"}}',
        '{"choices": ["x"]}',
        '{"choices": [{"delta": "x"}]}',
        "[" * 100_000,
    ],
)
def test_what_makes_no_sense_is_refused(data: str) -> None:
    with pytest.raises(ValueError):
        Completion().feed(data)


@pytest.mark.parametrize("fields", [{"content": 3}, {"tool_calls": [3]}, {}])
def test_what_is_of_another_kind_is_left_out(fields: dict[str, Any]) -> None:
    completion = Completion()
    assert completion.feed(delta(**fields)) == ""
    assert completion.action() is None


@pytest.mark.parametrize("size", [1, 3, 100])
def test_thoughts_are_not_spoken(size: int) -> None:
    text = "<think>Hm, 1 < 2.</think>Yes, 3 <4. <think>More"
    thoughts = Thoughts()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    spoken = "".join(thoughts.feed(piece) for piece in pieces) + thoughts.flush()
    assert spoken == "Yes, 3 <4. "


def test_what_only_looks_like_a_thought_is_spoken_in_the_end() -> None:
    thoughts = Thoughts()
    assert thoughts.feed("a <thi") == "a "
    assert thoughts.flush() == "<thi"
