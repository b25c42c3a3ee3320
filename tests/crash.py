"""Kills a recording process at random moments, and looks at what is left of it.

    python tests/crash.py TRIALS [SEED]

Each trial is a process that records, rotates, stores, joins and mixes as fast as it
can, and tells what it has received. It is killed at a random moment; then a process as
after a restart carries what is left to its end. One line of JSON for each trial.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
FRAME = 320
SOUND_S = 6.0
STAGES = {-1: "joining", -2: "mixing", -3: "done"}


def said() -> NDArray[np.int16]:
    """What is heard: shaped like speech, and nowhere like itself."""
    rng = np.random.default_rng(77)
    noise = rng.standard_normal(int(SOUND_S * RATE))
    smooth = np.convolve(noise, np.hanning(12) / 6, mode="same")
    swell = 0.6 + 0.4 * np.sin(np.arange(len(noise)) / RATE * 17)
    return np.asarray(5000 * smooth * swell, np.int16)


def victim(tell: Callable[[int], None]) -> None:
    """Record everything, and finish it; tells the samples received, then its stage."""
    from channels.db import database_sync_to_async

    from sessions import finish, mixing, opening, participants
    from sessions.capture.capture import Capture
    from sessions.capture.recorder import record
    from sessions.capture.sinks import Track

    opened = opening.open_browser_session(owner=None)
    session = opened.session
    person = participants.join(session.pk, key="a", name="Ada", connection="one")
    track = Track(
        session.pk,
        session.public_id,
        person.pk,
        person.public_id,
        "Ada",
        started_at=session.started_at,
        recorded=True,
    )

    async def talk() -> None:
        now = 500.0
        recorder = record(track)
        assert recorder is not None
        assert session.started_at is not None
        zero = session.started_at.timestamp()
        capture = Capture(
            track,
            started_at=session.started_at,
            rate=RATE,
            sinks=[recorder],
            clock=lambda: now,
            wall=lambda: zero + 1.0,
        )
        sound = said()
        for at in range(0, len(sound), FRAME):
            now += 0.02
            capture.offer(sound[at : at + FRAME].tobytes())
            tell(at + FRAME)
            await asyncio.sleep(0.001)
        await capture.close()
        await leave(session.pk, person.pk, connection="one")
        await finish.end(session.pk, reason="asked")

    leave = database_sync_to_async(participants.leave)
    asyncio.run(talk())
    tell(-1)
    mixing.fragments(session.pk)
    tell(-2)
    finish.complete(session.pk)
    tell(-3)


def survivor() -> dict[str, Any]:
    """As after a restart: end what nobody holds, and see what there is of it."""
    from sessions import finish, participants, recordings, spool
    from sessions.audio.journal import Journal
    from sessions.models import State, Tier, VoiceSession
    from sessions.storage import storage

    session = VoiceSession.objects.first()
    if session is None:
        return {"journaled": 0, "ready": True, "recorded": 0, "lag": 0, "snr_db": 99.0}
    journaled = None
    for folder in spool.folders(session.public_id):
        file = io.BytesIO(folder.journal.read_bytes())
        heard = [placed.pcm for placed in Journal(file).placed()]
        pcm = np.concatenate([np.zeros(0, np.int16), *heard])
        assert np.array_equal(pcm, said()[: len(pcm)]), "the journal says otherwise"
        journaled = len(pcm)
    participants.leave_all(session.pk)  # who died is not there: the reaper's first act
    if session.state == State.ACTIVE:
        asyncio.run(finish.close(session.pk, reason="recovered"))
    finish.complete(session.pk)
    session.refresh_from_db()
    found: dict[str, Any] = {"journaled": journaled, "ready": session.state == "ready"}
    masters = recordings.of_tier(session.pk, Tier.MASTER)
    if not masters:
        return {**found, "recorded": 0, "lag": 0, "snr_db": 99.0}
    (fragment,) = recordings.of_tier(session.pk, Tier.FRAGMENT)
    path = Path(tempfile.mkdtemp()) / "fragment.mp3"
    storage().get(fragment.key, path)
    played = decoded(path)
    storage().get(masters[0].key, path)
    assert len(decoded(path)) == masters[0].duration
    # The stream's first sample stands one second after time zero.
    begins = 48_000 - fragment.start
    sound = played[begins:][::3]
    lag, snr_db = likeness(sound, said()[: len(sound)])
    return {**found, "recorded": len(sound), "lag": lag, "snr_db": snr_db}


def decoded(path: Path) -> NDArray[np.float64]:
    import av

    with av.open(str(path), "r") as file:
        frames = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
    return np.concatenate(frames).astype(float) * 32768


def likeness(sound: NDArray[Any], truth: NDArray[Any]) -> tuple[int, float]:
    """How many samples the last 100 ms are moved; and how clean (dB) the worst of all
    tenths of a second is, whatever its loudness became."""
    tail = truth[-1600:].astype(float)
    near = np.concatenate([np.zeros(40), sound, np.zeros(40)])[-len(tail) - 80 :]
    lag = int(np.argmax(np.correlate(near, tail, mode="valid"))) - 40
    worst = 99.0
    for at in range(0, len(truth) - 1600, 1600):
        here, true = sound[at : at + 1600], truth[at : at + 1600].astype(float)
        gain = float(here @ true) / float(true @ true)
        noise = float(((here - gain * true) ** 2).sum()) + 1e-9
        signal_ = float(((gain * true) ** 2).sum()) + 1e-9
        worst = min(worst, 10 * float(np.log10(signal_ / noise)))
    return lag, worst


def forked(work: Callable[[Callable[[int], None]], Any]) -> tuple[int, int]:
    """Run `work` in a process of its own; its id, and where it tells."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        work(lambda n: void(os.write(writing, struct.pack("<i", n))))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def void(_: object) -> None:
    return None


def trial(folder: Path, *, after_s: float) -> dict[str, Any]:
    """Kill one, and recover it."""
    pid, told = forked(victim)
    with os.fdopen(told, "rb", buffering=0) as reports:
        first = reports.read(4)  # it has begun
        time.sleep(after_s)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        data = first + b"".join(iter(lambda: reports.read(1 << 16), b""))
    told_of = [n for (n,) in struct.iter_unpack("<i", data)]
    result = folder / "result.json"

    def look(_: object) -> None:
        result.write_text(json.dumps(survivor()))

    pid, _ = forked(look)
    _, status = os.waitpid(pid, 0)
    found = json.loads(result.read_text()) if status == 0 else {"crashed": status}
    stage = STAGES.get(told_of[-1], "recording") if told_of else "recording"
    return {"received": max([0, *told_of]), "stage": stage, **found}


def main(trials: int, seed: int) -> None:
    home = Path(tempfile.mkdtemp(prefix="parley-crash-"))
    os.environ.update(DATA_DIR=str(home / "now"), RECORDING_CHUNK_S="1.0")
    os.environ["DJANGO_SETTINGS_MODULE"] = "voiceproject.settings"
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    import sessions.mixing
    import sessions.recovery  # noqa: F401 (what a trial needs is loaded once)

    call_command("migrate", verbosity=0)
    connections.close_all()
    shutil.copytree(home / "now", home / "fresh")
    dice = random.Random(seed)
    for _ in range(trials):
        shutil.rmtree(home / "now")
        shutil.copytree(home / "fresh", home / "now")
        found = trial(home / "now", after_s=dice.uniform(0.0, 1.1))
        print(json.dumps(found), flush=True)
    shutil.rmtree(home)


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
