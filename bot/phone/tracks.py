"""The two tracks of a call: the caller's, and ours. Who is in the session, and what is
kept of what they say."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from channels.db import database_sync_to_async

from bot.phone.inbound import Inbound, track_rate
from bot.voice.owntrack import OwnTrack, Stopped
from sessions import participants, timezero
from sessions.capture.attention import attention
from sessions.capture.capture import Capture
from sessions.capture.registry import Held, registry
from sessions.capture.sinks import Track, open_sinks
from sessions.capture.turns import Inbox, turns
from sessions.consent import BY_GREETING, OptedOutError
from transcripts import live

if TYPE_CHECKING:
    from bot.phone.protocol import Audio
    from sessions.models import Participant, VoiceSession


TOGETHER_S = 0.2
"""Sound that waited is taken together up to this: that costs as much as one frame."""
APART_S = 0.06
"""What came later than this behind what came before is not: there may be a hole."""


@dataclass(frozen=True, slots=True)
class _Came:
    """Sound of the caller's, and when it came, by the monotonic clock."""

    audio: Audio
    at_s: float


class Side(StrEnum):
    """Also what tells the two from others when the call is dialled again."""

    CALLER = "caller"
    US = participants.OURS


class CallTracks:
    """Belongs to one call in this process."""

    def __init__(self, session: VoiceSession) -> None:
        self._session = session
        self._stopped: Stopped | None = None
        self._connection = str(uuid.uuid4())
        self._caller: Participant | None = None
        self._held: Held[Capture] | None = None
        self._ours = OwnTrack(session)
        self._inbound: Inbound | None = None
        self.is_dropped = False
        """The caller does not want to be recorded."""
        self._inbox: Inbox[_Came] | None = None

    def join(self, caller: str) -> None:
        """Both are in the session. Blocks. Raises SessionEndedError."""
        try:
            self._caller = participants.join(
                self._session.pk,
                key=Side.CALLER,
                name=caller or "Caller",
                connection=self._connection,
                consent_to=BY_GREETING,
            )
        except OptedOutError:
            # Dialled again: it is held to what they said before.
            self._caller = participants.known(self._session.pk, Side.CALLER)
            self.is_dropped = True
        self._ours.join()

    def tell(self, *, stopped: Stopped, speaks: Callable[[float], None]) -> None:
        """`stopped` is told when the session ends; `speaks` how long the caller has
        spoken, whenever it changes."""
        self._stopped = stopped
        self._inbox = Inbox(self._take, of=turns())
        if not self.is_dropped:
            live.room().watch(self.person(Side.CALLER).pk, speaks)

    def person(self, side: Side) -> Participant:
        if side is Side.US:
            return self._ours.person
        assert self._caller is not None, "nobody has joined"
        return self._caller

    def hear(self, audio: Audio, *, waited_s: float = 0.0) -> None:
        """The caller's sound, which came so long ago; its track is opened with the
        first of it."""
        assert self._inbox is not None  # nothing is heard before `tell`
        self._inbox.put(_Came(audio, time.monotonic() - waited_s))

    def open_ours(self, rate: int) -> Capture:
        """A track for what we say. One that was open is closed."""
        assert self._stopped is not None  # nothing is said before `tell`
        return self._ours.open(rate, stopped=self._stopped)

    async def drop_caller(self) -> None:
        """Take nothing of the caller's from now on. May be called again."""
        self.is_dropped = True
        if self._caller is not None:
            live.room().unwatch(self._caller.pk)
        held, self._held = self._held, None
        if held is not None:
            held.capture.halt()
            await held.capture.close()
            registry().remove(held)

    async def leave(self) -> None:
        """Write both down, and take both off the list. May be called again."""
        if self._inbox is not None:
            self._inbox.take_all()
        caller = self._caller
        if caller is not None:
            live.room().unwatch(caller.pk)
        if self._held is not None:
            await self._held.capture.close()
            registry().remove(self._held)
        if caller is not None:
            await database_sync_to_async(participants.leave)(
                self._session.pk,
                caller.pk,
                connection=self._connection,
                losses=self._held.capture.take_losses() if self._held else None,
            )
        await self._ours.leave()

    def _take(self, first: _Came) -> None:
        """With what waits behind it, up to `TOGETHER_S`."""
        assert self._inbox is not None
        if self.is_dropped:
            return
        if self._inbound is None or self._held is None:
            self._inbound = Inbound(track_rate(first.audio.rate))
            self._held = self._hold_caller(self._inbound.rate)
        pieces, last = [self._inbound.pcm(first.audio)], first
        taken_s = first.audio.duration_s
        while (after := self._inbox.next) is not None and taken_s < TOGETHER_S:
            if after.at_s - last.at_s > APART_S:
                break
            last = self._inbox.pop()
            taken_s += last.audio.duration_s
            pieces.append(self._inbound.pcm(last.audio))
        waited_s = max(time.monotonic() - last.at_s, 0.0)
        self._held.capture.offer(b"".join(pieces), waited_s=waited_s)

    def _hold_caller(self, rate: int) -> Held[Capture]:
        assert self._stopped is not None  # nothing is heard before `tell`
        track = Track.of(self._session, self.person(Side.CALLER), rate=rate)
        capture = Capture(
            track,
            zero_s=timezero.of(self._session),
            rate=rate,
            sinks=open_sinks(track),
            away_s=attention().away_s,
        )
        held = Held(capture, self._stopped, self._connection)
        registry().add(held)
        return held
