"""WebSockets of browsers and scripts, in this process, and ears that hear them."""

from __future__ import annotations

from typing import Any

import numpy as np
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from scene import Listener

from sessions.capture.registry import registry
from sessions.capture.sinks import Track
from sessions.feed import feed
from sessions.models import Participant
from sessions.opening import Opened
from sessions.routing import websocket_urlpatterns

in_db = database_sync_to_async
PAGE = [(b"origin", b"http://parley.test"), (b"host", b"parley.test")]
# Each sample tells where in the stream it stands.
STREAM = (np.arange(320_000) % 30_000).astype("<i2").tobytes()
STEP = 640


class Ears:
    """Every track opened here gets a listener; `of` finds those of a person."""

    def __init__(self) -> None:
        self.opened: list[tuple[Track, Listener]] = []
        self.next = Listener()
        self.breaks = False

    def __call__(self, track: Track) -> list[Any]:
        if self.breaks:
            raise RuntimeError("no ears today")
        listener, self.next = self.next, Listener()
        self.opened.append((track, listener))
        return [listener]

    @property
    def listeners(self) -> list[Listener]:
        return [listener for _, listener in self.opened]


class Client(WebsocketCommunicator):
    """One WebSocket of a browser or a script."""

    def __init__(
        self,
        path: str,
        *,
        user: AbstractBaseUser | AnonymousUser | None = None,
        headers: list[tuple[bytes, bytes]] | None = None,
    ) -> None:
        super().__init__(URLRouter(websocket_urlpatterns), path, headers=headers or [])
        self.scope["user"] = user or AnonymousUser()

    async def __aenter__(self) -> Client:
        accepted, _ = await self.connect(timeout=5)
        assert accepted
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect(timeout=5)

    async def hears(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.receive_json_from(timeout=5)
        return found

    async def closing(self) -> tuple[int, str]:
        """The code and reason of the close, whatever comes before it."""
        while (output := await self.receive_output(5))["type"] != "websocket.close":
            pass
        return output["code"], output.get("reason", "")

    async def says(self, message: str | bytes) -> None:
        kind = "bytes" if isinstance(message, bytes) else "text"
        await self.send_input({"type": "websocket.receive", kind: message})

    async def speaks(self, begin: int, end: int) -> None:
        """Send these bytes of the stream; each frame is acknowledged with its size."""
        for at in range(begin, end, STEP):
            frame = STREAM[at : min(at + STEP, end)]
            await self.send_to(bytes_data=frame)
            assert await self.hears() == {"ok": True, "bytes": len(frame)}


def audio(opened: Opened, **query: object) -> str:
    query = {"consent": "true"} | query
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return f"session/{opened.session.public_id}/audio?token={opened.token}{more}"


def live(opened: Opened, *, after: int = 0) -> str:
    return f"session/{opened.session.public_id}/live?token={opened.token}&after={after}"


@in_db
def present(opened: Opened) -> list[str]:
    people = Participant.objects.filter(session=opened.session).exclude(held_by="")
    return sorted(people.values_list("name", flat=True))


def nothing_held() -> bool:
    return not registry()._held and not registry()._viewers and not feed().followed()


def assert_continuous(*listeners: Listener, end: int) -> None:
    """The stream's bytes up to `end`, each sample once, at its place."""
    heard = [placed for listener in listeners for placed in listener.heard]
    pcm = np.concatenate([placed.pcm for placed in heard])
    assert pcm.astype("<i2").tobytes() == STREAM[:end]
    origin, sample = heard[0].position, 0
    for placed in heard:
        assert placed.position == origin + sample * 3
        sample += len(placed.pcm)
