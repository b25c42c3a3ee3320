"""Discord in the bot process: logged in while it runs, or why it cannot be."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import discord
import structlog
from django.conf import settings
from django.utils.module_loading import import_string

from bot.discord.client import ParleyBot
from bot.voice.responder.build import build_responder
from bot.voice.tts.build import build_speaker
from sessions.background import cancel_and_wait

log = structlog.get_logger(__name__)

CLOSES = {
    4004: "Discord refused DISCORD_TOKEN: copy it anew from the developer portal.",
    4010: "Discord does not know these SHARD_IDS: they are below SHARD_COUNT.",
    4011: "Discord asks for shards: leave SHARD_COUNT empty, or raise it.",
    4013: "Discord does not know our intents: update Parley.",
    4014: "Discord does not let the bot read messages: turn on its Message Content "
    "Intent in the developer portal, or unset COMMAND_PREFIX.",
}
"""The main gateway's codes behind which nothing is tried again."""


class DiscordRefusedError(Exception):
    """Discord will not have the bot as it is; the message is for the operator."""


@contextlib.asynccontextmanager
async def discord_bot(*, fatal: asyncio.Future[None]) -> AsyncIterator[ParleyBot]:
    """Logged in for as long as the block lasts; its calls are ended behind it.

    `fatal` gets a DiscordRefusedError when Discord will not have us, at once or later;
    what is only away is tried again for ever.
    """
    responder, speaker = build_responder(), build_speaker()
    bot = ParleyBot(
        responder=responder,
        speaker=speaker,
        connector=connector_set(),
        refused=lambda why: _refuse(fatal, DiscordRefusedError(why)),
    )
    running = asyncio.create_task(_run(bot), name="discord")
    running.add_done_callback(lambda task: _over(task, fatal))
    try:
        yield bot
    finally:
        await bot.shut_down()
        await cancel_and_wait(running)
        await responder.close()
        await speaker.close()


def connector_set() -> Any:
    """Another road to Discord, where the settings name one."""
    path = settings.DISCORD_CONNECTOR
    return import_string(path)() if path else None


async def _run(bot: ParleyBot) -> None:
    await _log_in(bot)
    try:
        await bot.connect(reconnect=True)
    except discord.PrivilegedIntentsRequired as e:
        raise DiscordRefusedError(CLOSES[4014]) from e
    except discord.ConnectionClosed as e:
        why = CLOSES.get(e.code, f"Discord closed its gateway with code {e.code}.")
        raise DiscordRefusedError(why) from e


async def _log_in(bot: ParleyBot) -> None:
    """Raises DiscordRefusedError; waits out everything else."""
    wait_s = 1.0
    while True:
        try:
            await bot.login(settings.DISCORD_TOKEN)
        except discord.LoginFailure as e:
            raise DiscordRefusedError(CLOSES[4004]) from e
        except (discord.DiscordException, OSError, TimeoutError) as e:
            log.warning("discord.away", why=type(e).__name__, again_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, 60.0)
        else:
            return


def _over(task: asyncio.Task[None], fatal: asyncio.Future[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _refuse(fatal, error)


def _refuse(fatal: asyncio.Future[None], error: BaseException) -> None:
    if not fatal.done():
        fatal.set_exception(error)
