"""The bot process: everything that runs in `manage.py runbot`, in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog
from django.conf import settings

from bot.draining import Draining
from bot.health import Health
from bot.housekeeping import keep_house
from bot.lag import lag_watched
from bot.parts import Part
from bot.phone.server import PhoneServer
from bot.phone.talking import build_talking
from bot.phone.warmup import warm_up
from bot.phone.watchdog import Watchdog
from sessions.background import cancel_and_wait, spawn
from sessions.capture.registry import registry

if TYPE_CHECKING:
    from bot.discord.client import ParleyBot

log = structlog.get_logger(__name__)


class Only(StrEnum):
    """One part alone: many calls and Discord's voice do not share a process."""

    PHONE = "phone"
    DISCORD = "discord"


class NoPhoneError(Exception):
    """The AudioSocket server cannot listen, and nothing else was asked for."""


class NoDiscordError(Exception):
    """Discord will not have the bot as it is, or there is no token for it."""


async def run(only: Only | None = None) -> None:
    """Run until SIGINT or SIGTERM, let calls finish for DRAIN_S, then end in order.
    Raises NoPhoneError and NoDiscordError."""
    draining = Draining(within_s=settings.DRAIN_S)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, draining.ask)
    fatal: asyncio.Future[None] = loop.create_future()
    fatal.add_done_callback(lambda _: draining.hurry())
    async with contextlib.AsyncExitStack() as stack:
        phone = None
        if only is not Only.DISCORD and settings.AUDIOSOCKET_PORT:
            phone = await stack.enter_async_context(_phone(only))
        discord = None
        if only is not Only.PHONE:
            discord = await stack.enter_async_context(_discord(only, fatal=fatal))
        if settings.BOT_HEALTH_PORT:
            await stack.enter_async_context(_health(phone, discord, draining))
        log.info("bot.started")
        parties = (phone, discord.operator if discord else None)
        caretakers = [one for one in parties if one is not None]
        end = spawn(draining.run(caretakers), name="drain")
        parts = [Part.PHONE] if phone and phone.is_listening else []
        parts += [Part.DISCORD] if discord else []
        await keep_house(draining.is_over, parts=parts)
        await end
    await registry().shut_down()
    log.info("bot.stopped")
    if fatal.done():
        raise NoDiscordError(str(fatal.exception()))


@contextlib.asynccontextmanager
async def _discord(
    only: Only | None, *, fatal: asyncio.Future[None]
) -> AsyncIterator[ParleyBot | None]:
    """In Discord for as long as the block lasts; without a token, only the phone is
    served."""
    if not settings.DISCORD_TOKEN:
        if only is Only.DISCORD:
            raise NoDiscordError("DISCORD_TOKEN is not set.")
        log.info("discord.off", why="DISCORD_TOKEN is not set: phones are served")
        yield None
        return
    # Only here: discord.py takes a fifth of a second and 30 MB.
    from bot.discord.running import discord_bot

    async with discord_bot(fatal=fatal) as bot:
        yield bot


@contextlib.asynccontextmanager
async def _phone(only: Only | None) -> AsyncIterator[PhoneServer]:
    """Takes calls for as long as the block lasts. Where the port is taken there are
    none, and all else of this process goes on."""
    talking = build_talking()
    talking.store.start()
    await warm_up()
    server = PhoneServer(talking)
    try:
        await server.start(settings.AUDIOSOCKET_HOST, settings.AUDIOSOCKET_PORT)
    except OSError as e:
        where = f"{settings.AUDIOSOCKET_HOST}:{settings.AUDIOSOCKET_PORT}"
        if only is Only.PHONE:
            await talking.close()
            raise NoPhoneError(f"{where} cannot be used: {e.strerror}") from e
        log.error("phone.not_listening", where=where, why=e.strerror)
    watchdog = Watchdog(lambda: server.pacing.beat_at, server.cut_all)
    watchdog.start()
    preparing = spawn(talking.prepare(), name="phone.prompts")
    try:
        yield server
    finally:
        watchdog.stop()
        await server.shut_down()
        await cancel_and_wait(preparing)
        await talking.close()


@contextlib.asynccontextmanager
async def _health(
    phone: PhoneServer | None, discord: ParleyBot | None, draining: Draining
) -> AsyncIterator[None]:
    async with lag_watched() as lag:
        health = Health(
            phone, discord=discord, lag=lag, is_draining=lambda: draining.is_begun
        )
        try:
            await health.start(settings.BOT_HEALTH_HOST, settings.BOT_HEALTH_PORT)
        except OSError:
            # The calls matter more than the page about them.
            log.exception("bot.no_health")
        try:
            yield
        finally:
            await health.close()
