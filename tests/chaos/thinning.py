"""Sound of which pieces were left out: which of its samples are still there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chaos.script import Pcm

KEY = 8
"""Samples by which a place is looked up; what follows is compared."""


def kept_of(said: Pcm, kept: Pcm, *, most: int) -> NDArray[np.int64] | None:
    """Of each sample of `said` its number in `kept`, -1 where it was left out; None if
    `kept` is not `said` less pieces of `most` samples at most."""
    places = np.full(len(said), -1)
    here = there = 0
    while there < len(kept):
        rest = min(len(said) - here, len(kept) - there)
        alike = leading(said[here : here + rest] == kept[there : there + rest])
        places[here : here + alike] = there + np.arange(alike)
        here, there = here + alike, there + alike
        if there < len(kept):
            left_out = _found(kept[there : there + KEY], said[here:], most=most)
            if left_out is None:
                return None
            here += left_out
    return places if len(said) - here <= most else None


def leading(alike: NDArray[np.bool_]) -> int:
    """How many hold before the first that does not."""
    return len(alike) if alike.all() else int(np.argmin(alike))


def _found(key: Pcm, said: Pcm, *, most: int) -> int | None:
    """How many samples before it comes."""
    for left_out in range(1, min(most, len(said) - len(key)) + 1):
        if np.array_equal(said[left_out : left_out + len(key)], key):
            return left_out
    return None
