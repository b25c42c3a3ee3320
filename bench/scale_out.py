"""Speech to text with one worker and with two: what the second one adds.

Utterances of five seconds, of the tests' unseen voices, are recorded on PostgreSQL and
rung for over Redis, as many processes of an installation do; workers of one thread each
write them down. Counted is the sound written down in a second, from the tenth hundredth
to the ninetieth: what comes before and behind that is waiting for each other.

Two workers need two cores that are theirs. How much the machine has of that is counted
beside it: the same engine without any of ours around it, in one process and in two.

`python bench/scale_out.py`. Target: 1.8 times as much.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np
import psycopg
from numpy.typing import NDArray
from postgres import postgres_server
from speech import voices
from stack import MODEL, Stack, redis_server, wait_for

RATE = 16_000
SECONDS = 5
VARIETY = 20
TARGET = 1.8
WITHIN_S = 900.0
RECORD = """
import uuid
import numpy as np
from django.utils import timezone
from sessions.models import Participant, State, VoiceSession
from transcripts import utterances
session = VoiceSession.objects.create(
    source="browser", state=State.ACTIVE, started_at=timezone.now())
person = Participant.objects.create(session=session, key="a", name="Ada")
sounds = np.load({path!r})
second = 48_000
for number in range({count}):
    start = number * {seconds} * second
    utterances.record(utterances.Spoken(
        public_id=uuid.uuid4(), session_id=session.pk, participant_id=person.pk,
        start=start, end=start + {seconds} * second, audio_start=start,
        audio=sounds[number % len(sounds)].tobytes()))
"""
FINISHED = """
SELECT extract(epoch FROM finished_at)::float8 FROM transcripts_utterance
WHERE finished_at IS NOT NULL
"""

Pcm = NDArray[np.int16]


class Workers(Stack):
    """So many of them, and nobody else."""

    def __init__(self, count: int, **env: str) -> None:
        self._count = count
        super().__init__(
            programs=("stt",),
            STT_WORKERS=str(count),
            **({"STT_CPU_THREADS": "1", "STT_LANGUAGE": "en"} | env),
        )

    def wait_healthy(self) -> None:
        def all_ready() -> bool:
            return self.log("stt").count("state=ready") == self._count

        wait_for("the workers", all_ready, within_s=90)


def sounds() -> Pcm:
    """Five seconds each: shape (`VARIETY`, samples)."""
    phrases = voices.unseen_phrases(VARIETY * 3, seed=11, min_words=3)
    found = []
    for number in range(VARIETY):
        said = voices.speak_phrases(phrases[number * 3 :][:3], pause_s=0.3)
        found.append(np.resize(said, SECONDS * RATE))
    return np.stack(found).astype("<i2")


def with_workers(count: int, utterances: int, path: Path, **env: str) -> float:
    """Seconds of sound written down in a second."""
    with postgres_server() as url, Workers(count, DATABASE_URL=url, **env) as workers:
        words = {"path": str(path), "count": utterances, "seconds": SECONDS}
        workers.manage("shell", "-v0", "-c", RECORD.format(**words))
        done: list[float] = []

        def are_done() -> bool:
            time.sleep(1.0)  # both cores are the workers'
            with psycopg.connect(url) as database:
                done[:] = [at for (at,) in database.execute(FINISHED)]
            return len(done) == utterances

        wait_for("the last text", are_done, within_s=WITHIN_S)
    return rate(done)


def rate(done: list[float]) -> float:
    """Of the middle four fifths."""
    done = sorted(done)
    first, last = len(done) // 10, len(done) * 9 // 10
    return (last - first) * SECONDS / (done[last] - done[first])


# --- the engine alone -----------------------------------------------------------------


def engine_alone(count: int, utterances: int, path: Path) -> float:
    """The same sound, in so many processes that share nothing."""
    fork = multiprocessing.get_context("spawn")
    told: Any = fork.Queue()
    barrier: Any = fork.Barrier(count)
    share = utterances // count
    running = [
        fork.Process(target=_transcribe, args=(share, str(path), barrier, told))
        for _ in range(count)
    ]
    for process in running:
        process.start()
    done = [told.get(timeout=WITHIN_S) for _ in range(share * count)]
    for process in running:
        process.join(30)
    return rate(done)


def _transcribe(count: int, path: str, barrier: Any, told: Any) -> None:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(MODEL), device="cpu", compute_type="int8", cpu_threads=1)
    stock = np.load(path).astype(np.float32) / 32768
    barrier.wait(60)
    for number in range(count):
        segments, _ = model.transcribe(stock[number % len(stock)], language="en")
        list(segments)
        told.put(time.time())


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--utterances", type=int, default=200)
    how = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as parts:
        path = Path(folder, "sounds.npy")
        np.save(path, sounds())
        env = {"REDIS_URL": parts.enter_context(redis_server())}
        alone = [engine_alone(n, how.utterances, path) for n in (1, 2)]
        print(
            f"engine alone: {alone[0]:.1f} s of sound a second in one process, "
            f"{alone[1]:.1f} in two: {alone[1] / alone[0]:.2f} times"
        )
        found = [with_workers(n, how.utterances, path, **env) for n in (1, 2)]
    gain = found[1] / found[0]
    print(
        f"workers: {found[0]:.1f} s of sound a second with one, {found[1]:.1f} with "
        f"two: {gain:.2f} times (target: {TARGET}); {os.cpu_count()} cores"
    )
    return 0 if gain >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
