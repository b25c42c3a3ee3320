"""What is done about each close code."""

from __future__ import annotations

import pytest

from bot.discord.linking.closes import (
    BACKOFF_MAX_S,
    TRIES,
    Remedy,
    backoff_s,
    reason,
    remedy,
)


@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 4006, 4009, 4015, 4999])
def test_what_broke_is_connected_again(code: int | None) -> None:
    assert remedy(code) is Remedy.RECONNECT


@pytest.mark.parametrize("code", [4014, 4021, 4022])
def test_who_was_sent_away_does_not_come_back(code: int) -> None:
    assert remedy(code) is Remedy.LEAVE


@pytest.mark.parametrize("code", [4004, 4011, 4012, 4016, 4017])
def test_what_can_never_work_is_told_to_the_operator(code: int) -> None:
    assert remedy(code) is Remedy.GIVE_UP
    assert reason(code).endswith(".")


def test_it_waits_longer_each_time_and_not_for_ever() -> None:
    waits = [backoff_s(attempt) for attempt in range(TRIES + 1)]
    assert waits[0] == 0.0
    assert waits[-1] is None
    known = [wait for wait in waits if wait is not None]
    assert known == sorted(known)
    assert known[-1] == BACKOFF_MAX_S
