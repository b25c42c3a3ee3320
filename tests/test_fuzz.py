"""What strangers send, by fuzzers that watch which lines are reached: for seconds here,
for as long as one likes by `bench/fuzz.py`."""

from __future__ import annotations

import pytest
from fuzz.running import fuzz
from fuzz.targets import SEEDS, TARGETS

SECONDS = 4
FEWEST = 50
"""Executions: with fewer it was not tried."""


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_a_stranger_sends_breaks_hangs_or_grows(target: str) -> None:
    fuzzed = fuzz(target, seconds=SECONDS)
    print(f"{target}: {fuzzed.executions} executions")
    assert not fuzzed.found
    assert fuzzed.executions > FEWEST


def test_a_reader_that_breaks_is_found() -> None:
    fuzzed = fuzz("broken", seconds=30)
    assert "IndexError" in fuzzed.found


@pytest.mark.parametrize("target", TARGETS)
def test_it_begins_with_good_inputs(target: str) -> None:
    for seed in SEEDS[target]:
        TARGETS[target](seed)
