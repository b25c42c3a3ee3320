"""Without a speech model the session goes on; its words come when the model does."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from speech import voices
from stack import MODEL, Stack
from talk import reading, talk, words_of


@pytest.fixture
def stack() -> Iterator[Stack]:
    running = Stack()
    running.env["STT_MODEL"] = str(running.folder / "model")
    with running:
        yield running


async def test_words_wait_for_the_model_and_come_when_it_does(stack: Stack) -> None:
    health = stack.health()
    assert health["status"] == "degraded"
    assert health["parts"]["speech"]["state"] == "missing"
    assert "model" in health["parts"]["speech"]["reason"].lower()
    session = stack.new_session()
    phrases = voices.unseen_phrases(2, seed=3)
    spoken = voices.speak_phrases(phrases, pause_s=1.2)
    pcm = np.concatenate([voices.silence(0.5), spoken, voices.silence(1.2)])
    async with reading(session) as viewer:
        await talk(session, pcm)
        told = [p for p in viewer.partials if p["type"] == "speech"]
        assert told[-1]["state"] == "missing"
        assert viewer.lines == []
        await asyncio.to_thread(shutil.copytree, MODEL, stack.folder / "model")
        await viewer.until(lambda v: len(v.lines) == len(phrases), within_s=40)
    heard = words_of(" ".join(line["text"] for line in viewer.lines))
    said = words_of(" ".join(phrases))
    assert len(set(heard) & set(said)) >= 0.6 * len(set(said))
    assert stack.health()["parts"]["speech"]["state"] == "ready"
