"""A phone server in a test's own loop, who calls it, and what it heard."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator

from scene import Listener, eventually

from bot.phone.caller import Caller
from bot.phone.conversation import Conversation
from bot.phone.server import PhoneServer
from bot.phone.talking import build_talking
from sessions.capture.sinks import Track

SILENCE = b"\x10\x01\x40" + bytes(320)


class Ears:
    """A listener for each track of a call that is opened."""

    def __init__(self) -> None:
        self.opened: list[tuple[Track, Listener]] = []

    def __call__(self, track: Track) -> list[Listener]:
        self.opened.append((track, Listener()))
        return [self.opened[-1][1]]

    def of_caller(self) -> list[Listener]:
        return [ear for track, ear in self.opened if track.name == "Caller"]


@contextlib.asynccontextmanager
async def serving(*, max_calls: int | None = None) -> AsyncIterator[PhoneServer]:
    talking = build_talking()
    server = PhoneServer(talking, max_calls=max_calls)
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.shut_down()
        await talking.close()


@contextlib.asynccontextmanager
async def calling(
    server: PhoneServer, *, call: uuid.UUID | None = None, frame_ms: int = 20
) -> AsyncIterator[Caller]:
    caller = Caller("127.0.0.1", server.port, call=call, frame_ms=frame_ms)
    await caller.connect()
    try:
        yield caller
    finally:
        caller.hang_up()


async def opened(server: PhoneServer) -> Conversation:
    """The call, once it has its session: what was said before has come at once."""
    return (await eventually(lambda: server.conversations))[0]


async def over(server: PhoneServer) -> None:
    """Until no call is left."""
    await eventually(lambda: not server.conversations, within_s=10)
