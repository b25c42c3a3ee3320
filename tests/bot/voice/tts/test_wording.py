"""What is left of a text once it is to be spoken."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.voice.tts.wording import MAX_CHARS, clean


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Ви ще на лінії?", "Ви ще на лінії?"),
        (" two\n\tlines\x00\x1b[2J ", "two lines [2J"),
        ("**Yes**, `ls` and ~~no~~", "Yes, ls and no"),
        ("# Title\n- one\n- two", "Title one two"),
        ("See [our page](https://x.org/y).", "See our page."),
        ("Press * or # now", "Press * or # now"),
        ("#", "#"),
        ("Fine 😀👍🏽 thanks ❤️", "Fine 🏽 thanks"),
        ("20 °C, 5 €, № 7", "20 °C, 5 €, № 7"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("soft\u00adhy\u202ephen", "softhyphen"),
        ("e\u0301", "é"),
        ("bad \ud800 \ufffd sign", "bad sign"),
        ("...", ""),
        ("\u200b \u00ad", ""),
        ("😀", ""),
        ("", ""),
    ],
)
def test_it_keeps_what_can_be_said(text: str, spoken: str) -> None:
    assert clean(text) == spoken


def test_a_long_text_ends_with_a_word() -> None:
    cut = clean("word " * 1000)
    assert MAX_CHARS - 5 <= len(cut) <= MAX_CHARS
    assert cut.endswith("word")
    assert len(clean("字" * 5000)) == MAX_CHARS


@settings(max_examples=40)
@given(st.text(max_size=300))
def test_it_takes_anything_and_nothing_is_left_to_clean(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.isprintable() or "\u200c" in cleaned or "\u200d" in cleaned
    assert cleaned == " ".join(cleaned.split())
    cleaned.encode("utf-8")
