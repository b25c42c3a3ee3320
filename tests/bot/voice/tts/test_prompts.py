"""Speech that is kept."""

from __future__ import annotations

import numpy as np
import pytest

from bot.voice.tts.prompts import Prompt, Prompts


def prompt(text: str, **other: str | int) -> Prompt:
    return Prompt(text, "en", "espeak", 8000)._replace(**other)  # type: ignore[arg-type]


def sound(samples: int) -> np.ndarray:
    return np.ones(samples, np.int16)


def test_the_same_text_is_found_and_another_voice_is_not() -> None:
    prompts = Prompts(max_bytes=1000)
    prompts.put(prompt("hello"), sound(10))
    assert prompts.get(prompt("hello")) is not None
    for other in ({"language": "uk"}, {"voice": "piper"}, {"rate": 48000}):
        assert prompts.get(prompt("hello", **other)) is None


def test_what_was_not_asked_for_the_longest_time_goes() -> None:
    prompts = Prompts(max_bytes=60)
    for text in "abc":
        prompts.put(prompt(text), sound(10))
    assert prompts.get(prompt("a")) is not None
    prompts.put(prompt("d"), sound(10))
    assert [prompts.get(prompt(text)) is not None for text in "abcd"] == [
        True,
        False,
        True,
        True,
    ]
    assert prompts.size_bytes == 60


def test_what_is_too_large_is_not_kept_and_what_is_pinned_always() -> None:
    prompts = Prompts(max_bytes=60)
    prompts.put(prompt("greeting"), sound(10))
    prompts.pin(prompt("greeting"), sound(10))
    assert prompts.size_bytes == 0
    prompts.put(prompt("long"), sound(100))
    assert prompts.get(prompt("long")) is None
    prompts.put(prompt("greeting"), sound(10))
    prompts.put(prompt("short"), sound(20))
    prompts.put(prompt("other"), sound(20))
    assert prompts.get(prompt("greeting")) is not None
    assert prompts.size_bytes == 40


def test_what_is_shared_cannot_be_written_into() -> None:
    prompts = Prompts(max_bytes=60)
    prompts.put(prompt("a"), sound(10))
    kept = prompts.get(prompt("a"))
    assert kept is not None
    with pytest.raises(ValueError):
        kept[0] = 0
