"""The master and a fragment, beside FFmpeg making the same ones from the same files.

Eight sparse tracks (27 % talk, levels 20 dB apart, six people coming late) become one
master of 128 kbit/s: by Parley, and by the system's ffmpeg with adelay, amix and
one-pass loudnorm, in stereo as the specification of the source system had it, and in
mono like ours. One track's chunks become a fragment: by Parley, and by concat and
loudnorm. Each runs in a process of its own, one after the other; CPU is user and system
time, of Parley's without Python's start. STOI is the mean of 12 windows of 10 s, held
against what the voices said before any encoder.

Targets stand beside the figures. LAME alone (quality 7, the fastest it has: 8 and 9
give the same bytes) is more than half of our master, and its floor.
`python bench/mixdown.py 60` does it for an hour, in nine minutes; without, it is ten
minutes in a minute and a half.
"""

from __future__ import annotations

import json
import os
import re
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
from numpy.typing import NDArray
from speech import voices

from bench._stoi import stoi
from sessions.audio.encode import TrackEncoder
from sessions.audio.granules import Granules
from sessions.audio.lame import Lame
from sessions.audio.masterfile import write_master
from sessions.audio.meter import Meter
from sessions.audio.mp3decode import FRAME_BYTES, Piece, TrackReader
from sessions.audio.mp3frames import FRAME_SAMPLES, info_frame
from sessions.audio.mp3gain import normalised

RATE = 48_000
MINUTES = 10
TALK_SHARE = 0.27
LEVELS_DB = (-3, -8, -20, -12, -6, -23, -10, -16)
JOINED_S = (0, 0, 1.3, 4.2, 31, 55, 103, 161)
CHUNK_FRAMES = 12_500
WINDOWS, WINDOW = 12, 10 * RATE
AUDIBLE = 300
"""Of 32768: a window begins where somebody speaks."""
MOST_LAG = 4_800
"""Samples by which an encoder may be late: FFmpeg's are, as chunks have no header."""
LOUDNORM = "loudnorm=I=-16:TP=-1.5:LRA=11"
SUMMARY = re.compile(r"I: +(\S+) LUFS.*?Peak: +(\S+) dBFS", re.DOTALL)


@dataclass
class Cost:
    """What one run took."""

    cpu_s: float
    wall_s: float
    memory_mb: float


def first_frame(number: int) -> int:
    """The frame of the session in which a track begins."""
    return int(JOINED_S[number] * RATE / FRAME_SAMPLES)


def turns_of(number: int) -> list[NDArray[np.float32]]:
    """What a speaker may say, at 48 kHz."""
    delivery = voices.Delivery(pitch=20 + 9 * number, rate_wpm=150 + 8 * number)
    return [
        soxr.resample(
            voices.trim(voices.speak(text, delivery=delivery)),
            voices.SAMPLE_RATE_HZ,
            RATE,
        )
        for text in voices.unseen_phrases(12, seed=4)
    ]


def record(folder: Path, minutes: float) -> None:
    """Write each track as the recorder would: from the frame its speaker came in, in
    chunks at 64 kbit/s, and what it measures meanwhile. Beside them, what went in: of
    the first, and the sum of all."""
    random = np.random.default_rng(8)
    end = int(minutes * 60 * RATE)
    room = end + 60 * RATE
    everybody = np.memmap(folder / "all.f32", np.float32, "w+", shape=room)
    alone = np.memmap(folder / "first.f32", np.float32, "w+", shape=room)
    for number, level_db in enumerate(LEVELS_DB):
        turns, first = turns_of(number), first_frame(number)
        encoder, at = TrackEncoder(first_frame=first), first * FRAME_SAMPLES
        stream, meter = bytearray(), Meter(at)
        while at < end:
            turn = turns[random.integers(len(turns))]
            loud = turn * 10 ** ((level_db + random.uniform(-3, 3)) / 20)
            said = loud.clip(-32_768, 32_767).astype(np.int16)
            stream += encoder.put(at, said)
            meter.add(at, said)
            everybody[at : at + len(said)] += said
            if number == 0:
                alone[at : at + len(said)] = said
            at += int(len(turn) * (1 + random.exponential(1 / TALK_SHARE - 1)))
        stream += encoder.finish()
        meter.flush()
        (folder / f"{number}.loud").write_bytes(meter.granules().to_bytes())
        chunk = CHUNK_FRAMES * FRAME_BYTES
        for part, start in enumerate(range(0, len(stream), chunk)):
            path = folder / f"{number}-{part:03}.mp3"
            path.write_bytes(stream[start : start + chunk])


def track(folder: Path, number: int) -> TrackReader:
    """One of them, from its chunks."""
    first = first_frame(number)
    chunks = sorted(folder.glob(f"{number}-*.mp3"))
    return TrackReader(
        [
            Piece(chunk, first_frame=first + part * CHUNK_FRAMES)
            for part, chunk in enumerate(chunks)
        ]
    )


def our_master(folder: Path, share: float = 1.0) -> None:
    tracks = [track(folder, number) for number in range(len(LEVELS_DB))]
    end = int(share * max(one.end for one in tracks))
    path = folder / ("ours.mp3" if share == 1 else "sixth.mp3")
    write_master(path, tracks, end=end, target_lufs=-16, ceiling_dbtp=-1.5)


def our_soft(folder: Path) -> None:
    """As loud as FFmpeg's in mono, to hear both alike."""
    tracks = [track(folder, number) for number in range(len(LEVELS_DB))]
    end = max(one.end for one in tracks)
    loudness, _ = measured(folder / "mono.mp3")
    path = folder / "soft.mp3"
    write_master(path, tracks, end=end, target_lufs=loudness, ceiling_dbtp=-1.5)


def our_sixth(folder: Path) -> None:
    """A sixth of the master: to see what its length does to memory."""
    our_master(folder, 1 / 6)


def lame_alone(folder: Path) -> None:
    """Nothing but the encoder of a master, in one thread: its floor."""
    pcm = np.memmap(folder / "ours.s16", np.int16, "r")
    lame = Lame(128)
    for at in range(0, len(pcm), RATE):
        lame.encode(pcm[at : at + RATE])
    lame.finish()


def our_fragment(folder: Path) -> None:
    one, known = track(folder, 0), Granules.of((folder / "0.loud").read_bytes())
    with (folder / "our-fragment.mp3").open("wb") as file:
        file.write(info_frame(one.end_frame - one.first_frame, bitrate_kbps=64))
        for part in normalised(one, known=known):
            file.write(part)


def timed(folder: Path, name: str) -> None:
    """Run one of ours, here, and print what it took."""
    begun, wall = time.process_time(), time.perf_counter()
    {
        "master": our_master,
        "sixth": our_sixth,
        "soft": our_soft,
        "fragment": our_fragment,
        "lame": lame_alone,
    }[name](folder)
    took = time.process_time() - begun, time.perf_counter() - wall
    status = Path("/proc/self/status").read_text()
    memory = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps(asdict(Cost(*took, memory))))


def apart(*command: str) -> str:
    """Run something of this file in a process of its own: this one stays small, as
    Linux counts a parent's memory as its children's."""
    done = subprocess.run(
        [sys.executable, __file__, *command], check=True, stdout=subprocess.PIPE
    )
    return done.stdout.decode()


def ours(folder: Path, name: str) -> Cost:
    return Cost(**json.loads(apart("--ours", str(folder), name)))


def middle(costs: list[Cost]) -> Cost:
    """Of several runs the one in the middle, by CPU."""
    return sorted(costs, key=lambda cost: cost.cpu_s)[len(costs) // 2]


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
    for number in range(len(JOINED_S)):
        inputs += concatenated(folder, number)
        late_ms = 24 * first_frame(number)
        delays.append(f"[{number}]{form},adelay={late_ms}:all=1[d{number}]")
        labels += f"[d{number}]"
    mixing = f"{labels}amix=inputs={len(JOINED_S)}:normalize=0,{LOUDNORM}"
    output = ["-ar", str(RATE), "-b:a", "128k", str(folder / name)]
    return ffmpeg(*inputs, "-filter_complex", ";".join([*delays, mixing]), *output)


def their_fragment(folder: Path) -> Cost:
    output = ["-ar", str(RATE), "-b:a", "64k", str(folder / "their-fragment.mp3")]
    return ffmpeg(*concatenated(folder, 0), "-af", LOUDNORM, *output)


def measured(path: Path) -> tuple[float, float]:
    """Loudness (LUFS) and true peak (dBTP) by FFmpeg's meter, for both alike."""
    meter = ["-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-"]
    command = ["ffmpeg", "-nostdin", "-nostats", "-i", str(path), *meter]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    loudness, peak = SUMMARY.findall(said)[-1]
    return float(loudness), float(peak)


def understood(path: Path, original: Path) -> float:
    """STOI of a file, each window put in step with the original first."""
    raw = path.with_suffix(".s16")
    form = ["-ac", "1", "-f", "s16le", str(raw)]
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(path), *form], check=True
    )
    said, given = np.memmap(raw, np.int16, "r"), np.memmap(original, np.float32, "r")
    last = min(len(said), len(given)) - WINDOW - MOST_LAG
    found = []
    for start in np.linspace(MOST_LAG, last, WINDOWS).astype(int):
        begin = start
        while begin < last and np.abs(given[begin : begin + RATE]).max() < AUDIBLE:
            begin += RATE
        clean = given[begin : begin + WINDOW]
        wide = said[begin - MOST_LAG : begin + WINDOW + MOST_LAG].astype(np.float32)
        lag = best_lag(clean, wide)
        found.append(stoi(clean, wide[lag : lag + WINDOW]))
    return float(np.mean(found))


def best_lag(clean: NDArray[np.float32], wide: NDArray[np.float32]) -> int:
    """Where in `wide` the other begins."""
    size = 1 << (len(wide) - 1).bit_length()
    spectrum = np.fft.rfft(wide, size) * np.conj(np.fft.rfft(clean, size))
    return int(np.fft.irfft(spectrum)[: 2 * MOST_LAG].argmax())


def show(who: str, cost: Cost, path: Path, *, original: str) -> None:
    loudness, peak = measured(path)
    quality = float(apart("--understood", str(path), str(path.parent / original)))
    print(
        f"  {who:14}: {cost.cpu_s:7.2f} s CPU, {cost.wall_s:6.1f} s, "
        f"{cost.memory_mb:4.0f} MB; {loudness:.1f} LUFS, {peak:.1f} dBTP, "
        f"STOI {quality:.3f}",
        flush=True,
    )


def times(name: str, they: Cost, we: Cost, target: str = "") -> None:
    ratio = f"{they.cpu_s / we.cpu_s:.1f} times less CPU than {name}"
    print(f"  {ratio}, {they.wall_s / we.wall_s:.1f} times less time{target}")


def masters(folder: Path, minutes: float) -> None:
    print(
        f"Master of {len(LEVELS_DB)} tracks of {minutes:g} min (targets: -16 LUFS and "
        "-1.5 dBTP within 0.5, STOI of the same loudness not below FFmpeg's)"
    )
    runs, theirs = [ours(folder, "master")], {}
    for layout in ("stereo", "mono"):
        theirs[layout] = their_master(folder, f"{layout}.mp3", layout)
        runs.append(ours(folder, "master"))
    we = middle(runs)
    show("Parley", we, folder / "ours.mp3", original="all.f32")
    soft = ours(folder, "soft")
    show("as loud as mono", soft, folder / "soft.mp3", original="all.f32")
    for layout, cost in theirs.items():
        path = folder / f"{layout}.mp3"
        show(f"FFmpeg, {layout}", cost, path, original="all.f32")
    times("FFmpeg in stereo", theirs["stereo"], we, " (target: 10 times less CPU)")
    times("FFmpeg in mono", theirs["mono"], we)
    floor = ours(folder, "lame")
    print(f"  LAME alone: {floor.cpu_s:.2f} s CPU")
    each = ", ".join(f"{run.wall_s / minutes * 60:.1f}" for run in runs)
    print(f"  ready after {each} s per hour of session (target: 10)")
    sixth = ours(folder, "sixth")
    print(
        f"  memory: {sixth.memory_mb:.0f} MB for {minutes / 6:.3g} min, "
        f"{we.memory_mb:.0f} MB for {minutes:g} (target: 300, whatever the length)"
    )


def fragments(folder: Path, minutes: float) -> None:
    print(f"Fragment of {minutes:g} min (targets: as above)")
    runs = [ours(folder, "fragment")]
    they = their_fragment(folder)
    we = middle([*runs, ours(folder, "fragment"), ours(folder, "fragment")])
    show("Parley", we, folder / "our-fragment.mp3", original="first.f32")
    show("FFmpeg, mono", they, folder / "their-fragment.mp3", original="first.f32")
    times("FFmpeg", they, we, " (target: 50 times less CPU)")


def main() -> None:
    if "--ours" in sys.argv:
        return timed(Path(sys.argv[2]), sys.argv[3])
    if "--record" in sys.argv:
        return record(Path(sys.argv[2]), float(sys.argv[3]))
    if "--understood" in sys.argv:
        return print(understood(Path(sys.argv[2]), Path(sys.argv[3])))
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    with tempfile.TemporaryDirectory() as name:
        apart("--record", name, str(minutes))
        masters(Path(name), minutes)
        fragments(Path(name), minutes)
    return None


if __name__ == "__main__":
    main()
