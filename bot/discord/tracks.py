"""The tracks of a Discord call: one for each who speaks, opened with their first word.

Takes packets from the reader's thread to the event loop, and to the capture of whoever
speaks.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from channels.db import database_sync_to_async
from structlog.contextvars import bind_contextvars

from sessions import participants, timezero
from sessions.audio.frames import TIMELINE_RATE
from sessions.background import spawn
from sessions.capture.packets import PacketCapture
from sessions.capture.registry import Held, Stop, registry
from sessions.capture.sinks import Track, open_sinks
from sessions.capture.turns import Inbox, turns
from sessions.consent import BY_NOTICE
from sessions.errors import VoiceError
from transcripts import live

if TYPE_CHECKING:
    from bot.discord.receive import Heard
    from sessions.models import Participant, VoiceSession

log = structlog.get_logger(__name__)

WAITING_MAX = 6000
"""Packets (2 min) of one speaker that wait for the database."""
AGAIN_S = 1.0
LAST_WITHIN_S = 30.0
"""How long those who wait for it at the end are still asked for."""

Stopped = Callable[[Stop], Coroutine[Any, Any, None]]


@dataclass(eq=False, slots=True)
class _Speaker:
    """Somebody who has spoken: first only their packets, then their track."""

    user: int
    connection: str = field(default_factory=lambda: str(uuid.uuid4()))
    waiting: deque[Heard] = field(default_factory=lambda: deque(maxlen=WAITING_MAX))
    person: Participant | None = None
    opening: asyncio.Task[None] | None = None
    held: Held[PacketCapture] | None = None
    behind: Inbox[Heard] | None = None
    """What waited for the track: in turns, as half a minute of it at once would hold
    everybody up."""


class DiscordTracks:
    """Belongs to one session in this process, and to the event loop it was made on."""

    def __init__(
        self,
        session: VoiceSession,
        *,
        name_of: Callable[[int], str],
        stopped: Stopped,
        speaks: Callable[[float], None] | None = None,
    ) -> None:
        """`name_of` a user; `stopped` is told when the session ends elsewhere;
        `speaks` how long somebody has spoken, whenever it changes."""
        self._session = session
        self._name_of = name_of
        self._stopped = stopped
        self._speaks = speaks
        self._inbox = Inbox(self._take, of=turns())
        self._speakers: dict[int, _Speaker] = {}
        self._count = 0
        self._closed_at: float | None = None
        self.waited_s = 0.0
        """The longest that a packet waited to be taken in."""

    def hear(self, heard: Heard) -> None:
        """Take a packet, on any thread: the loop is woken once for many."""
        self._inbox.put(heard)

    @property
    def speakers(self) -> int:
        """How many have spoken."""
        return self._count

    async def leave(self) -> None:
        """Write down what was heard, and take everybody off the list. May be called
        again."""
        await self._inbox.drained()
        if self._closed_at is None:
            self._closed_at = time.monotonic()
        speakers, self._speakers = list(self._speakers.values()), {}
        await asyncio.gather(*map(self._close, speakers))

    async def left(self, user: int) -> None:
        """One of them has gone: their fragment can be made while the others go on."""
        await self._inbox.drained()  # their last words are not a new speaker's
        speaker = self._speakers.pop(user, None)
        if speaker is not None:
            await self._close(speaker)

    def _read_to(self, speaker: _Speaker) -> float:
        """What came of theirs before this has been taken; a time of the monotonic
        clock."""
        behind = speaker.behind.next if speaker.behind is not None else None
        heard = behind or self._inbox.next
        return heard.received_s if heard is not None else time.monotonic()

    def _take(self, heard: Heard) -> None:
        if self._closed_at is not None:
            return
        speaker = self._speakers.get(heard.user)
        if speaker is None:
            speaker = self._speakers[heard.user] = _Speaker(heard.user)
            self._count += 1
            opening = self._open(speaker)
            session = self._session.pk
            speaker.opening = spawn(opening, name="discord.track", session=session)
        if speaker.held is None or speaker.behind is None:
            speaker.waiting.append(heard)
        elif speaker.behind.next is not None:
            speaker.behind.put(heard)
        else:
            self._offer(speaker.held, heard)

    async def _open(self, speaker: _Speaker) -> None:
        """The person into the session, and what they said meanwhile into their track.
        A database that is away, or a disk that is full, is asked again."""
        while speaker.held is None:
            try:
                if speaker.person is None:
                    speaker.person = await self._join(speaker)
                speaker.held = self._hold(speaker, speaker.person)
                bind_contextvars(track=speaker.person.pk)
            except VoiceError:
                log.info("discord.too_late")
                return
            except Exception as e:
                closed_at = self._closed_at or math.inf
                if time.monotonic() - closed_at > LAST_WITHIN_S:
                    raise
                why = type(e).__name__
                log.warning("discord.not_joined", error=why)
                await asyncio.sleep(AGAIN_S)
        if self._speaks is not None and speaker.person is not None:
            live.room().watch(speaker.person.pk, self._speaks)
        speaker.behind = Inbox(partial(self._offer, speaker.held), of=turns())
        while speaker.waiting:
            speaker.behind.put(speaker.waiting.popleft())
        await speaker.behind.drained()

    async def _join(self, speaker: _Speaker) -> Participant:
        return await database_sync_to_async(participants.join)(
            self._session.pk,
            key=f"discord:{speaker.user}",
            name=self._name_of(speaker.user),
            connection=speaker.connection,
            was_heard=True,
            consent_to=BY_NOTICE,
        )

    def _hold(self, speaker: _Speaker, person: Participant) -> Held[PacketCapture]:
        track = Track.of(self._session, person, rate=TIMELINE_RATE)
        capture = PacketCapture(
            track,
            zero_s=timezero.of(self._session),
            sinks=open_sinks(track),
            read_to=partial(self._read_to, speaker),
        )

        async def stopped(why: Stop) -> None:
            if why is Stop.OPTED_OUT:  # one of them; the others go on
                await self.left(speaker.user)
            else:
                await self._stopped(why)

        held = Held(capture, stopped, speaker.connection)
        registry().add(held)
        return held

    async def _close(self, speaker: _Speaker) -> None:
        if speaker.opening is not None:
            await asyncio.wait([speaker.opening])
        if speaker.behind is not None:
            await speaker.behind.drained()
        if speaker.held is not None:
            await speaker.held.capture.close()
            registry().remove(speaker.held)
        if speaker.person is not None:
            live.room().unwatch(speaker.person.pk)
            await database_sync_to_async(participants.leave)(
                self._session.pk,
                speaker.person.pk,
                connection=speaker.connection,
                losses=speaker.held.capture.take_losses() if speaker.held else None,
            )

    def _offer(self, held: Held[PacketCapture], heard: Heard) -> None:
        self.waited_s = max(self.waited_s, time.monotonic() - heard.received_s)
        held.capture.offer(
            heard.opus,
            ssrc=heard.ssrc,
            sequence=heard.sequence,
            timestamp=heard.timestamp,
            came_at=heard.received_s,
        )
