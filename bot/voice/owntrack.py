"""Our own track in a conversation: what we say is recorded as anybody's.

It needs no detection and no model, and is opened with the first word of ours.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from channels.db import database_sync_to_async

from sessions import participants, timezero
from sessions.background import spawn
from sessions.capture.attention import attention
from sessions.capture.capture import Capture
from sessions.capture.recorder import record
from sessions.capture.registry import Held, Stop, registry
from sessions.capture.sinks import Sink, Track

if TYPE_CHECKING:
    from sessions.models import Participant, VoiceSession

OUR_NAME = "Parley"

Stopped = Callable[[Stop], Coroutine[Any, Any, None]]


class OwnTrack:
    """Ours in one session of this process."""

    def __init__(self, session: VoiceSession) -> None:
        self._session = session
        self._connection = str(uuid.uuid4())
        self._person: Participant | None = None
        self._held: Held[Capture] | None = None

    @property
    def person(self) -> Participant:
        assert self._person is not None, "we have not joined"
        return self._person

    def join(self) -> None:
        """We are in the session. Blocks. Raises SessionEndedError."""
        self._person = participants.join(
            self._session.pk,
            key=participants.OURS,
            name=OUR_NAME,
            connection=self._connection,
        )

    def open(self, rate: int, *, stopped: Stopped) -> Capture:
        """A track at `rate`; one that was open is closed. `stopped` is told when the
        session ends."""
        track = Track.of(self._session, self.person, rate=rate)
        recorder = record(track)
        sinks: list[Sink] = [recorder] if recorder else []
        capture = Capture(
            track,
            zero_s=timezero.of(self._session),
            rate=rate,
            sinks=sinks,
            away_s=attention().away_s,
            is_ours=True,
        )
        if (before := self._held) is not None:
            registry().remove(before)
            spawn(before.capture.close(), name="own.track")
        self._held = Held(capture, stopped, self._connection)
        registry().add(self._held)
        return capture

    async def leave(self) -> None:
        """Write it down, and off the list. May be called again."""
        if (held := self._held) is not None:
            await held.capture.close()
            registry().remove(held)
        if self._person is not None:
            await database_sync_to_async(participants.leave)(
                self._session.pk, self._person.pk, connection=self._connection
            )
