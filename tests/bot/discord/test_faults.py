"""What discord.py and aiohttp raise, as what people are told of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import aiohttp
import discord
import pytest

from bot.discord.faults import FAULTS, fault, is_final


def refused(status: int, code: int = 0) -> discord.HTTPException:
    response: Any = SimpleNamespace(status=status, reason="")
    kinds = {403: discord.Forbidden, 404: discord.NotFound}
    kind = kinds.get(status, discord.HTTPException)
    return kind(response, {"code": code, "message": ""})


@pytest.mark.parametrize(
    ("error", "code", "final"),
    [
        (refused(403, 50013), "forbidden", True),
        (refused(404, 10003), "discord_failed", True),
        (refused(400, 30013), "too_many_channels", True),
        (refused(429), "discord_busy", False),
        (discord.RateLimited(600), "discord_busy", False),
        (refused(500), "discord_failed", False),
        (TimeoutError(), "discord_failed", False),
        (ConnectionResetError(), "discord_failed", False),
        (aiohttp.ServerDisconnectedError(), "discord_failed", False),
    ],
)
def test_each_fault_of_discord_has_a_name_for_people(
    error: Exception, code: str, final: bool
) -> None:
    assert isinstance(error, FAULTS)
    assert fault(error).code == code
    assert is_final(error) == final
