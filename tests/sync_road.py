"""The whole road of sound through a bad network: to chunks, fragments and a master.

Every packet of `rtp_sender`'s people carries speech. It goes through reordering, clock
and tape into chunk files, anew behind every restart of the bot; is joined to a fragment
for each connection, and all fragments are mixed. Then two decoders say where it is.
Needs Django's settings, no database. No Opus: a decoder's delay is not part of this.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from onsets import Decoder, Found, Piece, find
from rtp_sender import (
    PACKET,
    RATE,
    Person,
    Road,
    Sent,
    Verdict,
    Voice,
    carry,
    hear,
    judge,
    speak,
)
from speech import voices

from sessions import joining
from sessions.audio.clock import TrackClock
from sessions.audio.frames import Frame, Placed
from sessions.audio.masterfile import write_master
from sessions.audio.mp3decode import Piece as FilePiece
from sessions.audio.mp3decode import TrackReader
from sessions.audio.mp3frames import FRAME_SAMPLES
from sessions.capture.tape import Tape
from sessions.spool import Folder

LENGTH = 24
"""Packets of a piece of speech that is looked for: 0.48 s."""
MIXED = 48
"""The same among eight voices, which hide in half a second which period of a vowel is
which: of 20,524 pieces, five were found one or more periods away."""
LEAST = 8
"""With fewer of them heard, a piece is not looked for in a mix of eight."""
APART = 1.0
"""Samples: what a matched filter may be off by in MP3."""


def a_voice(seed: int, *, utterances: int = 12, room: bool = False) -> Voice:
    """espeak's, in a room that hums or behind a noise gate."""
    rng = np.random.default_rng(seed)
    delivery = voices.Delivery(pitch=15 + 17 * seed % 80, rate_wpm=150 + 7 * seed % 40)
    rows, starts, count = [], [], 0
    for text in voices.unseen_phrases(utterances, seed=seed):
        said = voices.trim(
            voices.speak(
                text,
                voice=voices.UNSEEN_VOICES[seed % len(voices.UNSEEN_VOICES)],
                delivery=delivery,
            )
        )
        wide = soxr.resample(said, voices.SAMPLE_RATE_HZ, RATE)
        wide = np.pad(wide, (0, -len(wide) % PACKET)).reshape(-1, PACKET)
        starts.append(count)
        count += len(wide)
        rows.append(wide)
    clean = np.concatenate([*rows, np.zeros((50 if room else 1, PACKET), np.int16)])
    noise = rng.normal(0, 45.0, clean.shape) if room else np.zeros(clean.shape)
    return Voice(
        np.clip(clean + noise.round(), -32_768, 32_767).astype(np.int16),
        np.array(starts),
        count,
        np.abs(clean.astype(np.int32)).max(axis=1) >= 60,
    )


@dataclass(frozen=True, slots=True)
class Connection:
    """What one connection left. Positions in samples at 48 kHz."""

    folder: Folder
    start: int
    end: int

    @property
    def track(self) -> Path:
        """Its chunks, one behind the other."""
        return self.folder.path / "track"


@dataclass(slots=True)
class Speaker:
    """A person, what was received of them, and where it was put."""

    name: str
    voice: Voice
    sent: Sent
    position: NDArray[np.float64]  # by number of the packet; nan: not on the track
    bot: NDArray[np.int64]  # which connection
    connections: list[Connection]
    verdict: Verdict | None = None

    def pieces(
        self, connection: int | None = None, *, stride: int, length: int = LENGTH
    ) -> list[Piece]:
        """Onsets, ends, and one of `stride` pieces between, in the order of speaking;
        of one connection or of all."""
        found: list[Piece] = []
        for run in self._runs():
            if connection is None or self.bot[run[0]] == connection:
                found += self._of_run(run, stride, length)
        return found

    def _runs(self) -> list[NDArray[np.int64]]:
        """The packets heard of each spurt, apart where half a second is missing."""
        numbers = np.flatnonzero(self.sent.speech & np.isfinite(self.position))
        spurt = np.cumsum(self.sent.onset)[numbers]
        parted = np.diff(spurt) > 0
        parted |= np.diff(numbers) > LENGTH
        parted |= np.diff(self.bot[numbers]) != 0
        parted |= np.diff(self.sent.moment_s[numbers]) > LENGTH * PACKET / RATE * 1.01
        return np.split(numbers, np.flatnonzero(parted) + 1)

    def _of_run(self, run: NDArray[np.int64], stride: int, length: int) -> list[Piece]:
        first, last = int(run[0]), int(run[-1])
        begins = list(range(first, last + 2 - length, length))[::stride] or [first]
        if (end := last + 1 - length) > begins[-1]:
            begins.append(end)
        pieces = [self._piece(b, min(length, last + 1 - b), b == first) for b in begins]
        return [piece for piece in pieces if piece is not None]

    def _piece(self, begin: int, count: int, is_onset: bool) -> Piece | None:
        part = slice(begin, begin + count)
        position = self.position[part] - PACKET * np.arange(count)
        heard = np.isfinite(position)
        if heard.sum() < LEAST:
            return None
        rows, voice = self.sent.row[part], self.voice

        def sound() -> NDArray[np.int16]:
            return (voice.rows[rows] * heard[:, None]).reshape(-1).astype(np.int16)

        placed = tuple(sorted({int(p) for p in position[heard]}))
        at = float(self.sent.moment_s[begin] * RATE)
        return Piece(at, count * PACKET, placed, is_onset, sound)


def record(
    person: Person, voice: Voice, road: Road, folder: Path, *, chunk_s: float = 300
) -> Speaker:
    """Over the network into chunk files and fragments."""
    sent = speak(person, voice)
    arrivals = carry(sent, road, seed=person.seed + 1000)
    heard = hear(sent, arrivals, road)
    speaker = Speaker(
        person.name,
        voice,
        sent,
        np.full(len(sent.moment_s), np.nan),
        np.zeros(len(sent.moment_s), np.int64),
        [],
        judge(sent, arrivals, heard),
    )
    for begin, end in pairwise([*heard.bots, len(heard.placements)]):
        placements = heard.placements[begin:end]
        taped = []
        for placement in placements:
            number = placement.packet.number
            speaker.position[number] = placement.position - placement.dropped
            speaker.bot[number] = len(speaker.connections)
            pcm = voice.rows[sent.row[number]][placement.dropped :]
            taped.append(Placed(placement.position, pcm, RATE))
        if taped:
            number = len(speaker.connections)
            speaker.connections.append(_write(taped, folder / f"{number}", chunk_s))
    return speaker


def browse(
    person: Person,
    voice: Voice,
    road: Road,
    folder: Path,
    *,
    rate: int = RATE,
    chunk_s: float = 300,
) -> Speaker:
    """The same from a browser: nothing is lost or out of order, for TCP waits. At
    16 kHz the voice is whole too: espeak's has nothing above 8 kHz."""
    sent = speak(person, voice)
    rng = np.random.default_rng(person.seed + 1000)
    at = sent.moment_s + PACKET / RATE + road.delay_s
    at = np.maximum.accumulate(at + rng.uniform(0, road.jitter_s, len(at)))
    read = np.array([road.stall_end(t) for t in at.tolist()])
    away_s = np.diff(road.stalled_s(read), prepend=0.0)
    clock, taped = TrackClock(), list[Placed]()
    for row, arrives, unheard_s in zip(
        sent.row.tolist(), read.tolist(), away_s.tolist(), strict=True
    ):
        pcm = voice.rows[row][:: RATE // rate]
        if unheard_s > 0:  # a stall's timers come before its sound
            taped += clock.tick(arrives, unheard_s=unheard_s)
        taped += clock.place(Frame(pcm, rate, arrives, 0, unheard_s))
    taped += clock.flush()
    assert sum(p.end - p.position for p in taped) == PACKET * len(at), "none dropped"
    position = np.array([p.position for p in taped], np.float64)
    whole = np.zeros(len(at), np.int64)
    return Speaker(
        person.name,
        voice,
        sent,
        position,
        whole,
        [_write(taped, folder / "0", chunk_s)],
    )


def _write(taped: Sequence[Placed], path: Path, chunk_s: float) -> Connection:
    """Chunks, and what is joined of them."""
    path.mkdir(parents=True)
    folder = Folder(path)
    tape = Tape(folder, chunk_s=chunk_s)
    for placed in taped:
        tape.put(placed)
    tape.finish()
    chunks = folder.chunks()
    start = chunks[0][0] * FRAME_SAMPLES
    done = Connection(folder, start, taped[-1].end)
    with done.track.open("wb") as whole:
        for _, chunk in chunks:
            with chunk.open("rb") as file:
                shutil.copyfileobj(file, whole)
    joining._write_fragment(
        folder.fragment,
        [joining._piece(first, chunk) for first, chunk in chunks],
        known=joining._granules(folder, chunks),
        start=start,
        end=done.end,
    )
    return done


def master(speakers: Sequence[Speaker], path: Path) -> int:
    """Mix the fragments; where the master ends."""
    end = max(c.end for s in speakers for c in s.connections)
    tracks = [
        TrackReader(
            [
                FilePiece(c.folder.fragment, c.start // FRAME_SAMPLES, header_frames=1)
                for c in s.connections
            ]
        )
        for s in speakers
    ]
    write_master(path, tracks, end=end, target_lufs=-16, ceiling_dbtp=-1.5)
    return end


@dataclass(slots=True)
class Comparison:
    """Where speech was found, against the truth. Errors in ms: positive is late."""

    at: list[NDArray[np.float64]] = field(default_factory=list)
    error: list[NDArray[np.float64]] = field(default_factory=list)
    moved: list[NDArray[np.float64]] = field(default_factory=list)
    onset: list[NDArray[np.bool_]] = field(default_factory=list)
    wrong_lengths: int = 0

    def add(self, pieces: list[Piece], found: Found, *, samples: int | None) -> None:
        """What one file showed; `samples`: how long it should be."""
        at = np.array([p.at for p in pieces])
        self.at.append(at)
        self.error.append((found.at - at) / RATE * 1000)
        near = [
            min(abs(f - p) for p in piece.placed)
            for f, piece in zip(found.at.tolist(), pieces, strict=True)
        ]
        self.moved.append(np.array(near))
        self.onset.append(np.array([p.is_onset for p in pieces]))
        self.wrong_lengths += samples is not None and found.samples != samples

    def figures(self) -> Figures:
        at, error = np.concatenate(self.at), np.concatenate(self.error)
        moved, onset = np.concatenate(self.moved), np.concatenate(self.onset)
        heard = np.isfinite(error)
        span = min(600.0 * RATE, (at.max() - at.min()) / 3)
        begin = heard & (at <= at.min() + span)
        close = heard & (at >= at.max() - span)
        return Figures(
            pieces=len(at),
            onsets=int(onset.sum()),
            missing=int((~heard).sum()),
            worst_onset_ms=float(np.abs(error[onset & heard]).max()),
            worst_ms=float(np.abs(error[heard]).max()),
            drift_ms=float(np.median(error[close]) - np.median(error[begin])),
            most_moved=float(moved[heard].max()),
            moved=int((moved[heard] > APART).sum()),
            spread=round(float(np.ptp(error[heard])) * RATE / 1000, 3),
            wrong_lengths=self.wrong_lengths,
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """What one decoder heard of one speaker, or of all. `moved`: pieces elsewhere than
    the clock put them, by `most_moved` samples; `spread`: samples between the earliest
    and the latest of all errors."""

    pieces: int
    onsets: int
    missing: int
    worst_onset_ms: float
    worst_ms: float
    drift_ms: float
    most_moved: float
    moved: int
    spread: float
    wrong_lengths: int


def in_tracks(speaker: Speaker, decode: Decoder, *, stride: int) -> Figures:
    """What a decoder hears in a speaker's chunks."""
    compared = Comparison()
    for number, connection in enumerate(speaker.connections):
        pieces = speaker.pieces(number, stride=stride)
        found = find(
            pieces, decode(connection.track), start=connection.start, without_info=True
        )
        compared.add(pieces, found, samples=None)
    return compared.figures()


def in_fragments(speaker: Speaker, decode: Decoder, *, stride: int) -> Figures:
    compared = Comparison()
    for number, connection in enumerate(speaker.connections):
        pieces = speaker.pieces(number, stride=stride)
        found = find(
            pieces,
            decode(connection.folder.fragment),
            start=connection.start,
            without_info=False,
        )
        compared.add(pieces, found, samples=connection.end - connection.start)
    return compared.figures()


def in_master(
    speakers: Sequence[Speaker], path: Path, end: int, decode: Decoder, *, stride: int
) -> Figures:
    pieces = [
        piece for s in speakers for piece in s.pieces(stride=stride, length=MIXED)
    ]
    pieces.sort(key=lambda piece: piece.at)
    compared = Comparison()
    found = find(pieces, decode(path), start=0, without_info=False)
    compared.add(pieces, found, samples=end)
    return compared.figures()
