"""Questions that hang: nobody waits for them, and they are asked again in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from scene import Clock

from voiceproject.questions import GIVEN_UP_S, Question


class Oracle:
    """Counts who asks it, and answers when it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = threading.Event()

    def __call__(self) -> int:
        self.asked += 1
        number = self.asked
        assert self.may_answer.wait(10)
        return number


@pytest.fixture
def oracle() -> Iterator[Oracle]:
    made = Oracle()
    yield made
    made.may_answer.set()


def test_whoever_asks_meanwhile_waits_for_the_same_answer(oracle: Oracle) -> None:
    question = Question(oracle)
    answers: list[Future[int]] = [question.put() for _ in range(3)]
    with pytest.raises(TimeoutError):
        answers[0].result(0.05)
    oracle.may_answer.set()
    assert [one.result(10) for one in answers] == [1, 1, 1]
    assert question.put().result(10) == 2


def test_what_is_never_answered_is_asked_anew(oracle: Oracle) -> None:
    clock = Clock()
    question = Question(oracle, clock=clock)
    first = question.put()
    clock.passes(GIVEN_UP_S)
    assert question.put() is first
    clock.passes(0.1)
    second = question.put()
    assert second is not first
    oracle.may_answer.set()
    assert sorted([first.result(10), second.result(10)]) == [1, 2]


def test_what_the_asking_raises_is_raised_by_the_answer() -> None:
    def broken() -> None:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        Question(broken).put().result(10)
