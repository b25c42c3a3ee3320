"""Rotation at one-second chunks, busy processors beside: what is at the seams?

Four people at once, 1,000 seams by default; `--seconds 1000` makes it 4,000. Each chunk
is synced. The joined chunks are compared with the same sound encoded without rotation,
and decoded by FFmpeg and mpg123 against what was said.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

TRACKS = 4
BUSY = "while True: sum(range(10_000))"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=252)
    seconds = parser.parse_args().seconds
    home = Path(tempfile.mkdtemp(prefix="parley-rotation-"))
    os.environ.update(DATA_DIR=str(home), RECORDING_CHUNK_S="1.0", LOG_LEVEL="ERROR")
    os.environ["DJANGO_SETTINGS_MODULE"] = "voiceproject.settings"
    import django

    django.setup()
    import seams

    from sessions import recordings, spool

    noted: list[object] = []
    recordings.sealed = noted.append  # type: ignore[assignment]
    recordings.ring = lambda _: None  # type: ignore[assignment]
    session = uuid.uuid4()
    tracks = [seams.a_track(1, session, number) for number in range(TRACKS)]
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(2)]
    begun = time.monotonic()
    said = asyncio.run(seams.all_record(tracks, seconds=seconds))
    took_s = time.monotonic() - begun
    for process in busy:
        process.kill()
        process.wait()
    folders = {folder.name[:36]: folder for folder in spool.folders(session)}
    verdicts = [
        seams.verdict(folders[who], sound, home / who)
        for track, sound in zip(tracks, said, strict=True)
        if (who := str(track.participant_public_id))
    ]
    print(
        f"{sum(v.seams for v in verdicts)} rotations of {TRACKS} tracks, {took_s:.0f} s"
    )
    same = sum(v.is_the_unbroken_stream for v in verdicts)
    print(f"  bytes as without rotation  {same} of {TRACKS} tracks")
    print(f"  chunks noted               {len(noted)}")
    for name in verdicts[0].lengths:
        over = sum(abs(v.lengths[name]) for v in verdicts)
        moved = sum(v.moved[name] for v in verdicts)
        worst = min(v.worst_db[name] for v in verdicts)
        print(
            f"  {name:<8} samples lost or doubled {over}, seams moved {moved}, "
            f"worst SNR at a seam {worst:.1f} dB"
        )
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
