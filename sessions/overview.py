"""The waveforms of a whole session, one for each person, few enough points to draw.

Reads what was metered while it was recorded: no sound is decoded. Writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import numpy as np
from django.db.models.functions import Coalesce
from numpy.typing import NDArray

from sessions.audio.peaks import PIXEL
from sessions.models import Recording, Tier, VoiceSession, Waveform

LOUDEST = 127
"""Full scale of a point; silence is 0."""


@dataclass(frozen=True, slots=True)
class Overview:
    """How loud one person was, in points that follow each other without a gap."""

    participant: UUID
    points: NDArray[np.uint8]


def of_session(session: VoiceSession, *, length: int, points: int) -> list[Overview]:
    """Everybody of whom a waveform is known, from time zero to `length` (samples at
    48 kHz), in the order they came."""
    pixels = max(1, -(-length // PIXEL))
    points = min(points, pixels)
    found: dict[UUID, NDArray[np.uint8]] = {}
    rows = Waveform.objects.filter(recording__in=_chosen(session.pk))
    # As whom they are shown: themselves, or whom they were merged into.
    shown = Coalesce(
        "recording__participant__merged_into__public_id",
        "recording__participant__public_id",
    )
    columns = shown, "recording__start", "peaks"
    order = "recording__participant__joined_at", "recording__participant", "pk"
    read = rows.order_by(*order).values_list(*columns)
    for person, start, peaks in read.iterator(chunk_size=20):
        theirs = found.setdefault(person, np.zeros(points, np.uint8))
        _add(theirs, _heights(peaks), first=start // PIXEL, pixels=pixels)
    return [Overview(person, theirs) for person, theirs in found.items()]


def _chosen(session_id: int) -> list[int]:
    """The fragment of each connection; its chunks where there is none."""
    rows = Recording.objects.filter(
        session=session_id,
        tier__in=[Tier.CHUNK, Tier.FRAGMENT],
        participant__isnull=False,
        waveform__isnull=False,
    )
    known = list(rows.values_list("pk", "tier", "connection"))
    whole = {connection for _, tier, connection in known if tier == Tier.FRAGMENT}
    return [
        pk for pk, tier, name in known if tier == Tier.FRAGMENT or name not in whole
    ]


def _heights(peaks: bytes | memoryview) -> NDArray[np.uint8]:
    """The greater side of each pair, 0 to 127."""
    pairs = np.frombuffer(peaks, np.int8).astype(np.int16).reshape(-1, 2)
    high = np.abs(pairs).max(axis=1, initial=0)
    return np.minimum(high, LOUDEST).astype(np.uint8)


def _add(
    theirs: NDArray[np.uint8], heights: NDArray[np.uint8], *, first: int, pixels: int
) -> None:
    """The loudest of each point's pixels."""
    inside = heights[: max(0, pixels - first)]
    places = (first + np.arange(len(inside))) * len(theirs) // pixels
    np.maximum.at(theirs, places, inside)
