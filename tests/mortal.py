"""A Discord bot that can be killed within a test, and nothing of it goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from typing import Any

from discord.gateway import KeepAliveHandler
from discord_ends import FILES, target_of
from discord_scenes import Scene, asks
from django.conf import settings
from fakecord.server import FakeDiscord
from scene import eventually

from bot.discord.client import ParleyBot
from bot.voice.responder.port import Listener
from bot.voice.tts.build import build_speaker

_GRAVEYARD: list[object] = []
"""What a killed process leaves. Python must not tidy it up: that would run more of
it."""


class Mortal:
    """A bot with a thread and an event loop of its own, as in a process of its own:
    it may be stopped between any two steps."""

    def __init__(self, server: FakeDiscord) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._bot: ParleyBot | None = None
        self._is_ready = threading.Event()
        self._scenes: list[Scene] = []

    async def __aenter__(self) -> Mortal:
        self._thread.start()
        await eventually(self._is_ready.is_set)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.dies()

    @property
    def bot(self) -> ParleyBot:
        assert self._bot is not None
        return self._bot

    async def asks(self, scene: Scene) -> None:
        """As Ann, from this bot."""
        self._scenes.append(scene)
        asked = asyncio.run_coroutine_threadsafe(asks(scene, self.bot), self._loop)
        await asyncio.wrap_future(asked)

    async def dies(self) -> None:
        """SIGKILL: sockets break, and Discord notices; that is all."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        if (executor := self._loop._default_executor) is not None:  # type: ignore[attr-defined]
            # Its threads would go on; so it dies when they have done what they began.
            await asyncio.to_thread(executor.shutdown, cancel_futures=True)
        _GRAVEYARD.append((self._loop, asyncio.all_tasks(self._loop), self._bot))
        for scene in self._scenes:
            scene.bot = None
        self._stop_threads()
        self._break_calls()
        self._break_lines()
        _close_files()
        await eventually(lambda: not self._server.gateway.live)
        self._server.gateway.forget()

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.create_task(self._run())
        self._loop.run_forever()

    async def _run(self) -> None:
        self._bot = ParleyBot(
            responder=Listener(),
            speaker=build_speaker(),
            connector=self._server.connector(),
            guild_ready_timeout=0.1,
        )
        await self._bot.login(self._server.token)
        self._loop.create_task(self._bot.connect())
        await self._bot.wait_until_ready()
        self._is_ready.set()

    def _stop_threads(self) -> None:
        """discord.py's, that would complain of a loop that stands still."""
        for thread in threading.enumerate():
            if isinstance(thread, KeepAliveHandler) and thread.ws.loop is self._loop:
                thread.stop()

    def _break_calls(self) -> None:
        """Of voice, only discord.py knows the sockets and the threads."""
        for client in self.bot.voice_clients:
            connection: Any = client._connection  # type: ignore[attr-defined]
            connection._socket_reader.stop()
            if connection.socket:
                _break(connection.socket)

    def _break_lines(self) -> None:
        selector: Any = self._loop._selector  # type: ignore[attr-defined]
        for fd in list(selector.get_map()):
            with socket.socket(fileno=os.dup(fd)) as line:
                _break(line)


def _break(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _close_files() -> None:
    """Those a process has open close with it."""
    for file in FILES.iterdir():
        if target_of(file).startswith(str(settings.LOGS_DIR)):
            os.close(int(file.name))
