"""What the suite holds once more, and what it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import repeats

TESTS = Path(__file__).resolve().parent
CONFTEST = """
import repeats
repeats.PATIENCE_S = -1.0
from workers import pytest_configure, pytest_runtest_protocol
"""
TALKS = """
import pytest
HELD = []

@pytest.fixture(scope="module")
def talk():
    HELD.append("begun")
    yield len(HELD)
    HELD.append("over")

def test_that_stands(talk):
    assert HELD == ["begun"]

def test_that_fails_once(talk):
    print("talk", talk)
    assert talk == 3, "late the first time"

def test_after_it(talk):
    assert HELD == ["begun", "over", "begun"]

def test_that_fails_twice(talk):
    HELD.append("tried")
    assert HELD.count("tried") == 3

def test_that_always_fails(talk):
    assert HELD.count("never")

@pytest.fixture
def leaves_something():
    yield
    HELD.append("left")
    assert HELD.count("left") > 1

def test_whose_end_fails(leaves_something):
    assert True
"""
CALM = """
TRIED = []

def test_that_would_pass_the_second_time():
    TRIED.append(1)
    assert len(TRIED) == 2
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run of a small suite says."""
    folder = tmp_path_factory.mktemp("suite")
    for name, text in {
        "conftest.py": CONFTEST,
        "pytest.ini": f"[pytest]\npythonpath = {TESTS}\n",
        "test_road.py": TALKS,  # a name that stands among those of real time
        "test_sums.py": CALM,
    }.items():
        (folder / name).write_text(text)
    words = [sys.executable, "-m", "pytest", "-p", "no:django", "-p", "no:schemathesis"]
    done = subprocess.run(
        [*words, "-v", "-rfE", "--rootdir", ".", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    print(done.stdout, done.stderr)
    return done.stdout


@pytest.mark.parametrize(
    ("name", "outcomes"),
    [
        ("test_that_stands", ["PASSED"]),
        ("test_that_fails_once", ["REPEATED", "PASSED"]),
        ("test_after_it", ["PASSED"]),
        ("test_that_fails_twice", ["REPEATED", "REPEATED", "PASSED"]),
        ("test_that_always_fails", ["REPEATED", "REPEATED", "FAILED"]),
        ("test_whose_end_fails", ["PASSED", "ERROR"]),
        ("test_that_would_pass_the_second_time", ["FAILED"]),
    ],
)
def test_what_is_held_again(told: str, name: str, outcomes: list[str]) -> None:
    found = [line.split()[1] for line in told.splitlines() if f"::{name} " in line]
    assert found[: len(outcomes)] == outcomes


def test_it_is_told(told: str) -> None:
    assert "2 failed, 5 passed, 1 error, 5 repeated" in told.splitlines()[-1]
    _, _, why = told.partition("held once more, by itself")
    assert "late the first time" in why


@pytest.mark.parametrize(
    ("sums_s", "waited_s"),
    [
        ([1.0, 1.0], [0]),  # nobody has seen it quicker
        ([1.0, 1.4], [0]),
        ([1.0, 3.0, 2.0, 1.4], [10]),
        ([1.0] + [2.0] * 50, [125]),
    ],
)
def test_the_last_time_waits_for_the_machine(
    tmp_path: Path, sums_s: list[float], waited_s: list[float]
) -> None:
    now, left = [0.0], iter(sums_s)

    def sleep(seconds: float) -> None:
        now[0] += seconds

    repeats.wait_for_pace(tmp_path, clock=lambda: 0.0, sum_s=lambda: next(left))
    repeats.wait_for_pace(
        tmp_path, clock=lambda: now[0], sleep=sleep, sum_s=lambda: next(left)
    )
    assert now == waited_s
