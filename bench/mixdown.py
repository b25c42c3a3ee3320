"""The master and a fragment, beside FFmpeg making the same ones from the same files.

Eight sparse tracks (27 % talk, levels 20 dB apart, six people coming late) become one
master of 128 kbit/s: by Parley, and by the system's ffmpeg with adelay, amix and
one-pass loudnorm, in mono like ours and in stereo as the specification had it. One
track's chunks become a fragment: by Parley, and by concat and loudnorm. Each runs in a
process of its own; CPU is user and system time, of Parley's without Python's start.

Target: a master for a tenth of the CPU, a fragment for a fiftieth. LAME alone is half
of our master, so mono against mono it cannot become a tenth. `python bench/mixdown.py
60` does it for an hour, in seven minutes; without, it is ten minutes in one.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).parent.parent),
    str(Path(__file__).parent.parent / "tests"),
]

import numpy as np
import soxr
from speech import voices

from sessions.audio.encode import TrackEncoder
from sessions.audio.masterfile import write_master
from sessions.audio.mp3decode import FRAME_BYTES, Piece, TrackReader
from sessions.audio.mp3frames import FRAME_SAMPLES, info_frame
from sessions.audio.mp3gain import normalised

RATE = 48_000
MINUTES = 10
TALK_SHARE = 0.27
LEVELS_DB = (-3, -8, -20, -12, -6, -23, -10, -16)
JOINED_S = (0, 0, 1.3, 4.2, 31, 55, 103, 161)
CHUNK_FRAMES = 12_500
LOUDNORM = "loudnorm=I=-16:TP=-1.5:LRA=11"
SUMMARY = re.compile(r"I: +(\S+) LUFS.*?Peak: +(\S+) dBFS", re.DOTALL)


@dataclass
class Cost:
    """What one run took."""

    cpu_s: float
    wall_s: float
    memory_mb: float


def record(folder: Path, minutes: float) -> None:
    """Write each track as the recorder would: from the frame its speaker came in, in
    `track/number.mp3`, at 64 kbit/s."""
    random = np.random.default_rng(8)
    phrases = voices.unseen_phrases(12, seed=4)
    for number, (level_db, joined_s) in enumerate(
        zip(LEVELS_DB, JOINED_S, strict=True)
    ):
        delivery = voices.Delivery(pitch=20 + 9 * number, rate_wpm=150 + 8 * number)
        turns = [
            soxr.resample(
                voices.trim(voices.speak(text, delivery=delivery)),
                voices.SAMPLE_RATE_HZ,
                RATE,
            )
            for text in phrases
        ]
        first = int(joined_s * RATE / FRAME_SAMPLES)
        encoder = TrackEncoder(first_frame=first)
        end, at = int(minutes * 60 * RATE), first * FRAME_SAMPLES
        stream = b""
        while at < end:
            turn = turns[random.integers(len(turns))]
            loud = turn * 10 ** ((level_db + random.uniform(-3, 3)) / 20)
            stream += encoder.put(at, loud.clip(-32_768, 32_767).astype(np.int16))
            at += int(len(turn) * (1 + random.exponential(1 / TALK_SHARE - 1)))
        stream += encoder.finish()
        chunk = CHUNK_FRAMES * FRAME_BYTES
        for part, start in enumerate(range(0, len(stream), chunk)):
            path = folder / f"{number}-{part:03}.mp3"
            path.write_bytes(stream[start : start + chunk])


def track(folder: Path, number: int) -> TrackReader:
    """One of them, from its chunks."""
    first = int(JOINED_S[number] * RATE / FRAME_SAMPLES)
    chunks = sorted(folder.glob(f"{number}-*.mp3"))
    return TrackReader(
        [
            Piece(chunk, first_frame=first + part * CHUNK_FRAMES)
            for part, chunk in enumerate(chunks)
        ]
    )


def our_master(folder: Path) -> None:
    tracks = [track(folder, number) for number in range(len(LEVELS_DB))]
    end = max(one.end for one in tracks)
    path = folder / "ours.mp3"
    write_master(path, tracks, end=end, target_lufs=-16, ceiling_dbtp=-1.5)


def our_fragment(folder: Path) -> None:
    one = track(folder, 0)
    with (folder / "our-fragment.mp3").open("wb") as file:
        file.write(info_frame(one.end_frame - one.first_frame, bitrate_kbps=64))
        for part in normalised(one):
            file.write(part)


def timed(folder: Path, name: str) -> None:
    """Run one of ours, here, and print what it took."""
    begun, wall = time.process_time(), time.perf_counter()
    {"master": our_master, "fragment": our_fragment}[name](folder)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cost = Cost(time.process_time() - begun, time.perf_counter() - wall, memory)
    print(json.dumps(asdict(cost)))


def ours(folder: Path, name: str) -> Cost:
    command = [sys.executable, __file__, "--ours", str(folder), name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Cost(**json.loads(done.stdout))


def ffmpeg(*arguments: str) -> Cost:
    """Run the system's ffmpeg to its end."""
    wall = time.perf_counter()
    process = subprocess.Popen(["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    cpu = used.ru_utime + used.ru_stime
    return Cost(cpu, time.perf_counter() - wall, used.ru_maxrss / 1024)


def concatenated(folder: Path, number: int) -> list[str]:
    """ffmpeg's input of one track's chunks."""
    listed = folder / f"{number}.txt"
    chunks = sorted(folder.glob(f"{number}-*.mp3"))
    listed.write_text("".join(f"file '{chunk}'\n" for chunk in chunks))
    return ["-f", "concat", "-safe", "0", "-i", str(listed)]


def their_master(folder: Path, name: str, layout: str) -> Cost:
    inputs, delays, labels = [], [], ""
    form = f"aformat=channel_layouts={layout}"
    for number, joined_s in enumerate(JOINED_S):
        inputs += concatenated(folder, number)
        delays.append(f"[{number}]{form},adelay={joined_s * 1000:.0f}:all=1[d{number}]")
        labels += f"[d{number}]"
    mixing = f"{labels}amix=inputs={len(JOINED_S)}:normalize=0,{LOUDNORM}"
    output = ["-ar", str(RATE), "-b:a", "128k", str(folder / name)]
    return ffmpeg(*inputs, "-filter_complex", ";".join([*delays, mixing]), *output)


def their_fragment(folder: Path) -> Cost:
    output = ["-ar", str(RATE), "-b:a", "64k", str(folder / "their-fragment.mp3")]
    return ffmpeg(*concatenated(folder, 0), "-af", LOUDNORM, *output)


def heard(path: Path) -> str:
    """Loudness and true peak by FFmpeg's meter, for both alike."""
    meter = ["-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-"]
    command = ["ffmpeg", "-nostdin", "-nostats", "-i", str(path), *meter]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    loudness, peak = SUMMARY.findall(said)[-1]
    return f"{loudness} LUFS, {peak} dBTP"


def show(who: str, cost: Cost, path: Path, ours: Cost | None = None) -> None:
    times = f" ({cost.cpu_s / ours.cpu_s:.1f} times ours)" if ours else ""
    print(
        f"  {who:14}: {cost.cpu_s:7.2f} s CPU, {cost.wall_s:6.1f} s, "
        f"{cost.memory_mb:4.0f} MB; {heard(path)}{times}"
    )


def main() -> None:
    if "--ours" in sys.argv:
        timed(Path(sys.argv[2]), sys.argv[3])
        return
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record(folder, minutes)
        print(f"Master of {len(LEVELS_DB)} tracks of {minutes:g} min")
        we = ours(folder, "master")
        show("Parley", we, folder / "ours.mp3")
        for layout in ("mono", "stereo"):
            they = their_master(folder, f"{layout}.mp3", layout)
            show(f"FFmpeg, {layout}", they, folder / f"{layout}.mp3", we)
        print(f"Fragment of {minutes:g} min")
        we = ours(folder, "fragment")
        show("Parley", we, folder / "our-fragment.mp3")
        they = their_fragment(folder)
        show("FFmpeg, mono", they, folder / "their-fragment.mp3", we)


if __name__ == "__main__":
    main()
