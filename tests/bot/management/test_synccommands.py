"""`manage.py synccommands` tells Discord the commands, once and whenever asked."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from fakecord.entities import Guild
from fakecord.server import FakeDiscord
from pytest_django.fixtures import Settings

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def server(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as server:
        settings.DISCORD_TOKEN = server.token
        settings.DISCORD_CONNECTOR = "fakecord.connector.from_environment"
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def guild(server: FakeDiscord) -> Guild:
    return server.world.add_guild("Guild")


async def synced(*arguments: str) -> str:
    """What it says; raises CommandError."""
    said = io.StringIO()
    await asyncio.to_thread(call_command, "synccommands", *arguments, stdout=said)
    return said.getvalue()


def commands(server: FakeDiscord, guild: Guild | None = None) -> dict[str, Any]:
    known = server.interactions.commands.get(guild.id if guild else None, [])
    return {one["name"]: one for one in known}


async def test_every_command_is_known_everywhere(server: FakeDiscord) -> None:
    assert await synced() == "15 commands in all servers.\n"
    assert set(commands(server)) == {
        *("voice", "record", "leave"),
        *("sessions", "transcript", "download", "note"),
        *("recover", "end", "health"),
        *("optout", "optin", "erase", "privacy", "help"),
    }


async def test_it_only_asks_by_rest(server: FakeDiscord) -> None:
    await synced()
    assert not server.asked("GET", "*gateway*")
    assert len(server.asked("PUT", "*/commands")) == 1


async def test_it_tells_them_in_all_languages(server: FakeDiscord) -> None:
    await synced()
    known = commands(server)
    for one in known.values():
        assert set(one["description_localizations"]) == {"it", "ro", "uk", "ru"}
    (option,) = known["transcript"]["options"]
    assert option["description"] == "The session's id, as /sessions shows it"
    assert option["description_localizations"]["it"].startswith("L'id della sessione")


async def test_every_option_says_what_it_is(server: FakeDiscord) -> None:
    await synced()

    def described(one: dict[str, Any]) -> bool:
        inner = one.get("options") or []
        return one["description"] != "…" and all(map(described, inner))

    bare = [name for name, one in commands(server).items() if not described(one)]
    assert bare == []


async def test_managers_commands_are_shown_to_managers(server: FakeDiscord) -> None:
    await synced()
    needed = {
        name: int(one["default_member_permissions"])
        for name, one in commands(server).items()
        if one["default_member_permissions"] is not None
    }
    manage_guild = 1 << 5
    assert needed == {"recover": manage_guild, "health": manage_guild}


async def test_one_server_may_try_them(server: FakeDiscord, guild: Guild) -> None:
    said = await synced("--guild", str(guild.id))
    assert said == f"15 commands in server {guild.id}.\n"
    assert "note" in commands(server, guild)
    assert commands(server) == {}


async def test_a_server_without_the_bot_is_named(server: FakeDiscord) -> None:
    server.fail("PUT", "*/guilds/1/commands", status=403, code=50001)
    with pytest.raises(CommandError, match=r"^The bot is not in server 1\.$"):
        await synced("--guild", "1")


async def test_a_wrong_token_is_told_in_one_line(
    server: FakeDiscord, settings: Settings
) -> None:
    settings.DISCORD_TOKEN = "wrong"
    with pytest.raises(CommandError, match=r"^Discord refused DISCORD_TOKEN"):
        await synced()


async def test_a_refusal_is_told_in_one_line(server: FakeDiscord) -> None:
    server.fail("PUT", "*/commands", status=400, code=50035)
    with pytest.raises(CommandError, match=r"^Discord refused: [^\n]+$"):
        await synced()


async def test_a_discord_that_is_away_is_told_in_one_line(server: FakeDiscord) -> None:
    server.fail("PUT", "*/commands", way="reset", times=20)
    with pytest.raises(CommandError, match=r"^Discord cannot be reached: [^\n]+$"):
        await synced()


def test_without_a_token_there_is_nothing_to_tell(settings: Settings) -> None:
    settings.DISCORD_TOKEN = ""
    with pytest.raises(CommandError, match="DISCORD_TOKEN is not set"):
        call_command("synccommands")
