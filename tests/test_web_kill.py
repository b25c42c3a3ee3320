"""The web is killed in mid-sentence: the speaker comes back, no word is lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from speech import voices
from stack import Stack
from talk import Microphone, Viewer, word_errors, words_of


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack() as running:
        yield running


async def test_a_killed_web_process_costs_no_word(stack: Stack) -> None:
    phrases = voices.unseen_phrases(8, seed=5, min_words=3)
    spoken = voices.speak_phrases(phrases, pause_s=1.1)
    pcm = np.concatenate([voices.silence(0.5), spoken, voices.silence(1.5)])
    pcm = pcm[: len(pcm) // 320 * 320]
    session = stack.new_session()
    microphone = Microphone(session["audio_url"], pcm)
    speaking = asyncio.create_task(microphone.speak())
    for _ in range(2):
        await asyncio.sleep(5)
        stack.kill("web")
        stack.start("web")
        await asyncio.to_thread(stack.wait_healthy)
    await asyncio.wait_for(speaking, 90)
    viewer = Viewer(session["events_url"])
    reading = asyncio.create_task(viewer.read())

    def everything_written(_: Viewer) -> bool:
        found = stack.api("GET", f"/sessions/{session['id']}")
        gone = not any(person["present"] for person in found["participants"])
        told = viewer.last_seq == found["last_seq"]
        return bool(gone and told and found["speech"]["behind_s"] == 0)

    await asyncio.sleep(0.5)
    await viewer.until(everything_written, within_s=30)
    reading.cancel()
    assert len(microphone.resumed_at) >= 3
    lines = sorted(viewer.lines, key=lambda e: e["start_ms"])
    for before, after in itertools.pairwise(lines):
        assert before["end_ms"] <= after["start_ms"] + 40
    said = words_of(" ".join(phrases))
    heard = words_of(" ".join(line["text"] for line in lines))
    print(f"{word_errors(said, heard)} errors in {len(said)} words, {len(lines)} lines")
    assert word_errors(said, heard) <= 0.2 * len(said)
    first = lines[0]["start_ms"]
    onset = spoken_ms(pcm, 0)
    for line in lines:
        nearest = min(abs(line["start_ms"] - first - (s - onset)) for s in starts(pcm))
        assert nearest <= 150, (line["start_ms"], starts(pcm))
    assert [e["present"] for e in viewer.of_type("participant")] == [True, False]


def starts(pcm: NDArray[np.int16]) -> list[float]:
    """Where each phrase begins, in ms: sound after at least 0.9 s of silence."""
    loud = np.flatnonzero(np.abs(pcm) > 300)
    gaps = np.flatnonzero(np.diff(loud) > 0.7 * 16_000)
    return [float(loud[0] / 16), *(float(loud[g + 1] / 16) for g in gaps)]


def spoken_ms(pcm: NDArray[np.int16], number: int) -> float:
    return starts(pcm)[number]
