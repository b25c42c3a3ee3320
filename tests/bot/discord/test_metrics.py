"""What a Discord call counts of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bot.discord.dave import Counts
from bot.discord.metrics import CallFigures, VoiceMetrics
from bot.discord.receive import Traffic

CALL = CallFigures(
    guild_id="1200000000000000001",
    channel_id="1200000000000000002",
    speakers=3,
    received=VoiceMetrics(100, 90, 4, 1, 3, 2),
    reconnects=1,
    longest_gap_s=0.75,
    join_s=1.25,
    waited_s=0.0421,
)


class Receiver:
    """What a connection counted."""

    def __init__(self, traffic: Traffic, dave: Counts) -> None:
        self.traffic = traffic
        self.unsealing = self
        self.counts = dave


def test_a_call_is_told_in_numbers_and_ids() -> None:
    assert CALL.to_json() == {
        "guild_id": "1200000000000000001",
        "channel_id": "1200000000000000002",
        "speakers": 3,
        "packets": 100,
        "decrypted": 90,
        "dave_failed": 4,
        "transport_failed": 1,
        "unclaimed": 3,
        "refused": 2,
        "reconnects": 1,
        "longest_gap_s": 0.75,
        "join_s": 1.25,
        "waited_s": 0.042,
    }
    assert replace(CALL, join_s=None).to_json()["join_s"] is None


def test_the_connections_of_a_session_are_counted_together() -> None:
    one: Any = Receiver(
        Traffic(packets=10, transport_failed=1, unclaimed=2, refused=3),
        Counts(opened=7, failed=4),
    )
    other: Any = Receiver(Traffic(packets=5), Counts(opened=5))
    both = VoiceMetrics.of(one) + VoiceMetrics.of(other)
    assert both == VoiceMetrics(
        packets=15,
        decrypted=12,
        dave_failed=4,
        transport_failed=1,
        unclaimed=2,
        refused=3,
    )
