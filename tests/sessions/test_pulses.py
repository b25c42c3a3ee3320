"""Signs of life, and the tidying of the cache they live in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sessions import flashes, pulses
from sessions.livecache import live


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    live().clear()


def test_it_tells_how_long_a_process_has_been_silent() -> None:
    pulses.beat("bot", wall=lambda: 100.0)
    assert pulses.age_s("bot", wall=lambda: 107.5) == 7.5
    assert pulses.age_s("nobody") is None


def test_it_deletes_what_nobody_reads_any_more_and_nothing_else() -> None:
    flashes.show(1, "speech", "speech", {"state": "ready"})
    old = Path(live()._dir) / "old.djcache"  # type: ignore[attr-defined]
    old.write_bytes(b"")
    os.utime(old, (1, 1))
    assert flashes.forget_old() == 1
    assert flashes.current(1, ["speech"])["speech"].data == {"state": "ready"}
