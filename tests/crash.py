"""Kills a recording process at random moments, and looks at what is left of it.

    python tests/crash.py TRIALS [SEED]

Each trial is a process that records, rotates, stores, joins and mixes as fast as it
can, and tells what it has received. In every second trial it is killed from outside at
a random moment; in the others at a random line of one kind of work, or with a record
half written. Then a process does what happens after a restart by itself: the reaper's
cycle, recovery's ring, and the queue worked off. One line of JSON for each trial.
"""

from __future__ import annotations

import asyncio
import functools
import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from decoding import as_floats
from numpy.typing import NDArray

RATE = 16_000
FRAME = 320
SOUND_S = 6.0
STAGES = {-1: "joining", -2: "mixing", -3: "done"}
WORK = ("write", "rotate", "note", "upload", "join", "mix", "drop")
HOME = str(Path(__file__).resolve().parents[1] / "sessions")


@dataclass(frozen=True)
class Aim:
    """Where a process is to die: at the `line`th line of the `entry`th piece of such
    work; `torn`: when so much of the record is written instead."""

    work: str
    entry: int
    line: int
    torn: float | None = None


class Watch:
    """What a process is at, in memory that outlives it; kills it where it is told."""

    def __init__(self, aim: Aim | None = None) -> None:
        self._memory = mmap.mmap(-1, 12 * len(WORK))
        self._aim = aim
        self._lock = threading.Lock()

    def at_work(self) -> list[str]:
        """What had begun and not ended."""
        return [work for work in WORK if self._get(work, 0)]

    def done(self) -> dict[str, tuple[int, int]]:
        """How often each work was begun, and the most lines it took."""
        return {work: (self._get(work, 1), self._get(work, 2)) for work in WORK}

    def install(self) -> None:
        """Have all work of this process watched."""
        from sessions import joining, mixing, recordings
        from sessions.capture.diary import Diary
        from sessions.capture.tape import Tape
        from sessions.spool import Folder
        from sessions.storage import LocalStorage

        places: list[tuple[str, Any, str]] = [
            ("write", Diary, "_rest_of"),
            ("rotate", Tape, "_seal"),
            ("note", recordings, "sealed"),
            ("upload", LocalStorage, "put"),
            ("join", joining, "fragment"),
            ("mix", mixing, "write_master"),
            ("drop", Folder, "drop"),
        ]
        for work, home, name in places:
            setattr(home, name, self._watched(work, getattr(home, name)))

    def _watched(self, work: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def watched(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self._put(work, 0, self._get(work, 0) + 1)
                self._put(work, 1, entry := self._get(work, 1) + 1)
            aim = self._aim
            is_aimed = aim is not None and (aim.work, aim.entry) == (work, entry)
            try:
                if is_aimed and aim is not None and aim.torn is not None:
                    die_writing(args[0], args[1], aim.torn)
                with self._lines(work, aim.line if aim and is_aimed else None):
                    return call(*args, **kwargs)
            finally:
                with self._lock:
                    self._put(work, 0, self._get(work, 0) - 1)

        return watched

    @contextmanager
    def _lines(self, work: str, last: int | None) -> Iterator[None]:
        """Count our lines, all of them in a trial without an aim, and die at one."""
        if last is None and self._aim is not None:
            yield
            return
        count = 0

        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal count
            if not frame.f_code.co_filename.startswith(HOME):
                return None
            if event == "line":
                count += 1
                if count == last:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(before)
            self._put(work, 2, max(count, self._get(work, 2)))

    def _get(self, work: str, field: int) -> int:
        at = 12 * WORK.index(work) + 4 * field
        return int.from_bytes(self._memory[at : at + 4], "little")

    def _put(self, work: str, field: int, value: int) -> None:
        at = 12 * WORK.index(work) + 4 * field
        self._memory[at : at + 4] = value.to_bytes(4, "little")


def die_writing(diary: Any, data: bytes, share: float) -> None:
    os.write(diary._descriptor, data[: int(share * len(data))])
    os.kill(os.getpid(), signal.SIGKILL)


def said() -> NDArray[np.int16]:
    """What is heard: shaped like speech, and nowhere like itself."""
    rng = np.random.default_rng(77)
    noise = rng.standard_normal(int(SOUND_S * RATE))
    smooth = np.convolve(noise, np.hanning(12) / 6, mode="same")
    swell = 0.6 + 0.4 * np.sin(np.arange(len(noise)) / RATE * 17)
    return np.asarray(5000 * smooth * swell, np.int16)


def victim(tell: Callable[[int], None], *, pace_s: float = 0.001) -> None:
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
        capture = Capture(
            track,
            zero_s=499.0,
            rate=RATE,
            sinks=[recorder],
            clock=lambda: now,
        )
        sound = said()
        due = time.monotonic()
        for at in range(0, len(sound), FRAME):
            now += 0.02
            capture.offer(sound[at : at + FRAME].tobytes())
            tell(at + FRAME)
            due += pace_s
            await asyncio.sleep(max(due - time.monotonic(), 0))
        await capture.close()
        await leave(session.pk, person.pk, connection="one")
        await finish.end(session.pk, reason="asked")

    leave = database_sync_to_async(participants.leave)
    over = threading.Event()
    storing = threading.Thread(target=store, args=(session.pk, over))
    storing.start()  # as a worker does, while it is recorded
    asyncio.run(talk())
    over.set()
    storing.join()
    tell(-1)
    mixing.fragments(session.pk)
    tell(-2)
    finish.complete(session.pk)
    tell(-3)


def store(session_id: int, over: threading.Event) -> None:
    from django.db import connection

    from sessions import mixing

    while not over.wait(0.03):
        mixing.store(session_id)
    connection.close()


def restarted() -> None:
    """What happens by itself when everything is started again, and time passes."""
    from django.utils import timezone

    from sessions import reaper, recovery

    for _ in range(4):
        work_off()
        asyncio.run(reaper.cycle(now=timezone.now() + timedelta(hours=1)))
        recovery.ring()
    work_off()


def work_off() -> None:
    """What waits in the queue of the media workers."""
    from django.utils.module_loading import import_string
    from django_q.models import OrmQ

    while (row := OrmQ.objects.filter(key="media").order_by("pk").first()) is not None:
        task = row.task
        row.delete()
        import_string(task["func"])(*task["args"])


def survivor() -> dict[str, Any]:
    """As after a restart: what becomes of it without a hand, and how it sounds."""
    from sessions import spool
    from sessions.models import Recording, Tier, VoiceSession

    journaled = None
    for folder in spool.folders():
        journaled = len(journal_of(folder))
    restarted()
    found: dict[str, Any] = {"journaled": journaled, "left": len(spool.folders())}
    session = VoiceSession.objects.first()
    silent = {"recorded": 0, "lag": 0, "snr_db": 99.0}
    if session is None:
        return {**found, "ready": journaled is None, **silent}
    found["ready"] = session.state == "ready"
    rows = Recording.objects.filter(session=session)
    found["faults"] = sorted({row.error for row in rows if row.error})
    found["unstored"] = rows.exclude(state=Recording.State.STORED).count()
    master = rows.filter(tier=Tier.MASTER).first()
    if master is None:
        return {**found, **silent}
    (fragment,) = rows.filter(tier=Tier.FRAGMENT)
    heard = fetched(master.key)
    assert len(heard) == master.duration == fragment.end
    alone = fetched(fragment.key)
    assert len(alone) == fragment.duration
    # The stream's first sample stands one second after time zero.
    begins = 48_000 - fragment.start
    recorded = len(alone[begins::3])
    verdicts = [
        likeness(sound, said()[: len(sound)])
        for sound in (alone[begins::3], heard[48_000::3])
        if len(sound) > FRAME
    ]
    lag = max((abs(lag) for lag, _ in verdicts), default=0)
    snr_db = min((snr for _, snr in verdicts), default=99.0)
    return {**found, "recorded": recorded, "lag": lag, "snr_db": snr_db}


def journal_of(folder: Any) -> NDArray[np.int16]:
    """What a journal holds, which has to be what was said; empty for none at all."""
    from sessions.audio.journal import Journal, JournalError

    try:
        with folder.journal.open("rb") as file:
            heard = [placed.pcm for placed in Journal(file).placed()]
    except (JournalError, FileNotFoundError):
        heard = []
    pcm = np.concatenate([np.zeros(0, np.int16), *heard])
    assert np.array_equal(pcm, said()[: len(pcm)]), "the journal says otherwise"
    return pcm


def fetched(key: str) -> NDArray[np.float64]:
    """An object of the storage, decoded."""
    from sessions.storage import storage

    path = Path(tempfile.mkdtemp()) / "fetched.mp3"
    storage().get(key, path)
    try:
        return as_floats(path).astype(float) * 32768
    finally:
        shutil.rmtree(path.parent)


def likeness(sound: NDArray[Any], truth: NDArray[Any]) -> tuple[int, float]:
    """How many samples the last 100 ms are moved; and how clean (dB) the worst of all
    tenths of a second is, whatever its loudness became."""
    tenth = min(1600, len(truth))
    tail = truth[-tenth:].astype(float)
    near = np.concatenate([np.zeros(40), sound, np.zeros(40)])[-len(tail) - 80 :]
    lag = int(np.argmax(np.correlate(near, tail, mode="valid"))) - 40
    worst = 99.0
    for at in {*range(0, len(truth) - tenth, tenth), len(truth) - tenth}:
        here, true = sound[at : at + tenth], truth[at : at + tenth].astype(float)
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


def trial(folder: Path, *, after_s: float | None, watch: Watch) -> dict[str, Any]:
    """Kill one, or let it come to where it kills itself; and recover it."""

    def watched(tell: Callable[[int], None]) -> None:
        watch.install()
        victim(tell)

    begun = time.monotonic()
    pid, told = forked(watched)
    with os.fdopen(told, "rb", buffering=0) as reports:
        first = reports.read(4)  # it has begun
        if after_s is not None:
            time.sleep(after_s)
            os.kill(pid, signal.SIGKILL)
        data = first + b"".join(iter(lambda: reports.read(1 << 16), b""))
        _, status = os.waitpid(pid, 0)
    lasted_s = time.monotonic() - begun
    told_of = [n for (n,) in struct.iter_unpack("<i", data)]
    return {
        "received": max([0, *told_of]),
        "stage": STAGES.get(told_of[-1], "recording") if told_of else "recording",
        "at_work": watch.at_work(),
        "killed": os.WIFSIGNALED(status),
        "lasted_s": lasted_s,
        **looked_at(folder),
    }


def looked_at(folder: Path) -> dict[str, Any]:
    """What the survivor says, or how it died."""
    result = folder / "result.json"

    def look(_: object) -> None:
        result.write_text(json.dumps(survivor()))

    pid, _ = forked(look)
    _, status = os.waitpid(pid, 0)
    found: dict[str, Any] = {"crashed": status}
    return json.loads(result.read_text()) if status == 0 else found


@contextmanager
def home() -> Iterator[Path]:
    """A folder for the trials, everything loaded, and in `fresh` an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="parley-crash-"))
    os.environ.update(DATA_DIR=str(folder / "now"), RECORDING_CHUNK_S="1.0")
    os.environ.update(LOG_LEVEL="ERROR")
    os.environ["DJANGO_SETTINGS_MODULE"] = "voiceproject.settings"
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    import sessions.reaper
    import sessions.recovery  # noqa: F401
    import transcripts.archive
    import transcripts.backfill  # noqa: F401

    call_command("migrate", verbosity=0)
    connections.close_all()
    shutil.copytree(folder / "now", folder / "fresh")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def aimed(dice: random.Random, work: str, done: dict[str, tuple[int, int]]) -> Aim:
    """Somewhere in one kind of work, all of it being equally likely."""
    entries, lines = done[work]
    torn = dice.random() if work == "write" and dice.random() < 0.5 else None
    return Aim(work, dice.randint(1, entries), dice.randint(1, lines), torn)


def main(trials: int, seed: int) -> None:
    dice = random.Random(seed)
    with home() as folder:
        whole = Watch()
        found = trial(folder / "now", after_s=None, watch=whole)
        assert found["stage"] == "done", found
        takes_s = found["lasted_s"] / 1.6  # without counting
        number = 0
        while number < trials:
            shutil.rmtree(folder / "now")
            shutil.copytree(folder / "fresh", folder / "now")
            if number % 2:
                work = WORK[number // 2 % len(WORK)]
                watch = Watch(aimed(dice, work, whole.done()))
                found = trial(folder / "now", after_s=None, watch=watch)
            else:
                after_s = dice.uniform(0.0, takes_s)
                watch = Watch(Aim("", 0, 0))
                found = trial(folder / "now", after_s=after_s, watch=watch)
            if found["killed"]:  # else it was done before: once more
                print(json.dumps(found), flush=True)
                number += 1


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
