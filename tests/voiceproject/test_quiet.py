"""A whole conversation in real processes, every warning an error: nothing is told."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from speech import voices
from stack import Stack
from talk import reading, talk

PHRASES = ["hello team thank you", "open the meeting please"]
COMPLAINT = re.compile(r"Warning|Traceback|Exception ignored|\[(?:warning|error) +\]")
# asyncio's own, in development mode, about a machine that was busy for 0.1 s.
BUSY = re.compile(r"Executing <.* took [\d.]+ seconds")
PATIENCE_S = 30


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(PYTHONDEVMODE="1", PYTHONWARNINGS="error") as running:
        yield running


async def test_no_process_complains(stack: Stack) -> None:
    spoken = voices.speak_phrases(PHRASES, voice=voices.UNSEEN_VOICES[0], pause_s=1.2)
    session = stack.new_session()
    async with reading(session) as viewer:
        await talk(session, np.concatenate([spoken, voices.silence(1.2)]))
        await viewer.until(lambda v: len(v.lines) >= 2, within_s=PATIENCE_S)
        stack.api("POST", f"/sessions/{session['id']}/end")
        await viewer.until(
            lambda v: v.of_type("state")[-1]["state"] == "ready", within_s=PATIENCE_S
        )
    stack.stop()  # its end belongs to it
    told = stack.logs()
    assert "web.stopped" in told
    complaints = [line for line in told.splitlines() if COMPLAINT.search(line)]
    assert not [line for line in complaints if not BUSY.search(line)]
