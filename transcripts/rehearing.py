"""Hearing a track again, as it was heard live: the same ear, the same detection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sessions.audio.frames import Placed
from sessions.capture.sinks import Track
from transcripts import vad
from transcripts.detection import Detection, new_ear
from transcripts.ear import Cut
from transcripts.hearing import Hearing

AT_ONCE_S = 5.0
"""So much sound is taken in together."""


def cuts(track: Track, sound: Iterable[Placed]) -> Iterator[Cut]:
    """The utterances on a track, in order; `sound` is what was placed on it."""
    detection = Detection(vad.state, asks=lambda: False)
    hearing = Hearing(track, new_ear(), wake=lambda: None)
    for placed in sound:
        hearing.hear(placed)
        if hearing.behind_s >= AT_ONCE_S:
            yield from _found(detection, hearing)
    hearing.ending = True
    while not hearing.ear.closed:  # behind a fault it begins anew
        yield from _found(detection, hearing)


def _found(detection: Detection, hearing: Hearing) -> Iterator[Cut]:
    more = True
    while more:
        found, more = detection.step([hearing], now=0.0)
        yield from (one.cut for one in found if one.cut is not None)
