"""The whole road, in real processes: WebSocket, detection, row, task, model, feed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from speech import voices
from stack import Stack
from talk import Viewer, reading, talk, word_errors, words_of

WORDS = 100
LIMIT = 0.08
SEED = 20_261_121


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as running:
        yield running


async def test_words_arrive_on_the_screen_of_another(stack: Stack) -> None:
    """≥ 100 unseen words in four unseen voices at once: word error ≤ 8 %."""
    session = stack.new_session(title="The whole road")
    phrases = voices.unseen_phrases(32, seed=SEED)
    speakers = {
        f"Speaker-{i}": (phrases[i::4], voice)
        for i, voice in enumerate(voices.UNSEEN_VOICES[:4])
    }
    async with reading(session) as viewer:
        await asyncio.gather(
            *(
                talk(session, sound(said, voice), name=name)
                for name, (said, voice) in speakers.items()
            )
        )
        await viewer.until(lambda v: is_complete(v, stack, session), within_s=30)
    said_count = wrong = 0
    for name, (said, _) in speakers.items():
        said_words = words_of(" ".join(said))
        lines = sorted(
            (e for e in viewer.lines if e["name"] == name), key=lambda e: e["start_ms"]
        )
        wrong += word_errors(said_words, words_of(" ".join(e["text"] for e in lines)))
        said_count += len(said_words)
    print(f"{wrong} errors in {said_count} words: {wrong / said_count:.1%}")
    assert said_count >= WORDS
    assert wrong / said_count <= LIMIT


def sound(phrases: list[str], voice: str) -> np.ndarray:
    """The phrases, each an utterance of its own: 1.2 s of silence between them."""
    spoken = voices.speak_phrases(phrases, voice=voice, pause_s=1.2)
    return np.concatenate([voices.silence(0.5), spoken, voices.silence(1.2)])


def is_complete(viewer: Viewer, stack: Stack, session: dict[str, str]) -> bool:
    """Everybody has left and nothing waits for its text any more."""
    gone = [e for e in viewer.of_type("participant") if not e["present"]]
    if len(gone) < 4:
        return False
    found = stack.api("GET", f"/sessions/{session['id']}")
    return bool(
        found["speech"]["behind_s"] == 0 and viewer.last_seq == found["last_seq"]
    )
