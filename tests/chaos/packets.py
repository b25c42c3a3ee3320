"""Where the packets of a phrase stand in what was kept of them: by likeness, for Opus
keeps no samples."""

from __future__ import annotations

import av
import numpy as np
from fakecord.rtp import opus
from numpy.typing import NDArray

from chaos.script import Pcm, Phrase, Script

TIMELINE = 48_000
ALIKE = 0.6
"""Of a decoded packet to what was encoded; two phrases have less than 0.3."""
SHORTEST = 5
"""Packets of a phrase that are looked for by themselves: with fewer, anything is."""
LOUD = 200.0
"""Root mean square from which a packet of speech is told from another."""


def places_of(truth: Pcm, sound: Pcm, near: float, *, size: int) -> NDArray[np.float64]:
    """Where in `sound` each packet of `size` samples begins that was decoded to
    `truth`, a phrase whose first one was due `near`; NaN where it is not. A decoder
    that has missed what was before makes something else of the first loud one: it is
    there if just before the second anything sounds."""
    found = _looked_for(truth, sound, near, size=size)
    loud = np.flatnonzero(_is_loud(truth, size))[:2]
    if len(loud) == 2 and np.isnan(found[loud[0]]) and not np.isnan(found[loud[1]]):
        begin = int(found[loud[1]]) - (loud[1] - loud[0]) * size
        if begin >= 0 and _rms(sound[begin : begin + size]) >= LOUD:
            found[loud[0]] = begin
    return found


def _looked_for(
    truth: Pcm, sound: Pcm, near: float, *, size: int
) -> NDArray[np.float64]:
    """Each packet by its likeness. After an interruption what follows is looked for by
    itself. A quiet packet is like any other: it stands beside the one before it, else
    beside the one behind."""
    found = np.full(len(truth) // size, np.nan)
    begin = _begin_of(truth, sound, near)
    if begin is None:
        return found
    is_loud = _is_loud(truth, size)
    for number in np.flatnonzero(is_loud):
        packet = truth[number * size :][:size]
        heard = sound[begin + number * size :][:size]
        if len(heard) == size and _likeness(packet, heard) > ALIKE:
            found[number] = begin + number * size
    for first, last in runs(np.isnan(found)):
        if SHORTEST <= last - first < len(found):
            part = truth[first * size : last * size]
            near = begin + first * size
            found[first:last] = _looked_for(part, sound, near, size=size)
    known = np.flatnonzero(~np.isnan(found))
    for number in np.flatnonzero(~is_loud & np.isnan(found)) if len(known) else ():
        beside = known[max(int(np.searchsorted(known, number)) - 1, 0)]
        place = found[beside] + (number - beside) * size
        if 0 <= place <= len(sound) - size:
            found[number] = place
    return found


def runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where it holds: from and to, `to` past the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def as_decoded(script: Script, phrase: Phrase) -> NDArray[np.int16]:
    """A phrase as whoever hears all of its packets hears it."""
    decoder = av.CodecContext.create("libopus", "r")
    packets = opus(script.pcm[phrase.begin : phrase.end])
    frames = [frame for one in packets for frame in decoder.decode(av.Packet(one))]
    sound = np.concatenate(
        [one.to_ndarray().reshape(-1, one.layout.nb_channels)[:, 0] for one in frames]
    )
    return sound if sound.dtype == np.int16 else (sound * 32767).astype(np.int16)


def _begin_of(
    truth: NDArray[np.int16], sound: NDArray[np.int16], near: float
) -> int | None:
    """Where it begins, half a second from `near` at most."""
    if not -TIMELINE // 2 < near < len(sound):
        return None  # it belongs to another connection
    low = max(int(near) - TIMELINE // 2, 0)
    high = min(int(near) + len(truth) + TIMELINE // 2, len(sound))
    window = sound[low:high].astype(np.float32)
    if len(window) < len(truth):
        return None
    begin = low + best_place(window, truth)
    part = sound[begin : begin + len(truth)]
    return begin if _likeness(truth, part) > ALIKE / 2 else None


def best_place(window: NDArray[np.float32], truth: NDArray[np.int16]) -> int:
    """Where in the window it is most alike, by all that there is."""
    size = 1 << (len(window) + len(truth)).bit_length()
    spectrum = np.fft.rfft(window, size) * np.conj(np.fft.rfft(truth, size))
    match = np.fft.irfft(spectrum, size)[: len(window) - len(truth) + 1]
    return int(np.argmax(match))


def _is_loud(truth: Pcm, size: int) -> NDArray[np.bool_]:
    return np.array([_rms(one) >= LOUD for one in truth.reshape(-1, size)])


def _rms(pcm: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(pcm.astype(np.float64) ** 2)))


def _likeness(a: NDArray[np.int16], b: NDArray[np.int16]) -> float:
    one, two = a.astype(np.float64), b.astype(np.float64)
    return float(one @ two / (np.sqrt((one @ one) * (two @ two)) + 1e-9))
