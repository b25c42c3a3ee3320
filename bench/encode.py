"""What a track's encoder costs: CPU per second of sound, and memory per track.

Dense speech through each LAME there is (and PyAV's, for comparison), then a track with
27 % talk as a call brings it: packets of 20 ms, and nothing in between. Each figure is
the least of several runs, as other work on the machine can only add.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).parent.parent),
    str(Path(__file__).parent.parent / "tests"),
]

import av
import numpy as np
import soxr
from numpy.typing import NDArray
from speech import voices

from sessions.audio import lame
from sessions.audio.encode import TrackEncoder
from sessions.audio.lame import Lame

RATE = 48_000
PACKET = 960
RUNS = 5
TALK_SHARE = 0.27
TRACKS = 50


def dense_speech() -> NDArray[np.int16]:
    spoken = [
        voices.trim(voices.speak(phrase))
        for phrase in voices.unseen_phrases(20, seed=3)
    ]
    return soxr.resample(np.concatenate(spoken), voices.SAMPLE_RATE_HZ, RATE)


def conversation(
    speech: NDArray[np.int16], seconds: int
) -> list[tuple[int, NDArray[np.int16]]]:
    """Packets of one who talks 27 % of the time, in turns of one to six seconds."""
    rng = np.random.default_rng(5)
    packets: list[tuple[int, NDArray[np.int16]]] = []
    at = 0
    while at < seconds * RATE:
        turn = int(rng.uniform(1, 6) * RATE / PACKET)
        begin = int(rng.integers(0, len(speech) - turn * PACKET))
        for number in range(turn):
            start = begin + number * PACKET
            packets.append((at + number * PACKET, speech[start : start + PACKET]))
        at += int(turn * PACKET / TALK_SHARE)
    return packets


def least_ms(work: Callable[[], object], seconds: float) -> float:
    """CPU milliseconds per second of sound."""
    took = []
    for _ in range(RUNS):
        begun = time.process_time()
        work()
        took.append(time.process_time() - begun)
    return 1000 * min(took) / seconds


def by_pyav(sound: NDArray[np.int16]) -> None:
    encoder = av.CodecContext.create("libmp3lame", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "s16p"
    encoder.bit_rate = 64_000
    encoder.options = {"compression_level": "7", "reservoir": "0"}
    for at in range(0, len(sound) - 1152, 1152):
        frame = av.AudioFrame.from_ndarray(
            sound[None, at : at + 1152], format="s16p", layout="mono"
        )
        frame.sample_rate = RATE
        encoder.encode(frame)


def by_lame(sound: NDArray[np.int16], name: str, quality: int) -> None:
    stream = Lame(quality=quality, using=lame.load(name))
    for at in range(0, len(sound), PACKET):
        stream.encode(sound[at : at + PACKET])


def by_track(packets: list[tuple[int, NDArray[np.int16]]], seconds: int) -> None:
    """As `capture` does it: what came, and ten times a second how late it is."""
    track = TrackEncoder(first_frame=0)
    waiting = iter([*packets, (seconds * RATE, np.zeros(0, np.int16))])
    position, pcm = next(waiting)
    for now in range(0, seconds * RATE, RATE // 10):
        while position < now:
            track.put(position, pcm)
            position, pcm = next(waiting)
        track.advance(now - RATE // 5)


def memory_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def main() -> None:
    speech = dense_speech()
    seconds = len(speech) / RATE
    print(f"dense speech, {seconds:.0f} s, 64 kbit/s mono: ms of CPU per s of sound")
    system = next((name for name in lame.SYSTEM if _loads(name)), None)
    for title, name in (("system's", system), ("wheel's", lame.wheel())):
        if name:
            version = lame.version(lame.load(name))
            for quality in (7, 5):
                ms = least_ms(lambda: by_lame(speech, name, quality), seconds)  # noqa: B023
                print(f"  LAME {version:6} {title:9} quality {quality}: {ms:5.2f}")
    ms = least_ms(lambda: by_pyav(speech), seconds)
    print(f"  PyAV {av.__version__:16} quality 7: {ms:5.2f}")
    packets = conversation(speech, 300)
    share = sum(len(pcm) for _, pcm in packets) / (300 * RATE)
    ms = least_ms(lambda: by_track(packets, 300), 300)
    print(f"a track with {share:.0%} talk: {ms:.2f} ms per s, {1000 / ms:.0f} per core")
    ms = least_ms(lambda: by_track([], 3600), 3600)
    print(f"an hour of silence: {ms * 3600:.0f} ms")
    before = memory_kb()
    tracks = [TrackEncoder(first_frame=0) for _ in range(TRACKS)]
    for track in tracks:
        track.put(0, speech[:RATE])
    print(f"memory of a track: {(memory_kb() - before) / TRACKS:.0f} kB")


def _loads(name: str) -> bool:
    try:
        lame.load(name)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
