"""The demo: what its microphones hear, and that its speakers are understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stack import ROOT, Stack, wait_for

from voiceproject import demo
from voiceproject.demo import BREATH_S, LEAD_S, RATE, TURN_S, Clip

CLIPS = ROOT / "tests" / "speech" / "clips"
SAID = 3


def clip(speaker: str, value: int, *, seconds: float = 1.0) -> Clip:
    return Clip(speaker, np.full(int(seconds * RATE), value, np.int16))


def bounds(samples: demo.Samples, value: int) -> tuple[float, float]:
    """When a value is heard: the first and last second of it."""
    where = np.flatnonzero(samples == value)
    return where[0] / RATE, (where[-1] + 1) / RATE


def is_ready(session: dict[str, Any]) -> bool:
    return bool(session["state"] == "ready")


def test_a_microphone_hears_its_speaker_alone() -> None:
    heard = demo.microphones([clip("ada", 1), clip("ben", 2)])
    assert set(heard["ada"]) == {0, 1}
    assert set(heard["ben"]) == {0, 2}
    assert len(heard["ada"]) == len(heard["ben"])


def test_people_take_turns_and_breathe_between_their_own_phrases() -> None:
    heard = demo.microphones([clip("ada", 1), clip("ben", 2), clip("ben", 3)])
    first, second, third = (
        bounds(heard[name], value)
        for name, value in (("ada", 1), ("ben", 2), ("ben", 3))
    )
    assert first[0] == pytest.approx(LEAD_S + TURN_S)
    assert second[0] - first[1] == pytest.approx(TURN_S)
    assert third[0] - second[1] == pytest.approx(BREATH_S)


def test_a_conversation_can_be_said_again() -> None:
    clips = [clip("ada", 1), clip("ben", 2)]
    heard = demo.microphones(clips, times=3)["ada"]
    assert np.count_nonzero(np.diff(heard) == 1) == 3


def test_every_clip_of_the_repository_can_be_read() -> None:
    clips = demo.read_conversation(CLIPS)
    assert len({one.speaker for one in clips}) == 3
    assert all(0.3 * RATE < len(one.samples) < 5 * RATE for one in clips)
    assert all(np.abs(one.samples).max() > 1000 for one in clips)


def test_speakers_without_account_or_microphone_are_understood(tmp_path: Path) -> None:
    index = json.loads((CLIPS / "clips.json").read_text())[:SAID]
    for entry in index:
        (tmp_path / entry["file"]).symlink_to(CLIPS / entry["file"])
    (tmp_path / "clips.json").write_text(json.dumps(index))
    with Stack() as stack:
        words = ("--clips", str(tmp_path), "--rounds", "1", "--times", "1")
        told = stack.manage("speakers", *words)
        (session,) = stack.api("GET", "/sessions")["items"]
        assert session["id"] in told
        path = f"/sessions/{session['id']}"
        wait_for("its end", lambda: is_ready(stack.api("GET", path)), within_s=30)
        heard = stack.api("GET", f"{path}/transcript.json")
    texts = [line["text"] for line in heard["lines"]]
    assert texts == [entry["text"] for entry in index]
