"""What one participant costs on the live path, and of what that is made.

Journal, decoding, clock, resampling, encoding into chunks, peaks and loudness: CPU
for each second of a session, in one process and without waiting; voice detection is not
part of it. A participant talks 27 % of the time, real speech. The rest of the time a
browser sends digital silence; one that does not, and a source like Discord, send
nothing. `python bench/live_path.py 3600` does it for an hour each.

Target: 500 participants per core, 2 ms for each second.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

sys.path[:0] = [
    str(Path(__file__).resolve().parents[1]),
    str(Path(__file__).resolve().parents[1] / "tests"),
]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
import django

django.setup()

import av
import numpy as np
import soxr
from numpy.typing import NDArray
from speech import voices

from sessions.audio.clock import TrackClock
from sessions.audio.encode import TrackEncoder
from sessions.audio.frames import Frame, Placed
from sessions.audio.journal import Head
from sessions.audio.meter import Meter
from sessions.audio.opus import OpusDecoder
from sessions.audio.reorder import Ordered, ReorderBuffer
from sessions.audio.resample import Upsampler
from sessions.audio.rtpclock import RtpClock
from sessions.audio.stamped import Placement, Stamped
from sessions.audio.unwrap import RtpPacket
from sessions.capture.capture import Capture
from sessions.capture.diary import Diary
from sessions.capture.sinks import Track
from sessions.capture.tape import Tape
from sessions.spool import Folder

RATE = 48_000
PACKETS_S = 50
SECONDS = 300
RUNS = 3
TALK_S, PAUSE_S = 2.7, 7.3
TICK = 12
"""Packets between two ticks of a receiver: a quarter of a second."""
TARGET = 500
OPUS_BPS = 64_000
"""Discord's usual."""

Pcm = NDArray[np.int16]


def speech(rate: int, seconds: int) -> list[Pcm | None]:
    """Packets of 20 ms: 2.7 s of speech, then None for 7.3 s, again and again."""
    spoken = [
        voices.trim(voices.speak(phrase))
        for phrase in voices.unseen_phrases(20, seed=3)
    ]
    sound = soxr.resample(np.concatenate(spoken), voices.SAMPLE_RATE_HZ, rate)
    step, turn = rate // PACKETS_S, int(TALK_S * PACKETS_S)
    round_ = turn + int(PAUSE_S * PACKETS_S)
    packets: list[Pcm | None] = []
    at = 0
    for number in range(seconds * PACKETS_S):
        if number % round_ < turn:
            packets.append(np.array(sound[at : at + step], np.int16))
            at = (at + step) % (len(sound) - step)
        else:
            packets.append(None)
    return packets


class Recorded:
    """The recorder without its thread: the same work in a row."""

    def __init__(self, rate: int, home: str) -> None:
        folder = Folder(Path(home) / uuid.uuid4().hex)
        folder.path.mkdir()
        self._diary = Diary(folder, Head("s", "p", 1, 1, rate, "", ""))
        self._tape = Tape(folder, chunk_s=300)
        self._unplaced: deque[tuple[int, int]] = deque()

    def arrive(self, frame: Frame) -> None:
        self._unplaced.append((self._diary.sound(frame), len(frame.pcm)))

    def hear(self, placed: Placed) -> None:
        number, samples = self._unplaced.popleft()
        self.place(number, placed, dropped=samples - len(placed.pcm))

    def packet(self, payload: bytes, arrival_s: float) -> int:
        """A packet as it came, in the journal; its number."""
        data: Any = np.frombuffer(payload, np.uint8)
        return self._diary.sound(Frame(data, RATE, arrival_s))

    def place(self, number: int, placed: Placed, *, dropped: int) -> None:
        self._diary.placed(number, placed.position, dropped=dropped)
        self._tape.put(placed)

    def flush(self) -> None:
        self._diary.flush()

    def settled(self) -> int | None:
        return None

    async def close(self) -> None:
        return None

    def conclude(self) -> None:
        return None

    def finish(self) -> None:
        self._tape.finish()
        self._diary.close()


def by_browser(rate: int, packets: list[bytes | None], home: str) -> None:
    """The road of PCM."""
    now = 0.0
    recorded = Recorded(rate, home)
    capture = Capture(
        Track(1, uuid.uuid4(), 1, uuid.uuid4(), "Ada", rate=rate),
        zero_s=0.0,
        rate=rate,
        sinks=[recorded],
        clock=lambda: now,
    )
    for packet in packets:
        now += 1 / PACKETS_S
        if packet is not None:
            capture.offer(packet)
    capture.halt()
    recorded.finish()


class Receiver:
    """The road of RTP, as a source like Discord goes it."""

    def __init__(self, home: str) -> None:
        self._recorded = Recorded(RATE, home)
        self._order, self._clock = ReorderBuffer(), RtpClock()
        self._decoder = OpusDecoder()
        self._sound: dict[int, Pcm] = {}

    def receive(self, packet: RtpPacket) -> None:
        for ordered in self._order.push(packet):
            self._take(ordered)

    def tick(self, now_s: float) -> None:
        for ordered in self._order.tick(now_s):
            self._take(ordered)
        self._hear(self._clock.tick(now_s))

    def finish(self) -> None:
        for ordered in self._order.flush():
            self._take(ordered)
        self._hear(self._clock.flush())
        self._recorded.finish()

    def _take(self, packet: Ordered) -> None:
        number = self._recorded.packet(packet.payload, packet.arrival_s)
        pcm = self._sound[number] = self._decoder.decode(packet.payload)
        loud = pcm.astype(np.float32)
        rms = float(np.sqrt(np.vdot(loud, loud) / len(loud)))
        stamped = Stamped(
            *(number, packet.timestamp, len(pcm), packet.arrival_s, rms),
            lost=packet.lost,
            restarted=packet.restarted,
        )
        self._hear(self._clock.place(stamped))

    def _hear(self, placements: list[Placement]) -> None:
        for found in placements:
            number, dropped = found.packet.number, found.dropped
            pcm = self._sound.pop(number)[dropped:]
            placed = Placed(found.position, pcm, RATE)
            self._recorded.place(number, placed, dropped=dropped)
        self._recorded.flush()


def by_rtp(packets: list[bytes | None], home: str) -> None:
    receiver, sequence = Receiver(home), 0
    for number, payload in enumerate(packets):
        arrival_s = (number + 2) / PACKETS_S
        if payload is not None:
            timestamp = number * RATE // PACKETS_S
            packet = RtpPacket(sequence & 0xFFFF, timestamp, arrival_s, payload)
            receiver.receive(packet)
            sequence += 1
        if number % TICK == 0:
            receiver.tick(arrival_s)
    receiver.finish()


def opus(packets: list[Pcm | None]) -> list[bytes | None]:
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = RATE, "stereo", "s16"
    codec.bit_rate = OPUS_BPS

    def encoded(pcm: Pcm) -> bytes:
        both = np.repeat(pcm, 2)[None]
        frame: Any = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate = RATE
        return bytes(codec.encode(frame)[0])

    return [None if pcm is None else encoded(pcm) for pcm in packets]


class Stopwatch:
    """Time spent in the stages, by wrapping their methods while the block lasts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)

    def __enter__(self) -> Self:
        self._were = [
            (owner, name, getattr(owner, name))
            for methods in STAGES.values()
            for owner, name in methods
        ]
        for stage, methods in STAGES.items():
            for owner, name in methods:
                setattr(owner, name, self._timed(stage, getattr(owner, name)))
        return self

    def __exit__(self, *failure: object) -> None:
        for owner, name, was in self._were:
            setattr(owner, name, was)

    def _timed(self, stage: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return method(*given, **named)
            finally:
                self.seconds[stage] += time.perf_counter() - began

        return timed


STAGES: dict[str, list[tuple[type, str]]] = {
    "journal": [(Diary, "sound"), (Diary, "placed")],
    "decode": [(OpusDecoder, "decode")],
    "clock": [(TrackClock, "place"), (ReorderBuffer, "push"), (RtpClock, "place")],
    "resample": [(Upsampler, "put")],
    "encode": [(TrackEncoder, "put"), (TrackEncoder, "finish")],
    "peaks, loudness": [(Meter, "add"), (Meter, "cut")],
}


def measure(name: str, work: Callable[[str], None], seconds: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        work(home)
        took = []
        for _ in range(RUNS):
            began = time.process_time()
            work(home)
            took.append(time.process_time() - began)
        began = time.perf_counter()
        with Stopwatch() as watch:
            work(home)
        whole = time.perf_counter() - began
    cost = 1000 * min(took) / seconds
    print(f"  {name:26} {cost:5.2f} ms   {1000 / cost:5.0f} participants per core")
    shares = watch.seconds | {"the rest": whole - sum(watch.seconds.values())}
    said = ", ".join(
        f"{stage} {part / whole:.0%}" for stage, part in shares.items() if part
    )
    print(f"  {'':26} {said}")


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    wide, narrow = speech(RATE, seconds), speech(16_000, seconds)
    packets = opus(wide)

    def pcm(sound: list[Pcm | None], rate: int, *, silence: bool) -> Any:
        quiet = bytes(2 * rate // PACKETS_S) if silence else None
        return [quiet if pcm is None else pcm.tobytes() for pcm in sound]

    print("Live path, CPU for each second of one participant (27 % talk):")
    for rate, sound in ((RATE, wide), (16_000, narrow)):
        for name, silence in (("sends silence", True), ("talk only", False)):
            sent = pcm(sound, rate, silence=silence)
            work = partial(by_browser, rate, sent)
            measure(f"PCM {rate // 1000} kHz, {name}", work, seconds)
    measure("Opus over RTP, talk only", partial(by_rtp, packets), seconds)
    print(f"  target: {TARGET} participants per core, {1000 / TARGET:.0f} ms")


if __name__ == "__main__":
    main()
