"""Chaos in a short form: one of each source and more, and a dozen faults. The long one:
`make chaos`."""

from __future__ import annotations

import itertools

import pytest
from chaos.run import Plan, chaos

# It breaks everything on purpose, and is held to what gets through.
pytestmark = [pytest.mark.alone, pytest.mark.timeout(400)]

KINDS = "kill web|kill phone-a|kill redis|kill postgres|silent database|S3 SlowDown"
MP3_FRAME_MS = 24.0


def test_nothing_is_lost_whatever_breaks() -> None:
    """No sound that was received, no line, file or session; and each in its place."""
    outcome = chaos(
        Plan(browsers=2, phones=2, members=2, seconds=60, faults=7, only=KINDS)
    )
    found = outcome.found
    print("\n".join(f"{kind}: {n}" for kind, n in outcome.faults.items()))
    assert outcome.faults.total() == 7
    assert not outcome.bad_holes
    assert sum(track.phrases for track in found) >= 15
    assert not outcome.lost
    assert not outcome.doubled
    assert set(outcome.rows) <= {"done", "empty"}  # half a word that a hole left
    assert set(outcome.states) == {"ready"}
    assert not outcome.errors
    assert "agree" in outcome.orphans
    assert not outcome.late
    assert outcome.astray_ms.max() <= MP3_FRAME_MS
    assert max(map(abs, outcome.off_master)) <= 1152
    assert all(track.phrases for track in found)
    names = itertools.groupby(sorted(track.track.road for track in found))
    assert [name for name, _ in names] == ["discord", "phone", "web"]
