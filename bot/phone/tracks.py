"""The two tracks of a call: the caller's, and ours. Who is in the session, and what is
kept of what they say."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from channels.db import database_sync_to_async

from bot.phone.inbound import Inbound, track_rate
from sessions import participants
from sessions.background import spawn
from sessions.capture.attention import attention
from sessions.capture.capture import Capture
from sessions.capture.recorder import record
from sessions.capture.registry import Held, Stop, registry
from sessions.capture.sinks import Sink, Track, open_sinks
from transcripts import live

if TYPE_CHECKING:
    from bot.phone.protocol import Audio
    from sessions.models import Participant, VoiceSession

OUR_NAME = "Parley"

Stopped = Callable[[Stop], Coroutine[Any, Any, None]]


class Side(StrEnum):
    """Also what tells the two from others when the call is dialled again."""

    CALLER = "caller"
    US = "parley"


class CallTracks:
    """Belongs to one call in this process."""

    def __init__(self, session: VoiceSession) -> None:
        self._session = session
        self._stopped: Stopped | None = None
        self._people: dict[Side, tuple[Participant, str]] = {}
        self._held: dict[Side, Held[Capture]] = {}
        self._inbound: Inbound | None = None

    def join(self, caller: str) -> None:
        """Both are in the session. Blocks. Raises SessionEndedError."""
        for side, name in ((Side.CALLER, caller or "Caller"), (Side.US, OUR_NAME)):
            connection = str(uuid.uuid4())
            person = participants.join(
                self._session.pk, key=side, name=name, connection=connection
            )
            self._people[side] = (person, connection)

    def tell(self, *, stopped: Stopped, speaks: Callable[[float], None]) -> None:
        """`stopped` is told when the session ends; `speaks` how long the caller has
        spoken, whenever it changes."""
        self._stopped = stopped
        live.room().watch(self.person(Side.CALLER).pk, speaks)

    def person(self, side: Side) -> Participant:
        return self._people[side][0]

    def hear(self, audio: Audio, *, waited_s: float = 0.0) -> None:
        """The caller's sound, which came so long ago; its track is opened with the
        first of it."""
        if self._inbound is None:
            self._inbound = Inbound(track_rate(audio.rate))
            track = self._track(Side.CALLER, self._inbound.rate)
            self._hold(Side.CALLER, track, open_sinks(track))
        pcm = self._inbound.pcm(audio)
        self._held[Side.CALLER].capture.offer(pcm, waited_s=waited_s)

    def open_ours(self, rate: int) -> Capture:
        """A track for what we say: it needs no detection and no model, only to be
        recorded. One that was open is closed."""
        track = self._track(Side.US, rate)
        recorder = record(track)
        sinks: list[Sink] = [recorder] if recorder else []
        return self._hold(Side.US, track, sinks)

    async def leave(self) -> None:
        """Write both down, and take both off the list. May be called again."""
        if Side.CALLER in self._people:
            live.room().unwatch(self.person(Side.CALLER).pk)
        for held in list(self._held.values()):
            await held.capture.close()
            registry().remove(held)
        for person, connection in self._people.values():
            await database_sync_to_async(participants.leave)(
                self._session.pk, person.pk, connection=connection
            )

    def _track(self, side: Side, rate: int) -> Track:
        return Track.of(self._session, self.person(side), rate=rate)

    def _hold(self, side: Side, track: Track, sinks: list[Sink]) -> Capture:
        assert self._session.started_at is not None  # active sessions have a time zero
        assert self._stopped is not None  # nothing is heard before `tell`
        capture = Capture(
            track,
            started_at=self._session.started_at,
            rate=track.rate,
            sinks=sinks,
            away_s=attention().away_s,
            is_ours=side is Side.US,
        )
        if (before := self._held.get(side)) is not None:
            registry().remove(before)
            spawn(before.capture.close(), name="call.track")
        self._held[side] = Held(capture, self._stopped, self._people[side][1])
        registry().add(self._held[side])
        return capture
