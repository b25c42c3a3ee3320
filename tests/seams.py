"""Many rotations, and what is heard across them: for a test, and at length in bench.

Everybody talks whenever a chunk ends, so that every seam is inside of sound. The clock
is told what time it is: a second of sound takes milliseconds.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onsets import DECODERS

from sessions.audio.journal import Journal
from sessions.audio.mp3frames import FRAME_SAMPLES, joined
from sessions.capture.capture import Capture
from sessions.capture.recorder import record
from sessions.capture.sinks import Track
from sessions.capture.tape import FRAME_BYTES, Tape
from sessions.spool import Folder

RATE = 16_000
FRAME = RATE // 10
SECOND = 48_000
NEAR = 1_200
"""Samples at 48 kHz on each side of a seam that are looked at: 25 ms."""
FAR = 60
"""How far, in samples, sound is looked for around where it should be."""
NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def talk(seconds: int, *, seed: int) -> NDArray[np.int16]:
    """Noise of a voice's band around every whole second; silence between."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(seconds * RATE)
    smooth = np.convolve(noise, np.hanning(12) / 6, mode="same")
    second = np.arange(len(noise)) % RATE
    near = (second < RATE // 8) | (second >= RATE - RATE // 8)
    return np.asarray(5000 * smooth * near, np.int16)


class Speaker:
    """One connection, of somebody who begins a second after time zero."""

    def __init__(self, track: Track, sound: NDArray[np.int16]) -> None:
        self.sound = sound
        self._now = 500.0
        recorder = record(track)
        assert recorder is not None
        self.capture = Capture(
            track,
            zero_s=499.0,
            rate=RATE,
            sinks=[recorder],
            clock=lambda: self._now,
        )

    def says(self, at: int) -> None:
        self._now += FRAME / RATE
        self.capture.offer(self.sound[at : at + FRAME].tobytes())


def a_track(
    session_id: int,
    session: uuid.UUID,
    participant_id: int,
    participant: uuid.UUID | None = None,
) -> Track:
    return Track(
        *(session_id, session, participant_id, participant or uuid.uuid4()),
        name="Somebody",
        started_at=NOON,
        recorded=True,
    )


async def all_record(tracks: list[Track], *, seconds: int) -> list[NDArray[np.int16]]:
    """Everybody at once, as fast as it goes; what each of them said."""
    crowd = [
        Speaker(track, talk(seconds, seed=seed)) for seed, track in enumerate(tracks)
    ]
    for at in range(0, seconds * RATE, FRAME):
        for speaker in crowd:
            speaker.says(at)
        if at % (RATE * 2) == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*(speaker.capture.close() for speaker in crowd))
    return [speaker.sound for speaker in crowd]


@dataclass(frozen=True)
class Verdict:
    """Of one track's seams."""

    seams: int
    is_the_unbroken_stream: bool
    """The joined chunks are, byte for byte, what is made without any rotation."""
    lengths: dict[str, int]
    """Samples too many, by decoder."""
    moved: dict[str, int]
    """Seams around which sound is not exactly where it was."""
    worst_db: dict[str, float]
    """The least signal-to-noise ratio around a seam."""


def verdict(folder: Folder, sound: NDArray[np.int16], work: Path) -> Verdict:
    """Look at every seam of a track, by its bytes and through two decoders."""
    chunks = folder.chunks()
    for (first, path), (following, _) in itertools.pairwise(chunks):
        assert first + path.stat().st_size // FRAME_BYTES == following
    pieces = [path.read_bytes() for _, path in chunks]
    work.mkdir()
    tape = Tape(Folder(work), chunk_s=1e6)
    with folder.journal.open("rb") as file:
        placed = list(Journal(file).placed())
    for piece in placed:
        assert not tape.put(piece)
    (whole,) = tape.finish()
    start = chunks[0][0] * FRAME_SAMPLES
    length = placed[-1].end - start
    file_ = work / "joined.mp3"
    file_.write_bytes(joined(pieces, samples=length))
    truth = np.zeros(length, np.float32)
    truth[placed[0].position - start :: 3] = sound / 32768
    seams = [first * FRAME_SAMPLES - start for first, _ in chunks[1:]]
    heard = {
        name: np.concatenate(list(decode(file_))) for name, decode in DECODERS.items()
    }
    judged = {name: _judged(found, truth, seams) for name, found in heard.items()}
    return Verdict(
        seams=len(seams),
        is_the_unbroken_stream=b"".join(pieces) == whole.path.read_bytes(),
        lengths={name: len(found) - length for name, found in heard.items()},
        moved={name: moved for name, (moved, _) in judged.items()},
        worst_db={name: worst for name, (_, worst) in judged.items()},
    )


def _judged(
    heard: NDArray[Any], truth: NDArray[np.float32], seams: list[int]
) -> tuple[int, float]:
    """Sound is compared where the truth has samples: at every third."""
    moved, worst = 0, 99.0
    for seam in seams:
        at = max(seam - NEAR, FAR)
        true = truth[at : seam + NEAR].astype(float)
        near = heard[at - FAR : at + len(true) + FAR].astype(float)
        if len(near) < len(true) + 2 * FAR or not true.any():
            continue  # behind the last word
        likeness = np.correlate(near, true, mode="valid")
        moved += int(np.argmax(likeness)) != FAR
        here, said = near[FAR:-FAR][true != 0], true[true != 0]
        gain = float(here @ said) / float(said @ said)
        noise = float(((here - gain * said) ** 2).sum()) + 1e-12
        worst = min(worst, 10 * float(np.log10(gain**2 * (said @ said) / noise)))
    return moved, worst
