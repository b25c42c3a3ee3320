"""Names fit for a screen, whatever is typed."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.names import clean

anything = st.text(max_size=120)
anything.validate()  # Hypothesis makes its table of Unicode: 3 s, once in a fresh clone


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Alice", "Alice"),
        ("  Alice \t\r\n Bob ", "Alice Bob"),
        ("\x00\x1b[31mred", "[31mred"),
        ("\u202eevil\u202c", "evil"),
        ("a\u200bb\ufeffc", "abc"),
        ("\u2028line\u2029", "line"),
        ("e\u0301", "é"),
        ("Zoë Ünal 李雷 🙂", "Zoë Ünal 李雷 🙂"),
        ("e" + "\u0335" * 50, "e" + "\u0335" * 3),
        ("\ud800x", "x"),
        ("\ue000", ""),
        ("", ""),
        ("\u200f \u200e", ""),
    ],
)
def test_it_keeps_what_can_be_seen(raw: str, shown: str) -> None:
    assert clean(raw, longest=80) == shown


@given(anything, st.integers(1, 80))
def test_whatever_comes_out_is_one_line_of_that_length(raw: str, longest: int) -> None:
    name = clean(raw, longest=longest)
    assert len(name) <= longest
    assert name == name.strip()
    assert not any(unicodedata.category(c)[0] == "C" for c in name)
    name.encode()  # storable: no lone surrogates
    assert clean(name, longest=longest) == name


def test_what_is_endless_costs_no_more_than_what_is_long() -> None:
    def cost_s(times: int) -> float:
        raw = "a\u0301\u0316" * times
        began = time.process_time()
        assert clean(raw, longest=80)
        return time.process_time() - began

    long = min(cost_s(10_000) for _ in range(3))
    endless = min(cost_s(3_000_000) for _ in range(3))  # 300 times the length
    assert endless < 10 * long
