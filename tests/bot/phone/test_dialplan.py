"""The sample dialplan, run: who is dialled when, and where the caller ends up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dialplan import CALL, Dialplan, parsed
from django.urls import resolve

from bot.api import NewCall

SAMPLE = Path(__file__).resolve().parents[3] / "docs" / "asterisk" / "extensions.conf"
A, B = "127.0.0.1:9092", "127.0.0.1:9093"
PEOPLE = "parley-people,operator,1"
CLOSED_AT_ONCE = 20


def nothing(address: str, body: str) -> str:
    return ""


def legs(*lasted_ms: int | None) -> Callable[[str], int | None]:
    """One leg after the other, whoever is dialled; then the talk is over."""
    left: Iterator[int | None] = iter(lasted_ms)
    return lambda _: next(left, CLOSED_AT_ONCE)


def called(
    dial: Callable[[str], int | None],
    fetch: Callable[[str, str], str] = nothing,
    *,
    number: str = "+380441234567",
) -> tuple[Dialplan, str]:
    plan = Dialplan(SAMPLE, dial, fetch, number=number)
    return plan, plan.run("parley", "100")


def servers(plan: Dialplan) -> str:
    return "".join("AB"[server == B] for server, _ in plan.dialled)


def test_a_talk_that_ends_is_over_when_both_servers_close_at_once() -> None:
    plan, end = called(legs(60_000))
    assert (servers(plan), end) == ("ABA", "Hangup")
    assert plan.waited_s == 0


def test_a_crash_takes_the_same_call_to_the_other_server() -> None:
    plan, end = called(legs(30_000, 40_000))
    assert (servers(plan), end) == ("ABAB", "Hangup")
    assert {call for _, call in plan.dialled} == {CALL}


def test_a_server_that_is_away_is_passed_over_at_once() -> None:
    plan, end = called(legs(None, 60_000, None))
    assert (servers(plan), end) == ("ABABA", "Hangup")
    assert plan.waited_s == 0


def test_a_full_server_sends_the_caller_to_the_other() -> None:
    plan, end = called(legs(CLOSED_AT_ONCE, 60_000))
    assert (servers(plan), end) == ("ABAB", "Hangup")


def test_a_caller_whom_nobody_takes_gets_a_person() -> None:
    plan, end = called(legs())
    assert (servers(plan), end) == ("AB", PEOPLE)


def test_when_all_are_away_it_waits_a_little_then_gives_a_person() -> None:
    plan, end = called(lambda _: None)
    assert (servers(plan), end) == ("AB" * 10, PEOPLE)
    assert plan.waited_s == 9


def test_a_server_that_starts_anew_gets_its_call_back() -> None:
    plan, end = called(legs(30_000, None, None, None, None, 40_000))
    assert end == "Hangup"
    assert servers(plan).startswith("ABABAB")


@pytest.mark.parametrize(
    ("told", "end"),
    [("sales,200,1", "sales,200,1"), ("billing", "parley-people,billing,1")],
)
def test_a_call_is_handed_over_where_parley_says(told: str, end: str) -> None:
    def fetch(address: str, body: str) -> str:
        return told if address.endswith("/next") else ""

    plan, reached = called(legs(60_000), fetch)
    assert (servers(plan), reached) == ("A", end)


@pytest.mark.parametrize(
    "told", ['{"code": "not_found"}', "<html>", "a b", "x,${SHELL(ls)},1", "a,,1"]
)
def test_what_is_no_place_is_not_gone_to(told: str) -> None:
    plan, end = called(legs(60_000), lambda address, body: told)
    assert (servers(plan), end) == ("ABA", "Hangup")


def test_a_call_is_announced_with_its_numbers_before_it_is_dialled() -> None:
    asked: list[tuple[str, str]] = []

    def fetch(address: str, body: str) -> str:
        asked.append((address, body))
        return ""

    plan, _ = called(legs(60_000), fetch)
    address, body = asked[0]
    assert address == "http://127.0.0.1:8000/api/calls"
    numbers = {"caller": "+380441234567", "callee": "100"}
    assert json.loads(body) == {"uuid": CALL} | numbers
    assert "Authorization: Bearer put-the-token-here" in plan.headers
    assert asked[1] == (f"{address}/{CALL}/next", "")
    assert NewCall.model_validate_json(body).caller == "+380441234567"
    for asked_for, _ in asked:
        assert resolve(asked_for.removeprefix("http://127.0.0.1:8000"))


def test_a_caller_cannot_write_into_the_announcement() -> None:
    asked: list[str] = []

    def fetch(_: str, body: str) -> str:
        asked.append(body)
        return ""

    called(legs(60_000), fetch, number='1","callee":"2"}')
    assert json.loads(asked[0])["caller"] == "12"


def test_every_line_can_be_read_and_the_short_way_is_one_server() -> None:
    _, contexts = parsed(SAMPLE)
    (simple,) = contexts["parley-simple"].values()
    assert [step[1] for step in simple] == ["Answer", "AudioSocket", "Hangup"]
