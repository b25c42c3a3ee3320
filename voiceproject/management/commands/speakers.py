"""`manage.py speakers`: scripted people who talk into this installation: the demo.

They connect to the audio WebSocket of a session and talk in real time, as browsers do.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
from pathlib import Path
from typing import Any

import aiohttp
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions import finish, opening
from sessions.opening import Opened
from voiceproject import demo, reach

CLIPS = Path(settings.BASE_DIR) / "tests" / "speech" / "clips"
FRAME_S = 0.04
TIMES = 5
"""How often the conversation is said before its session ends: about five minutes."""
PAUSE_S = 5.0
END_S = 2.0
TITLE = "A talk for the demo"


class Command(BaseCommand):
    help = "Have scripted people talk into sessions of their own, round after round."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clips", type=Path, default=CLIPS)
        parser.add_argument("--rounds", type=int, default=0, help="0: until stopped")
        parser.add_argument("--times", type=int, default=TIMES, help="in one round")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            clips = demo.read_conversation(options["clips"])
        except OSError as e:
            raise CommandError(f"There are no clips to say: {e}") from e
        heard = demo.microphones(clips, times=options["times"])
        if reach.wait_healthy() is None:
            raise CommandError("The web process does not answer: nobody to talk to.")
        with contextlib.suppress(asyncio.CancelledError):  # it is how we are stopped
            asyncio.run(self._talk(heard, rounds=options["rounds"]))

    async def _talk(self, heard: dict[str, demo.Samples], *, rounds: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        for done in itertools.count(1):
            opened = await database_sync_to_async(_open)()
            self._announce(opened)
            try:
                await _converse(opened, heard)
            except* (aiohttp.ClientError, OSError):
                # Somebody ended the session, or the web starts anew: on to the next.
                self.stdout.write("  The talk was interrupted; another one comes.\n")
            finally:
                await _end(opened)
            if done == rounds:
                return
            await asyncio.sleep(PAUSE_S)

    def _announce(self, opened: Opened) -> None:
        path = f"/session/{opened.session.public_id}?token={opened.token}"
        self.stdout.write(f"\n  Three people talk. Read along:\n  {_people(path)}\n\n")
        self.stdout.flush()


def _people(path: str) -> str:
    return reach.people_url() + path


def _open() -> Opened:
    owner = get_user_model().objects.filter(is_superuser=True).first()
    return opening.open_browser_session(owner=owner, title=TITLE)


async def _converse(opened: Opened, heard: dict[str, demo.Samples]) -> None:
    """All of them talk, each on a connection of their own."""
    url = f"{reach.local_url()}/session/{opened.session.public_id}/audio"
    async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as people:
        for name, samples in heard.items():
            query = {"token": opened.token, "name": name.title(), "consent": "true"}
            socket = client.ws_connect(url, params=query)
            people.create_task(_speak(socket, samples))


async def _speak(connecting: Any, samples: demo.Samples) -> None:
    async with connecting as socket, asyncio.TaskGroup() as both:
        both.create_task(_take_answers(socket))
        both.create_task(_say(socket, samples))


async def _say(socket: aiohttp.ClientWebSocketResponse, samples: demo.Samples) -> None:
    step = int(FRAME_S * demo.RATE)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number, at in enumerate(range(0, len(samples), step), start=1):
        await socket.send_bytes(samples[at : at + step].astype("<i2").tobytes())
        await asyncio.sleep(max(began + number * FRAME_S - loop.time(), 0))
    await socket.send_json({"type": "stop"})


async def _take_answers(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Until the server closes: an unread answer would hold up its next."""
    async for _ in socket:
        pass


async def _end(opened: Opened) -> None:
    # What fails of it is in the log, and the reaper ends the session then.
    with contextlib.suppress(ExceptionGroup, TimeoutError):
        async with asyncio.timeout(END_S):
            await finish.end(opened.session.pk, reason="requested")
