"""The figures of voice sessions that have ended."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from structlog.testing import capture_logs

from bot.discord.dave import Counts
from bot.discord.metrics import Ended, VoiceMetrics, write
from bot.discord.receive import Traffic

ENDED = Ended(
    at=datetime(2026, 5, 4, 12, 0, tzinfo=UTC),
    session=UUID("11111111-2222-3333-4444-555555555555"),
    guild_id="1200000000000000001",
    channel_id="1200000000000000002",
    reason="last_left",
    seconds=61.23456,
    speakers=3,
    received=VoiceMetrics(100, 90, 4, 1, 3, 2),
    reconnects=1,
    longest_gap_s=0.75,
    join_s=1.25,
    waited_s=0.0421,
    record=True,
)


class Receiver:
    """What a connection counted."""

    def __init__(self, traffic: Traffic, dave: Counts) -> None:
        self.traffic = traffic
        self.unsealing = self
        self.counts = dave


def test_a_session_is_one_line_of_numbers_and_ids(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "voice_metrics.jsonl"
    write(path, ENDED)
    write(path, replace(ENDED, join_s=None, record=False))
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first == {
        "at": "2026-05-04T12:00:00.000+00:00",
        "session": "11111111-2222-3333-4444-555555555555",
        "guild_id": "1200000000000000001",
        "channel_id": "1200000000000000002",
        "reason": "last_left",
        "seconds": 61.235,
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
        "record": True,
    }
    assert (second["join_s"], second["record"]) == (None, False)


def test_several_who_write_at_once_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "voice_metrics.jsonl"
    together = threading.Barrier(4)

    def end_many(process: int) -> None:
        together.wait()
        for number in range(50):
            write(path, replace(ENDED, speakers=process, reconnects=number))

    threads = [threading.Thread(target=end_many, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for process in range(4):
        theirs = [one["reconnects"] for one in found if one["speakers"] == process]
        assert theirs == list(range(50))


def test_what_cannot_be_written_is_logged_and_never_raised(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with capture_logs() as logs:
        write(tmp_path / "file" / "voice_metrics.jsonl", ENDED)
    assert [entry["event"] for entry in logs] == ["voice_metrics.not_written"]


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
