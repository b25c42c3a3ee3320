"""Chaos in a short form: two of each source, and one fault of each sort. The long one:
`make chaos`."""

from __future__ import annotations

import pytest
from chaos.run import Plan, chaos
from chaos.wire import may_lay

# It breaks everything on purpose, and is held to what gets through.
pytestmark = [pytest.mark.alone, pytest.mark.timeout(400)]

KINDS = (
    "kill web-a",
    "kill phone-a",
    "kill stt",
    "kill redis",
    "silent database",
    "S3 SlowDown",
    "client in bursts",
    *(["pulled wire of discord"] if may_lay() else []),
)


def test_nothing_is_lost_whatever_breaks() -> None:
    """No sound that was received, no line, file or session; and each in its place."""
    outcome = chaos(
        Plan(
            browsers=2,
            phones=2,
            members=2,
            seconds=60,
            faults=len(KINDS),
            orphans_after_s=0.0,
            only="|".join(KINDS),
        )
    )
    assert sorted(outcome.faults) == sorted(KINDS)
    assert not outcome.failings
    roads = [one.track.road for one in outcome.found if one.phrases]
    assert sorted(roads) == sorted(["discord", "phone", "web"] * 2)
