"""What is left of a run against what was said: every 20 ms, phrase and file."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import av
import numpy as np
import soxr
from numpy.typing import NDArray
from talk import word_errors, words_of

from chaos.packets import TIMELINE, as_decoded, best_place, places_of, runs
from chaos.people import Track
from chaos.script import FRAME_S, Pcm, Script
from chaos.thinning import KEY, kept_of, leading
from chaos.town import Down

MP3_FRAME = 1152
SIDES: tuple[Literal["left"], Literal["right"]] = "left", "right"
SETTLED_S = 8.0
"""Sound that came late is told from sound that was never sent in the next pause."""
CORRECTION_S = 0.03
"""By how much a track may be moved in the midst of speech: `sessions.audio.drift`."""
NEAR = TIMELINE
"""A line within a second of what somebody said is of that."""
MAY_S = 1.0
"""What a hole may be longer than the time for which nobody was there."""


@dataclass(frozen=True, slots=True)
class Take:
    """One connection's sound; `start` on the timeline, whose zero is at `zero` by the
    monotonic clock."""

    zero: float
    start: int
    rate: int
    pcm: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Hole:
    """What was sent and is nowhere: from and to by the monotonic clock."""

    name: str
    road: str
    since: float
    until: float

    @property
    def seconds(self) -> float:
        return self.until - self.since


@dataclass
class Found:
    """Of one track: where each frame stands on the timeline, NaN where it does not."""

    track: Track
    at: NDArray[np.float64]
    holes: list[Hole] = field(default_factory=list)
    astray_ms: list[float] = field(default_factory=list)
    """How far frames stand from where they were captured, their median being right."""
    disturbed_ms: list[float] = field(default_factory=list)
    """The same of those that came late, and of the next `SETTLED_S`."""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    """Lines where nobody said anything."""
    shortened_s: float = 0.0
    """By how much it was made shorter, nearly all in pauses: its clock and ours do not
    run alike, or sound that came late had been given a gap."""
    corrections: int = 0
    """In how many places."""
    phrases: int = 0
    word_errors: int = 0
    words: int = 0


def decoded(data: bytes) -> tuple[int, NDArray[np.int16]]:
    """A FLAC: its rate and its sound."""
    with av.open(io.BytesIO(data), "r") as file:
        stream = file.streams.audio[0]
        pieces = [frame.to_ndarray().reshape(-1) for frame in file.decode(stream)]
        rate = stream.rate
    whole = np.concatenate([np.zeros(0, np.int16), *pieces])
    return rate, whole if whole.dtype == np.int16 else (whole >> 16).astype(np.int16)


# --- where each frame stands ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Places:
    """Of each frame: its place on the timeline, NaN where it is nowhere; and how many
    of its samples were left out there."""

    at: NDArray[np.float64]
    left_out: NDArray[np.int64]


def placed(track: Track, takes: Iterable[Take]) -> Places:
    """Where each frame stands."""
    script = track.script
    found = Places(np.full(script.frames, np.nan), np.zeros(script.frames, np.int64))
    takes = list(takes)
    if track.road == "discord":
        for take in takes:
            _place_packets(script, track, take, found.at)
        return found
    for take in (*takes, *_seams(script, takes)):
        _place_frames(script, take, found.at)
    for take in takes:
        _place_parts(script, take, found)
    return found


def _seams(script: Script, takes: list[Take]) -> Iterator[Take]:
    """Where one connection's sound ended and the next one's begins: a server that dies
    may have kept half a frame, and the other half is sent to the next one."""
    for one, other in pairwise(sorted(takes, key=lambda take: take.start)):
        if (one.zero, one.rate) != (other.zero, other.rate):
            continue
        end = one.pcm[-script.frame + 1 :]
        start = one.start + (len(one.pcm) - len(end)) * TIMELINE // one.rate
        pcm = np.concatenate([end, other.pcm[: script.frame - 1]])
        yield Take(one.zero, start, one.rate, pcm)


def _place_frames(script: Script, take: Take, at: NDArray[np.float64]) -> None:
    """To the sample: frames are found by their first samples, and compared whole."""
    size = script.frame
    frames = script.pcm.reshape(-1, size)
    if len(take.pcm) < size:
        return
    where = _keys(take.pcm[: len(take.pcm) - size + KEY])
    order = np.argsort(where, kind="stable")
    sought = _keys_of(frames)
    first = np.searchsorted(where[order], sought)
    for number, place in enumerate(first):
        while place < len(order) and where[order[place]] == sought[number]:
            begin = order[place]
            if np.array_equal(take.pcm[begin : begin + size], frames[number]):
                at[number] = take.start + begin * TIMELINE / take.rate
                break
            place += 1


def _place_parts(script: Script, take: Take, found: Places) -> None:
    """Frames in which the track was moved: all of it is there, but for exactly as many
    samples as what follows stands earlier, or with a gap in between."""
    size, scale = script.frame, TIMELINE // take.rate
    if len(take.pcm) < size:
        return
    frames, at = script.pcm.reshape(-1, size), found.at
    where = _keys(take.pcm)
    order = np.argsort(where, kind="stable")
    where = where[order]
    missing = np.flatnonzero(np.isnan(at))
    # Forwards, then backwards: what is known of one frame helps with its next.
    for number in (*missing, *missing[::-1]):
        if not np.isnan(at[number]):
            continue
        frame = frames[number]
        lines = {
            _line(at[other], take, scale) + (number - other) * size
            for other in (number - 1, number + 1)
            if 0 <= other < len(at)
        }
        for offset in (*range(0, size, size // 4), size - KEY):
            key = _keys(frame[offset : offset + KEY])[0]
            low, high = (np.searchsorted(where, key, side) for side in SIDES)
            lines |= {int(place) - offset for place in order[low:high]}
        lines.add(len(take.pcm) - size)  # a few samples of the last one may be alone
        best = _moved(frame, take.pcm, lines, most=size // 2)
        if best is not None:
            at[number] = take.start + best[0] * scale
            found.left_out[number] = best[1]
    for begin, end in runs(np.isnan(at) | (found.left_out > 0)):
        _place_run(script, take, found, begin, end)


def _place_run(script: Script, take: Take, found: Places, begin: int, end: int) -> None:
    """Frames between two whole ones that were moved more than once: where one ends and
    the next begins, or here and there."""
    size, scale, at = script.frame, TIMELINE // take.rate, found.at
    if not begin or end == len(at) or not np.isnan(at[begin:end]).any():
        return
    first = _line(at[begin - 1], take, scale) + size
    last = _line(at[end], take, scale)
    said = script.pcm[begin * size : end * size]
    if end - begin == 2:
        best = _moved(said, take.pcm, {first, last - 2 * size}, most=size // 2)
        if best is not None:
            at[begin:end] = take.start + (best[0] + np.arange(2) * size) * scale
            found.left_out[begin] = best[1]
            return
    if not 0 <= first <= last <= len(take.pcm):
        return
    places = kept_of(said, take.pcm[first:last], most=size // 2)
    if places is None:
        return
    for number, one in zip(range(begin, end), places.reshape(-1, size), strict=True):
        there = np.flatnonzero(one >= 0)
        if len(there):
            line = first + one[there[-1]] - there[-1]
            at[number] = take.start + line * scale
            found.left_out[number] = size - len(there)


def _line(at: float, take: Take, scale: int) -> int:
    """Where in the take something of the timeline stands."""
    return -(10**9) if np.isnan(at) else round((at - take.start) / scale)


def _moved(
    frame: Pcm, pcm: Pcm, lines: Iterable[int], *, most: int
) -> tuple[int, int] | None:
    """Where a frame's end says that it stands, and how many samples are left out of it,
    `most` at most, if its beginning stands on one of the lines and all that follows on
    another."""
    size, lines = len(frame), [line for line in lines if line >= 0]
    alike = {
        line: pcm[line : line + size] == frame[: len(pcm[line : line + size])]
        for line in lines
    }
    heads = {line: leading(one) for line, one in alike.items()}
    tails = {
        line: leading(one[::-1]) if len(one) == size else 0
        for line, one in alike.items()
    }
    for head in lines:
        for tail in lines:
            left_out = max(head - tail, 0)
            has_moved = 0 < left_out <= most or head < tail
            if has_moved and heads[head] + tails[tail] >= size - left_out:
                return tail, left_out
    return None


def _keys(pcm: NDArray[np.int16]) -> NDArray[np.uint64]:
    """Of each place: a number of the `KEY` samples from there on."""
    windows = np.lib.stride_tricks.sliding_window_view(pcm, KEY)
    return _mixed(windows)


def _keys_of(frames: NDArray[np.int16]) -> NDArray[np.uint64]:
    return _mixed(frames[:, :KEY])


def _mixed(rows: NDArray[np.int16]) -> NDArray[np.uint64]:
    found = np.zeros(len(rows), np.uint64)
    for column in range(KEY):
        found *= np.uint64(0x9E3779B97F4A7C15)
        found += rows[:, column].astype(np.uint16).astype(np.uint64)
    return found


def _place_packets(
    script: Script, track: Track, take: Take, at: NDArray[np.float64]
) -> None:
    """Each phrase near where it was spoken, then each packet of it."""
    for phrase in script.phrases:
        first = phrase.begin // script.frame
        captured = track.captured[first]
        if np.isnan(captured):
            continue
        truth = as_decoded(script, phrase)
        near = (captured - take.zero) * TIMELINE - take.start
        places = places_of(truth, take.pcm, near, size=script.frame)
        mine = at[first : first + len(places)]
        there = ~np.isnan(places)
        mine[there] = take.start + places[there]


# --- what is missing, and what stands wrong -------------------------------------------


def judged(track: Track, takes: Iterable[Take], disturbed: Iterable[Down]) -> Found:
    """Its holes, and how far its frames are from their places."""
    places = placed(track, takes)
    found = Found(track, places.at)
    left_out_s = places.left_out / track.script.rate
    for begin, end in runs((places.left_out > 0) & _speaks(track.script)):
        if left_out_s[begin:end].sum() > CORRECTION_S:
            found.at[begin:end] = np.nan
            left_out_s[begin:end] = 0
    found.shortened_s = float(left_out_s.sum())
    found.corrections = len(runs(left_out_s > 0))
    sent = ~np.isnan(track.captured)
    for begin, end in runs(sent & np.isnan(found.at)):
        found.holes.append(
            Hole(
                track.script.name,
                track.road,
                float(track.captured[begin]),
                float(track.captured[end - 1]) + FRAME_S,
            )
        )
    away = (found.at / TIMELINE - track.captured) * 1000
    was_late = np.zeros(len(away), bool)
    for one in disturbed:
        if one.carries == track.road:
            until = one.until + SETTLED_S
            was_late |= (track.captured > one.since - 0.1) & (track.captured < until)
    is_known = ~np.isnan(away)
    usual = is_known & ~was_late if (is_known & ~was_late).any() else is_known
    away -= np.median(away[usual]) if usual.any() else 0.0
    found.astray_ms = list(away[is_known & ~was_late])
    found.disturbed_ms = list(away[is_known & was_late])
    return found


def _speaks(script: Script) -> NDArray[np.bool_]:
    """Of each frame: whether anything of it belongs to a phrase."""
    found = np.zeros(script.frames, bool)
    for phrase in script.phrases:
        found[phrase.begin // script.frame : -(-phrase.end // script.frame)] = True
    return found


def excused(hole: Hole, down: Iterable[Down]) -> bool:
    """Whether its process was down just then, and it is no longer than may be."""
    return any(
        one.carries == hole.road
        and hole.since < one.until + MAY_S
        and hole.until > one.since - MAY_S
        and hole.seconds <= one.until - one.since + MAY_S
        for one in down
    )


# --- words ----------------------------------------------------------------------------


def read_lines(found: Found, lines: list[dict[str, Any]]) -> None:
    """Each phrase that was received whole against the lines at its place. `lines` have
    `start` and `end` on the timeline, and `text`; one without is none."""
    lines = [line for line in lines if line["text"]]
    script = found.track.script
    for phrase in script.phrases:
        frames = slice(phrase.begin // script.frame, phrase.end // script.frame)
        at = found.at[frames]
        if not len(at) or np.isnan(at).any():
            continue
        begin, end = at[0], at[-1] + TIMELINE * FRAME_S
        here = [line for line in lines if _overlap(line, begin, end) > 0.5]
        found.phrases += 1
        label = f"{script.name} at {begin / TIMELINE:.1f} s: {phrase.text}"
        if not any(_overlap(line, begin, end) > 0.1 for line in lines):
            found.lost.append(label)
        elif len(here) > 1:
            found.doubled.append(f"{label}: {[line['text'] for line in here]}")
        said = words_of(phrase.text)
        touching = [line for line in lines if _overlap(line, begin, end) > 0.1]
        heard = words_of(" ".join(line["text"] for line in touching))
        found.words += len(said)
        found.word_errors += word_errors(said, heard)
    spoken = list(_spoken(found))
    for line in lines:
        if not any(_near(line, begin, end) for begin, end in spoken):
            at_s = line["start"] / TIMELINE
            found.invented.append(f"{script.name} at {at_s:.1f} s: {line['text']}")


def _spoken(found: Found) -> Iterator[tuple[float, float]]:
    """Where on the timeline each phrase was said, whatever was received of it."""
    script, captured = found.track.script, found.track.captured * TIMELINE
    captured = captured[: len(found.at)]
    zero = np.nanmedian(found.at - captured)
    for phrase in script.phrases:
        frames = slice(phrase.begin // script.frame, phrase.end // script.frame)
        at = captured[frames] + zero
        if len(at) and not np.isnan(at).all():
            yield float(np.nanmin(at)), float(np.nanmax(at)) + TIMELINE * FRAME_S


def _near(line: dict[str, Any], begin: float, end: float) -> bool:
    return bool(line["start"] < end + NEAR and line["end"] > begin - NEAR)


def _overlap(line: dict[str, Any], begin: float, end: float) -> float:
    """How much of the phrase that line covers."""
    both = min(line["end"], end) - max(line["start"], begin)
    return float(max(both, 0.0) / (end - begin))


# --- masters --------------------------------------------------------------------------


def off_master(found: Found, master: NDArray[np.int16], *, count: int = 8) -> list[int]:
    """How many samples some of the phrases stand in the master from where their track
    has them."""
    script, apart = found.track.script, []
    whole = []
    for phrase in script.phrases:
        at = found.at[phrase.begin // script.frame : phrase.end // script.frame]
        if len(at) and not np.isnan(at).any():
            whole.append((phrase, int(at[0])))
    for phrase, begin in whole[:: max(len(whole) // count, 1)]:
        truth = script.pcm[phrase.begin : phrase.end]
        if script.rate != TIMELINE:
            truth = soxr.resample(truth, script.rate, TIMELINE)
        low = max(begin - 2 * MP3_FRAME, 0)
        window = master[low : begin + len(truth) + 2 * MP3_FRAME].astype(np.float32)
        if len(window) < len(truth):
            apart.append(10**6)
            continue
        apart.append(low + best_place(window, truth) - begin)
    return apart


DUMP = """
import json
from django.db.models import F
from sessions.models import Recording, VoiceSession
from transcripts.models import Utterance
print(json.dumps({
    "sessions": [{"pk": one.pk, "public": str(one.public_id),
        "began": one.started_at.timestamp()}
        for one in VoiceSession.objects.all()],
    "recordings": list(Recording.objects.filter(tier__in=("original", "master")).values(
        "session_id", "tier", "key", "start", "state",
        name=F("participant__name"))),
    "errors": list(Recording.objects.exclude(error="").values("key", "error", "state")),
    "utterances": list(Utterance.objects.values(
        "session_id", "start", "end", "text", "state", name=F("participant__name"))),
}))
"""
