from __future__ import annotations

from dataclasses import replace

import pytest

from transcripts.guards import Heard, reason_to_drop

SPOKEN = Heard(
    text=" Good morning everybody.",
    language="en",
    start_s=0.0,
    end_s=2.0,
    no_speech_prob=0.1,
    compression_ratio=1.2,
    rms=0.05,
)


def test_it_believes_what_was_spoken() -> None:
    assert reason_to_drop(SPOKEN) == ""


@pytest.mark.parametrize(
    ("made_up", "reason"),
    [
        (replace(SPOKEN, no_speech_prob=0.61), "no_speech"),
        (replace(SPOKEN, compression_ratio=2.5), "repetition"),
        (replace(SPOKEN, end_s=0.6), "too_fast"),
        (replace(SPOKEN, text=" Thank you.", rms=0.002), "stock_phrase"),
        (
            replace(SPOKEN, text="Vielen Dank!", language="de", rms=0.001),
            "stock_phrase",
        ),
    ],
)
def test_it_drops_what_silence_makes_up(made_up: Heard, reason: str) -> None:
    assert reason_to_drop(made_up) == reason


@pytest.mark.parametrize(
    "spoken",
    [
        replace(SPOKEN, text=" Thank you."),  # loud enough to have been said
        replace(SPOKEN, rms=0.001),  # quiet, but nobody makes that up
        replace(SPOKEN, text="Vielen Dank", rms=0.001),  # not this language's phrase
        replace(SPOKEN, text="yes", end_s=0.02),  # too short for a rate
        replace(SPOKEN, no_speech_prob=0.6),
    ],
)
def test_it_keeps_what_looks_alike(spoken: Heard) -> None:
    assert reason_to_drop(spoken) == ""
