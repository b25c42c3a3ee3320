"""`manage.py synccommands [--guild ID]`: tells Discord the bot's commands. For each
deployment that changes them; a start of the bot never does it."""

from __future__ import annotations

import asyncio
from typing import Any

import discord
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError

from bot.discord.client import ParleyBot
from bot.discord.running import CLOSES, connector_set
from bot.voice.responder.port import Listener
from bot.voice.tts.engine import Mute
from bot.voice.tts.speaker import Speaker

NOT_THERE = 50001
"""Discord's code for a server that the bot is not in."""
TRIED_FOR_S = 60.0


class Command(BaseCommand):
    help = "Tell Discord the bot's commands, in all its languages."

    def add_arguments(self, parser: CommandParser) -> None:
        about = "only in this server, at once: to try them; else in all"
        parser.add_argument("--guild", type=int, metavar="ID", help=about)

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DISCORD_TOKEN:
            raise CommandError("DISCORD_TOKEN is not set.")
        guild: int | None = options["guild"]
        count = asyncio.run(_synced(guild))
        where = "all servers" if guild is None else f"server {guild}"
        self.stdout.write(f"{count} commands in {where}.")


async def _synced(guild_id: int | None) -> int:
    """How many there are. Raises CommandError."""
    speaker = Speaker(Mute())
    bot = ParleyBot(responder=Listener(), speaker=speaker, connector=connector_set())
    try:
        async with asyncio.timeout(TRIED_FOR_S):
            await bot.login(settings.DISCORD_TOKEN)
            return await _told(bot, guild_id)
    except discord.LoginFailure as e:
        raise CommandError(CLOSES[4004]) from e
    except discord.HTTPException as e:
        raise CommandError(_why(e, guild_id)) from e
    except DatabaseError as e:
        raise CommandError(f"The database does not answer: {e}") from e
    except (discord.DiscordException, OSError, TimeoutError) as e:
        why = str(e) or type(e).__name__
        raise CommandError(f"Discord cannot be reached: {why}") from e
    finally:
        await bot.close()
        await speaker.close()


async def _told(bot: ParleyBot, guild_id: int | None) -> int:
    guild = None if guild_id is None else discord.Object(guild_id)
    if guild is not None:
        bot.tree.copy_global_to(guild=guild)
    return len(await bot.tree.sync(guild=guild))


def _why(error: discord.HTTPException, guild_id: int | None) -> str:
    """On one line."""
    if guild_id is not None and error.code == NOT_THERE:
        return f"The bot is not in server {guild_id}."
    return f"Discord refused: {' '.join(str(error).split())}"
