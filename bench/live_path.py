"""What one participant costs on the live path: journal, clock, encoder, chunks.

CPU seconds for each second of a session, in one process and without waiting; speech
recognition is not part of it. A participant talks 27 % of the time; the rest of the
time a browser sends digital silence, and a source like Discord nothing at all.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import uuid
from collections import deque
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
FRAME = 960
SECONDS = 600
TALK_S, PAUSE_S = 2.7, 7.3


def talk() -> NDArray[np.int16]:
    """Ten seconds: noise of the voice's band for 2.7 of them."""
    rng = np.random.default_rng(1)
    noise = np.convolve(rng.standard_normal(int(TALK_S * RATE)), np.hanning(24) / 12)
    pcm = np.zeros(int((TALK_S + PAUSE_S) * RATE), np.int16)
    pcm[: int(TALK_S * RATE)] = 6000 * noise[: int(TALK_S * RATE)]
    return pcm


def cost(*, sends_silence: bool) -> float:
    """Milliseconds of CPU for each second of one participant."""
    from datetime import UTC, datetime

    from sessions.audio.frames import Placed
    from sessions.audio.journal import Head
    from sessions.capture.capture import Capture
    from sessions.capture.diary import Diary
    from sessions.capture.sinks import Track
    from sessions.capture.tape import Tape
    from sessions.spool import Folder

    class Sink:
        """The recorder without its thread: the same work in a row."""

        def __init__(self, folder: Folder) -> None:
            head = Head("s", "p", 1, 1, RATE, "", "")
            self.diary = Diary(folder, head)
            self.tape = Tape(folder, chunk_s=300)
            self.unplaced: deque[tuple[int, int]] = deque()

        def arrive(self, frame: object) -> None:
            self.unplaced.append((self.diary.sound(frame), len(frame.pcm)))  # type: ignore[arg-type, attr-defined]

        def hear(self, placed: Placed) -> None:
            number, samples = self.unplaced.popleft()
            dropped = samples - len(placed.pcm)
            self.diary.placed(number, placed.position, dropped=dropped)
            self.tape.put(placed)

        def settled(self) -> int | None:
            return None

        async def close(self) -> None:
            return None

    with tempfile.TemporaryDirectory() as home:
        folder = Folder(Path(home) / "a")
        folder.path.mkdir()
        now = 0.0
        capture = Capture(
            Track(1, uuid.uuid4(), 1, uuid.uuid4(), "Ada"),
            started_at=datetime.fromtimestamp(0, UTC),
            rate=RATE,
            sinks=[Sink(folder)],
            clock=lambda: now,
            wall=lambda: 0.0,
        )
        sound = talk()
        frames = [
            sound[at : at + FRAME].tobytes() for at in range(0, len(sound), FRAME)
        ]
        began = time.process_time()
        for number in range(SECONDS * 50):
            now += 0.02
            if sends_silence or number % len(frames) < TALK_S * 50:
                capture.offer(frames[number % len(frames)])
        capture.halt()
        return 1000 * (time.process_time() - began) / SECONDS


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
    os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="parley-bench-"))
    import django

    django.setup()
    print("Live path, CPU for each second of one participant (27 % talk, 48 kHz):")
    for name, sends in (("sends silence", True), ("sends talk only", False)):
        least = min(cost(sends_silence=sends) for _ in range(3))
        print(
            f"  {name:16} {least:5.2f} ms   {1000 / least:5.0f} participants per core"
        )


if __name__ == "__main__":
    main()
