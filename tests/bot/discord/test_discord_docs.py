"""The page for those who run the bot tells the truth: commands, rights, the link."""

from __future__ import annotations

import re
from pathlib import Path

import discord
import pytest
from discord import app_commands
from discord_bot import running
from fakecord.server import FakeDiscord

from bot.discord.guild import rights

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "discord.md").read_text("utf-8")
COMMAND = re.compile(r"^\| `/([a-z ]+)` \|", re.MULTILINE)
INVITATION = re.compile(r"permissions=(\d+)&scope=(\S+)")
ASKED_FOR = (
    "view_channel",
    "connect",
    "speak",
    "send_messages",
    "embed_links",
    "attach_files",
    "use_application_commands",
    "change_nickname",
    "manage_channels",
    "move_members",
    "set_voice_channel_status",
)
WANTED = discord.Permissions(**dict.fromkeys(ASKED_FOR, True))


@pytest.mark.django_db(transaction=True)
async def test_the_table_has_every_command_and_no_other(server: FakeDiscord) -> None:
    async with running(server) as bot:
        known = [
            command.qualified_name
            for command in bot.tree.walk_commands()
            if isinstance(command, app_commands.Command)
        ]
    assert sorted(COMMAND.findall(PAGE)) == sorted(known)


def test_the_invitation_asks_for_the_rights_of_the_table_and_no_others() -> None:
    found = INVITATION.search(PAGE)
    assert found
    assert int(found[1]) == WANTED.value
    assert found[2] == "bot%20applications.commands"
    told = PAGE.partition("| permission | for |")[2].partition("\n\n")[0]
    rows = [row.split("|")[1] for row in told.splitlines()[2:]]
    named = {name.strip() for row in rows for name in row.split(",")}
    assert named == {name.replace("_", " ").title() for name in ASKED_FOR}


def test_whatever_is_required_was_asked_for() -> None:
    for name in (*rights.ROOM, *rights.HERE, *rights.SPEAK, *rights.NICKNAME):
        assert getattr(WANTED, name), name
