"""A whole bot in a test's own event loop, on the test Discord; and its sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from channels.db import database_sync_to_async
from fakecord.server import FakeDiscord

from bot.discord.client import ParleyBot
from bot.voice.responder.port import Listener, Responder
from bot.voice.tts.build import build_speaker
from sessions.models import State, VoiceSession

in_db = database_sync_to_async


@asynccontextmanager
async def running(
    server: FakeDiscord, *, responder: Responder | None = None
) -> AsyncIterator[ParleyBot]:
    """A bot that is ready, for as long as the block lasts; shut down in order."""
    speaker = build_speaker()
    bot = ParleyBot(
        responder=responder or Listener(),
        speaker=speaker,
        connector=server.connector(),
        guild_ready_timeout=0.1,
    )
    await bot.login(server.token)
    task = asyncio.create_task(bot.connect())
    try:
        async with asyncio.timeout(5):
            await bot.wait_until_ready()
        yield bot
    finally:
        await bot.shut_down()
        await speaker.close()
        await asyncio.wait([task], timeout=5)


async def in_state(state: State, *, within_s: float = 10.0) -> VoiceSession:
    """The newest session, once there is one and it has come so far."""
    newest = in_db(VoiceSession.objects.order_by("-pk").first)
    async with asyncio.timeout(within_s):
        while (found := await newest()) is None or found.state != state:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found
