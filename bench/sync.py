"""Eight people, three hours, a bad network: how far is each word from its moment?

Sparse speech over RTP with jitter, loss, reordering, duplicates, stalls of the event
loop, clocks 100 ppm off and clocks that stop in silence, wraparound, and a restart of
the bot in the middle. Each packet's sound goes the whole road: reordering, clock,
chunks of 300 s, a fragment for each connection, the master. FFmpeg's decoder and mpg123
then say where the speech is. Target: every onset in every track, fragment and master
within 20 ms, drift below 5 ms, no cut inside speech; without loss, exact to the sample.

Packets are stamped by the thread that reads the socket, as the bot does it: it waits
some milliseconds for the interpreter's lock at times, but not for the event loop, which
stalls for up to 0.8 s. The second figure is for a bot whose loop stamps them itself.
There, what a sender whose clock stops in silence says within one stall cannot be placed
by arrivals alone.

`python bench/sync.py 180` is the full size, in a quarter of an hour; without a number
it is a few minutes of session.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).parent.parent),
    str(Path(__file__).parent.parent / "tests"),
]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="parley-bench-"))

import django

django.setup()

from onsets import DECODERS
from rtp_sender import Person, Road, Verdict, measure, stalls
from sync_road import (
    Figures,
    Speaker,
    a_voice,
    browse,
    in_fragments,
    in_master,
    in_tracks,
    master,
    record,
)

MINUTES = 5.0
STRIDE = 4
"""One piece of half a second in so many is looked for, and every onset and end."""


def people(seconds: float) -> list[Person]:
    """Who speaks: clients whose clock runs on, bots whose clock stops, open mics."""
    anew = (seconds * 0.3, seconds * 0.71)
    end = seconds
    return [
        Person("runs on, +100 ppm", 100, 0.5, end, seed=11),
        Person("runs on, -100 ppm", -100, 1.3, end, seed=12),
        Person("runs on, late", 60, seconds * 0.17, end, seed=13),
        Person("runs on, rejoins", -40, 4.2, end, anew_s=anew, seed=14),
        Person("stops, +100 ppm", 100, 2.0, end, stops=True, seed=15),
        Person(
            "stops, rejoins", -30, seconds / 60, end, stops=True, anew_s=anew, seed=16
        ),
        Person("open, +100 ppm", 100, 0.9, end, open_mic=True, seed=17),
        Person("open, -100 ppm", -100, seconds / 24, end, open_mic=True, seed=18),
    ]


def show_positions(name: str, v: Verdict) -> None:
    print(
        f"  {name:<18} {v.onsets:5} {v.worst_onset_ms:7.1f} {v.worst_packet_ms:7.1f} "
        f"{v.p99_ms:6.1f} {v.median_ms:6.1f} {v.drift_ms:+6.2f} {v.cuts:5} "
        f"{v.inserted:5} {v.corrections:6} {v.overlaps:4} {v.unplaced:5} "
        f"{v.counts.late:5} {v.longest_wait_s:5.2f}",
        flush=True,
    )


def show(name: str, decoder: str, f: Figures) -> None:
    print(
        f"  {name:<18} {decoder:<7} {f.onsets:6} {f.worst_onset_ms:6.1f} "
        f"{f.pieces:6} {f.worst_ms:6.1f} {f.drift_ms:+6.2f} {f.missing:7} {f.moved:6} "
        f"{f.most_moved:5.0f} {f.wrong_lengths:7}",
        flush=True,
    )


POSITIONS = (
    f"  {'':<18} {'spoke':>5} {'onset':>7} {'worst':>7} {'p99':>6} {'median':>6} "
    f"{'drift':>6} {'cuts':>5} {'gaps':>5} {'moves':>6} {'over':>4} {'lost':>5} "
    f"{'late':>5} {'wait':>5}"
)
HEARD = (
    f"  {'':<18} {'by':<7} {'onsets':>6} {'worst':>6} {'pieces':>6} {'worst':>6} "
    f"{'drift':>6} {'missing':>7} {'moved':>6} {'by':>5} {'lengths':>7}"
)


def bad_road(seconds: float, folder: Path) -> tuple[list[Verdict], list[Figures]]:
    """Eight over the bad network, the whole way."""
    down = ((seconds / 2, seconds / 2 + 4.0),)
    road = Road(stalls=stalls(seconds, per_min=6, seed=5), down=down)
    print("Placed, in ms later than the truth; 5 ms of them are the network")
    print(POSITIONS)
    speakers, verdicts = [], []
    for number, person in enumerate(people(seconds)):
        voice = a_voice(person.seed, room=person.open_mic)
        speaker = record(person, voice, road, folder / f"{number}")
        speakers.append(speaker)
        assert speaker.verdict is not None
        verdicts.append(speaker.verdict)
        show_positions(person.name, speaker.verdict)
    print("The same, stamped by the event loop; spurts without pauses")
    for person in people(seconds):
        show_positions(person.name, measure(person, replace(road, reader=False)))
    return verdicts, heard(speakers, folder / "master", stride=STRIDE)


def heard(speakers: list[Speaker], path: Path, *, stride: int) -> list[Figures]:
    """What both decoders hear in tracks, fragments and master."""
    figures = []
    print("Heard in the chunks, then in the fragments\n" + HEARD)
    for speaker in speakers:
        for where in (in_tracks, in_fragments):
            for name, decode in DECODERS.items():
                figures.append(where(speaker, decode, stride=stride))
                show(speaker.name, name, figures[-1])
    print("Heard in the master\n" + HEARD)
    end = master(speakers, path)
    for name, decode in DECODERS.items():
        figures.append(in_master(speakers, path, end, decode, stride=stride))
        show("all", name, figures[-1])
    return figures


def without_loss(seconds: float, folder: Path) -> list[Figures]:
    """Browsers behind jitter, and RTP without; the event loop stalls for all."""
    late = Road(delay_s=0, stalls=stalls(seconds, per_min=6, seed=6))
    calm = replace(late, jitter_s=0.0, loss=0.0, bursts_per_min=0.0, duplicates=0.0)
    browser = Person("browser", 0, 2.0, seconds, open_mic=True, seed=21)
    narrow = Person("browser, 16 kHz", 0, 3.0, seconds, open_mic=True, seed=23)
    client = Person("RTP", 0, 7.0, seconds, seed=22)
    speakers = [
        browse(browser, a_voice(21), late, folder / "browser"),
        browse(narrow, a_voice(23), late, folder / "narrow", rate=16_000),
        record(client, a_voice(22), calm, folder / "client"),
    ]
    return heard(speakers, folder / "exact", stride=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=MINUTES)
    seconds = parser.parse_args().minutes * 60
    began = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        verdicts, figures = bad_road(seconds, Path(name))
        print("Without loss")
        exact = without_loss(seconds, Path(name))
    print(
        f"worst onset {max(f.worst_onset_ms for f in figures):.1f} ms (20), "
        f"drift {max(abs(f.drift_ms) for f in figures):.2f} ms (5), "
        f"cuts inside speech {sum(v.cuts + v.inserted for v in verdicts)} (0), "
        f"not found {sum(f.missing for f in figures)} of "
        f"{sum(f.pieces for f in figures)}, "
        f"moved behind the clock {sum(f.moved for f in figures)} (0); "
        f"{sum(v.packets for v in verdicts):,} packets"
    )
    print(
        f"without loss: {sum(f.pieces for f in exact)} pieces, "
        f"apart by {max(f.spread for f in exact[:-2]):.0f} samples (0), "
        f"moved by {max(f.most_moved for f in exact):.0f} (0), "
        f"wrong lengths {sum(f.wrong_lengths for f in exact)} (0); "
        f"{time.process_time() - began:.0f} s CPU"
    )


if __name__ == "__main__":
    main()
