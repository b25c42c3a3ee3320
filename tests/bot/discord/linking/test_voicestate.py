"""How often a group is asked for its keys; what this release of discord.py holds."""

from __future__ import annotations

import inspect

import discord
import pytest
from structlog.testing import capture_logs

from bot.discord.linking.connection import HELD
from bot.discord.linking.voicestate import ADVISE_AFTER, RECOVERIES_MAX, Recoveries


def test_after_so_many_recoveries_there_are_no_more() -> None:
    recoveries = Recoveries(lambda: 0, guild_id=7)
    tried = [recoveries.another() for _ in range(20)]
    assert tried == [True] * RECOVERIES_MAX + [False] * (20 - RECOVERIES_MAX)


def test_the_operator_is_advised_and_told_of_the_end() -> None:
    recoveries = Recoveries(lambda: 0, guild_id=7)
    with capture_logs() as logs:
        for _ in range(20):
            recoveries.another()
    assert [line["recoveries"] for line in logs] == [ADVISE_AFTER, RECOVERIES_MAX]
    assert all("region" in line["advice"] for line in logs)
    assert {line["guild"] for line in logs} == {7}


def test_a_good_frame_makes_good_what_was_before_it() -> None:
    opened = 0
    recoveries = Recoveries(lambda: opened, guild_id=7)
    for _ in range(20):
        opened += 1
        assert recoveries.another()


@pytest.mark.parametrize("kind", HELD, ids=lambda kind: kind.__name__)
def test_this_release_of_discord_py_holds_what_we_look_at(kind: type) -> None:
    """What it sets on its objects, besides what its classes have."""
    source = inspect.getsource(kind.__init__)  # type: ignore[misc]
    missing = [name for name in HELD[kind] if f"self.{name}" not in source]
    assert not missing, (
        f"discord.py {discord.__version__} moved {missing}: see connection.py"
    )
