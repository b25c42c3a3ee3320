"""People who speak over RTP through a bad network, and the truth about when they did.

The truth (each packet's moment) stays here: what is under test gets sequence numbers,
timestamps, arrivals and loudness, and is measured by where it puts the packets.

The bot reads its socket in a thread of its own, which stamps each packet as it reads it
and hands it to the event loop: stalls of the loop delay the hearing, not the stamp. The
thread itself waits some milliseconds for the interpreter's lock at times.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sessions.audio.reorder import Counts, Ordered, ReorderBuffer
from sessions.audio.rtpclock import RtpClock
from sessions.audio.stamped import Placement, Stamped
from sessions.audio.unwrap import RtpPacket

RATE = 48_000
PACKET = 960
REJOIN_S = 1.5
SILENCE_PACKETS = 5
"""Discord's clients send five packets of silence when somebody stops speaking."""


@dataclass(frozen=True, slots=True)
class Road:
    """The network and the event loop, the same for all. Times in seconds."""

    delay_s: float = 0.005  # the least: no receiver can see it, so it counts as error
    jitter_s: float = 0.06  # uniform, so that packets overtake each other
    loss: float = 0.05
    bursts_per_min: float = 0.5  # of 0.1 to 0.5 s, all lost
    duplicates: float = 0.01
    stalls: tuple[tuple[float, float], ...] = ()  # (begin, end) of the event loop's
    down: tuple[tuple[float, float], ...] = ()  # the bot was not there
    reader: bool = True  # a thread stamps what it reads; else the stalling loop does

    def stamps(
        self, at: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """When the reader has what arrives at `at`: most at once, a tenth of it after a
        turn or two of the interpreter's lock, which is 5 ms."""
        waits = rng.exponential(0.0002, len(at))
        waits += (rng.random(len(at)) < 0.1) * rng.uniform(0, 0.01, len(at))
        return np.maximum.accumulate(at + waits)

    def stall_end(self, at: float) -> float:
        """When what arrives at `at` is read."""
        i = bisect_right(self.stalls, (at, np.inf)) - 1
        return max(at, self.stalls[i][1]) if i >= 0 else at

    def stalled_s(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """How long all stalls lasted that were over by each of these times."""
        begins, ends = np.array(self.stalls).reshape(-1, 2).T
        lasted = np.concatenate([[0.0], np.cumsum(ends - begins)])
        return np.asarray(lasted[np.searchsorted(ends, at, side="right")])


def stalls(
    seconds: float, *, per_min: float, seed: int
) -> tuple[tuple[float, float], ...]:
    """Stalls of the event loop of 50 to 800 ms, at random times, one after another."""
    rng = np.random.default_rng(seed)
    made: list[tuple[float, float]] = []
    for begin in np.sort(rng.uniform(0, seconds, round(seconds / 60 * per_min))):
        if not made or begin > made[-1][1] + 0.05:
            made.append((float(begin), float(begin + rng.uniform(0.05, 0.8))))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class Person:
    """One speaker. `stops`: the RTP clock stands still in silence; `open_mic`: sends
    room noise between the words; `anew_s`: rejoined then, with new random numbers."""

    name: str
    ppm: float = 0.0
    joins_s: float = 1.0
    leaves_s: float = 3600.0
    talk: float = 0.27
    stops: bool = False
    open_mic: bool = False
    anew_s: tuple[float, ...] = ()
    first_sequence: int = 65_000  # wraps within the first half minute of speech
    first_timestamp: int = 2**32 - 48_000 * 30
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Voice:
    """What somebody says, again and again, a packet in a row: int16 at 48 kHz."""

    rows: NDArray[np.int16]  # (n, 960): first speech, then room noise or silence
    starts: NDArray[np.int64]  # rows with which an utterance begins
    speech_rows: int
    sounding: NDArray[np.bool_]  # (n,): the voice itself sounds in it

    def spoken(
        self, onset: NDArray[np.bool_], speech: NDArray[np.bool_], *, seed: int
    ) -> NDArray[np.int64]:
        """The row of each packet: at every onset an utterance begins."""
        rng = np.random.default_rng(seed)
        at = np.arange(len(onset))
        begins = np.maximum.accumulate(np.where(onset, at, 0))
        start = rng.choice(self.starts, len(onset))[begins]
        said = (start + at - begins) % self.speech_rows
        rest = rng.integers(self.speech_rows, len(self.rows), len(at))
        return np.where(speech, said, rest)

    def rms(self) -> NDArray[np.float64]:
        return np.sqrt(np.square(self.rows, dtype=np.float64).mean(axis=1))


@dataclass(slots=True)
class Sent:
    """A person's packets as they left, and the truth about them."""

    moment_s: NDArray[np.float64]
    sequence: NDArray[np.int64]
    timestamp: NDArray[np.int64]
    ssrc: NDArray[np.int64]
    rms: NDArray[np.float64]
    speech: NDArray[np.bool_]
    onset: NDArray[np.bool_]
    sounding: NDArray[np.bool_]  # no pause between two words
    row: NDArray[np.int64]  # of the voice


def speak(person: Person, voice: Voice | None = None) -> Sent:
    """Sparse speech: spurts of some seconds between silences, some of them long.

    Without a voice there is no sound, only a loudness, and a spurt has no pauses.
    """
    rng = np.random.default_rng(person.seed)
    tick_s = 1 / RATE / (1 + person.ppm / 1e6)
    end = int((person.leaves_s - person.joins_s) / (PACKET * tick_s))
    speech = np.zeros(end, np.bool_)  # by packet of the sender's clock
    onset = np.zeros(end, np.bool_)
    tail = np.zeros(end, np.bool_)
    silence_s = 3.4 * (1 - person.talk) / person.talk
    at = int(rng.exponential(1.0) * 50)
    while at < end:
        length = int((0.4 + rng.exponential(3.0)) * 50)
        onset[at] = True
        speech[at : at + length] = True
        tail[at + length : at + length + SILENCE_PACKETS] = True
        short = rng.random() < 0.9
        pause = 0.3 + rng.exponential(silence_s * (0.5 if short else 5.5))
        at += length + int(pause * 50)
    clock = np.arange(end)
    if not person.open_mic:
        clock = clock[speech | tail]
    for again in person.anew_s:
        left = round((again - person.joins_s) / PACKET / tick_s)
        back = left + round(REJOIN_S / PACKET / tick_s)
        clock = clock[(clock < left) | (clock >= back)]
        onset[back] = speech[back]  # in the middle of a word
    moment = np.asarray(person.joins_s + clock * PACKET * tick_s, np.float64)
    loud, room = rng.uniform(800, 6000, end), rng.uniform(30, 60, end)
    quiet = room if person.open_mic else np.zeros(end)
    rms = np.where(speech, loud, quiet)[clock]
    sounding, row = speech[clock], np.zeros(len(clock), np.int64)
    if voice is not None:
        row = voice.spoken(onset, speech, seed=person.seed)[clock]
        rms, sounding = voice.rms()[row], speech[clock] & voice.sounding[row]
    count = np.arange(len(clock))
    sequence = person.first_sequence + count
    timestamp = person.first_timestamp + (count if person.stops else clock) * PACKET
    ssrc = np.zeros(len(clock), np.int64)
    for again in person.anew_s:
        later = moment >= again
        sequence[later] += int(rng.integers(1 << 16))
        timestamp[later] += int(rng.integers(1 << 32))
        ssrc[later] += 1 + int(rng.integers(1 << 16))
    return Sent(
        moment,
        sequence % 2**16,
        timestamp % 2**32,
        ssrc,
        rms,
        speech[clock],
        onset[clock],
        sounding,
        row,
    )


@dataclass(slots=True)
class Arrivals:
    """Which packet was read when, in the order of reading."""

    index: NDArray[np.int64]
    at_s: NDArray[np.float64]
    stamp_s: NDArray[np.float64]  # what the packet says of its arrival


def carry(sent: Sent, road: Road, *, seed: int) -> Arrivals:
    """What the road makes of it: lost, late, out of order, twice, bunched."""
    rng = np.random.default_rng(seed)
    n = len(sent.moment_s)
    arrives = sent.moment_s + PACKET / RATE + road.delay_s
    keep = rng.random(n) >= road.loss
    minutes = float(sent.moment_s[-1]) / 60
    for begin in rng.uniform(0, minutes * 60, round(minutes * road.bursts_per_min)):
        keep &= ~((arrives >= begin) & (arrives < begin + rng.uniform(0.1, 0.5)))
    index = np.flatnonzero(keep)
    twice = index[rng.random(len(index)) < road.duplicates]
    index = np.concatenate([index, twice])
    at = arrives[index] + rng.uniform(0, road.jitter_s, len(index))
    order = np.argsort(at, kind="stable")
    index, at = index[order], at[order]
    for begin, end in road.down:
        heard = (at < begin) | (at >= end)
        index, at = index[heard], at[heard]
    stamp = road.stamps(at, np.random.default_rng(seed + 1)) if road.reader else at
    read = np.array([road.stall_end(float(t)) for t in stamp])
    return Arrivals(index, read, stamp if road.reader else read)


@dataclass(slots=True)
class Heard:
    """Where the packets were put, by their number in what was sent."""

    placements: list[Placement] = field(default_factory=list)
    bots: list[int] = field(default_factory=list)  # with which placement each began
    counts: list[Counts] = field(default_factory=list)
    longest_wait_s: float = 0.0


def hear(sent: Sent, arrivals: Arrivals, road: Road) -> Heard:
    """A bot that reads what has come and then lets time pass; restarted when down."""
    heard = Heard()
    begins = [0.0, *[end for _, end in road.down], np.inf]
    for begin, end in pairwise(begins):
        mine = (arrivals.at_s >= begin) & (arrivals.at_s < end)
        heard.bots.append(len(heard.placements))
        _Bot(sent, road, heard).run(arrivals, mine)
    return heard


class _Bot:
    def __init__(self, sent: Sent, road: Road, heard: Heard) -> None:
        self.sent, self.road, self.heard = sent, road, heard
        self.reorder, self.clock = ReorderBuffer(), RtpClock()
        self.stalls = road.stalls

    def run(self, arrivals: Arrivals, mine: NDArray[np.bool_]) -> None:
        sent, index = self.sent, arrivals.index[mine]
        columns = zip(
            index.tolist(),
            arrivals.at_s[mine].tolist(),
            arrivals.stamp_s[mine].tolist(),
            sent.sequence[index].tolist(),
            sent.timestamp[index].tolist(),
            sent.ssrc[index].tolist(),
            strict=True,
        )
        last = 0.0
        for i, at, stamp, sequence, timestamp, ssrc in columns:
            if at > last:
                self._pass(last, at)
                last = at
            packet = RtpPacket(sequence, timestamp, stamp, i.to_bytes(4), ssrc)
            self._place(self.reorder.push(packet), at)
        self._pass(last, last + 3.0)
        self._place(self.reorder.flush(), last)
        self._note(self.clock.flush(), last)
        self.heard.counts.append(self.reorder.counts)

    def _pass(self, now: float, until: float) -> None:
        """The bot's timer, every 40 ms, between what is read; never in a stall."""
        limit = min(until, now + 3.0)
        while now < limit:
            if self.road.stall_end(now) <= now:
                self._place(self.reorder.tick(now), now)
                self._note(self.clock.tick(now), now)
            now += 0.04

    def _place(self, ordered: list[Ordered], now: float) -> None:
        for o in ordered:
            number = int.from_bytes(o.payload)
            rms = float(self.sent.rms[number])
            stamped = Stamped(
                number, o.timestamp, PACKET, o.arrival_s, rms, o.lost, o.restarted
            )
            self._note(self.clock.place(stamped), now)

    def _note(self, placements: list[Placement], now: float) -> None:
        for placement in placements:
            waited = now - placement.packet.arrival_s
            self.heard.longest_wait_s = max(self.heard.longest_wait_s, waited)
        self.heard.placements += placements


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far from the truth a track is. Errors in ms: positive is too late."""

    onsets: int
    packets: int
    worst_onset_ms: float
    worst_packet_ms: float
    median_ms: float
    p99_ms: float
    drift_ms: float  # the last ten minutes against the first, medians
    cuts: int  # samples dropped or steps backwards, inside speech
    inserted: int  # steps forwards, inside speech
    corrections: int  # outside speech
    unplaced: int  # read, no duplicate, and yet on no track
    overlaps: int
    longest_wait_s: float
    counts: Counts


def judge(sent: Sent, arrivals: Arrivals, heard: Heard) -> Verdict:
    """Compare the track with the truth."""
    number = np.array([p.packet.number for p in heard.placements])
    position = np.array([p.position for p in heard.placements])
    dropped = np.array([p.dropped for p in heard.placements])
    end = np.array([p.end for p in heard.placements])
    moment = sent.moment_s[number]
    error = ((position - dropped) / RATE - moment) * 1000
    spurt = np.cumsum(sent.onset)[number]
    first = np.flatnonzero(np.diff(spurt, prepend=0))
    first = first[sent.speech[number[first]]]
    talk, sounds = sent.speech[number], sent.sounding[number]
    # A step is where the distance of two packets is not what it was when spoken.
    step = np.diff(error, prepend=error[0])
    within = talk & np.roll(talk, 1) & (np.diff(spurt, prepend=-1) == 0)
    within &= sounds | np.roll(sounds, 1)
    within &= np.diff(moment, prepend=moment[0]) < 2.0  # no bot restarted in between
    span = min(600.0, (moment[-1] - moment[0]) / 3)
    begin, close = moment < moment[0] + span, moment > moment[-1] - span
    counts = Counts()
    for c in heard.counts:
        for name in Counts.__slots__:
            setattr(counts, name, getattr(counts, name) + getattr(c, name))
    return Verdict(
        onsets=len(first),
        packets=len(number),
        worst_onset_ms=float(np.abs(error[first]).max()),
        worst_packet_ms=float(np.abs(error).max()),
        median_ms=float(np.median(error)),
        p99_ms=float(np.quantile(np.abs(error), 0.99)),
        drift_ms=float(np.median(error[close]) - np.median(error[begin])),
        cuts=int((within & (step < -0.1)).sum() + (sounds & (dropped > 0)).sum()),
        inserted=int((within & (step > 0.1)).sum()),
        corrections=int(((np.abs(step) > 0.1) & ~within).sum()),
        unplaced=len(set(arrivals.index.tolist()) - set(number.tolist())),
        overlaps=int((position[1:] < end[:-1]).sum()),
        longest_wait_s=heard.longest_wait_s,
        counts=counts,
    )


def measure(person: Person, road: Road) -> Verdict:
    """One person over one road."""
    sent = speak(person)
    arrivals = carry(sent, road, seed=person.seed + 1000)
    return judge(sent, arrivals, hear(sent, arrivals, road))
