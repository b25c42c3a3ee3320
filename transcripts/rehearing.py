"""Hearing a track again, as it was heard live: the same ear, the same detection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sessions.audio.frames import Placed
from sessions.capture.sinks import Track
from transcripts import vad
from transcripts.detection import Detection, new_ear
from transcripts.ear import Cut
from transcripts.hearing import Hearing

AT_ONCE = 500
"""Pieces of sound that are taken in together: ten seconds."""


def cuts(track: Track, sound: Iterable[Placed]) -> Iterator[Cut]:
    """The utterances on a track, in order; `sound` is what was placed on it."""
    detection = Detection(vad.state, asks=lambda: False)
    hearing = Hearing(track, new_ear(), wake=lambda: None)
    try:
        for number, placed in enumerate(sound, 1):
            hearing.hear(placed)
            if number % AT_ONCE == 0:
                yield from _found(detection, hearing)
        hearing.ending = True
        yield from _found(detection, hearing)
    finally:
        hearing.drop()


def _found(detection: Detection, hearing: Hearing) -> Iterator[Cut]:
    more = True
    while more:
        found, more = detection.step([hearing], now=0.0)
        yield from (one.cut for one in found if one.cut is not None)
