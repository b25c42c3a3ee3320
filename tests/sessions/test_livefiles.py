"""The live cache without Redis."""

from __future__ import annotations

from pathlib import Path

from sessions.livefiles import LiveFiles


def test_a_write_throws_nothing_away_however_much_there_is(tmp_path: Path) -> None:
    cache = LiveFiles(str(tmp_path), {"OPTIONS": {"MAX_ENTRIES": 1}})
    for number in range(5):
        cache.set(f"key:{number}", number)
    assert [cache.get(f"key:{number}") for number in range(5)] == list(range(5))
