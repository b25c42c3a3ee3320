"""The WebSockets of a session: a browser's microphone in, the live feed out.

Consumers parse, ask who it is, and hand on; placing, hearing and following live below.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from typing import Any

import structlog
from channels.db import aclose_old_connections, database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from sessions import access, participants, wire
from sessions.allowance import Allowance
from sessions.audio.frames import TIMELINE_RATE
from sessions.background import cancel_and_wait, spawn
from sessions.capture.capture import Capture
from sessions.capture.registry import Held, Stop, registry, stop_each
from sessions.capture.sinks import Track, open_sinks
from sessions.errors import NotAllowedError, SessionEndedError, VoiceError
from sessions.feed import feed
from sessions.models import Participant, VoiceSession
from sessions.wire import AudioAddress, Close, WireError

log = structlog.get_logger(__name__)

MESSAGES_PER_S = 400.0
"""The shortest sensible frame is 2.5 ms; a backlog of 30 s may come at once."""
MESSAGES_BURST = 15_000.0
READER_MESSAGES_BURST = 100.0
CLOSE_BY_STOP = {
    Stop.ENDED: Close.ENDED,
    Stop.REPLACED: Close.REPLACED,
    Stop.RESTARTING: Close.RESTARTING,
}


class SessionConsumer(AsyncWebsocketConsumer):
    """What both WebSockets share: opening, refusing, closing once with a reason."""

    # Names no layer: a microphone must not depend on Redis.
    channel_layer_alias = "none"
    _closed = False

    async def connect(self) -> None:
        # A close code reaches the client only after the handshake.
        await self.accept()
        await aclose_old_connections()
        try:
            await self.opened()
        except VoiceError as e:
            await self.refuse(e)

    async def opened(self) -> None:
        raise NotImplementedError  # abstract: each consumer's own

    async def refuse(self, error: VoiceError) -> None:
        code = wire.CLOSE_BY_ERROR.get(error.code, Close.BAD_ADDRESS)
        await self.close_once(code, error.message)

    async def close_once(self, code: Close, reason: str) -> None:
        if not self._closed:
            self._closed = True
            await self.close(code=code.value, reason=reason)

    async def answer(self, data: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(data))

    async def session(self, token: str) -> VoiceSession:
        """The session of the address. Raises VoiceError."""
        user = self.scope.get("user")
        if not token and not self._same_origin():
            raise NotAllowedError
        return await database_sync_to_async(access.session_for)(
            self.scope["url_route"]["kwargs"]["public_id"], user=user, token=token
        )

    def _same_origin(self) -> bool:
        """A cookie counts only on our own pages; other sites' scripts carry it too."""
        headers = dict(self.scope["headers"])
        origin = headers.get(b"origin", b"").split(b"://")[-1]
        return origin == headers.get(b"host")


class AudioConsumer(SessionConsumer):
    """`/session/{id}/audio`: one connection of one speaker."""

    _held: Held | None = None

    async def opened(self) -> None:
        address = wire.audio_address(self.scope["query_string"])
        session = await self.session(address.token)
        if not session.is_open:
            raise SessionEndedError
        self._rate = address.rate
        self._seconds = Allowance(1.05, settings.AUDIO_MAX_AHEAD_S)
        self._messages = Allowance(MESSAGES_PER_S, MESSAGES_BURST)
        person = await self._join(session, address)
        self._held = self._capture(session, person, address)
        registry().add(self._held)
        if address.stream:
            received = self._held.capture.received
            bytes_ = received * address.rate // TIMELINE_RATE * 2
            await self.answer({"type": "ready", "bytes": bytes_})

    async def _join(self, session: VoiceSession, address: AudioAddress) -> Participant:
        key = str(address.stream or uuid.uuid4())
        join = database_sync_to_async(participants.join)
        person = await join(session.pk, key=key, name=address.name)
        if older := registry().of_participant(person.pk):
            # The same stream again: the older connection is dead or a mistake, and
            # what it heard must count before we say where to go on.
            await stop_each(older, Stop.REPLACED)
            await person.arefresh_from_db()
        return person

    def _capture(
        self, session: VoiceSession, person: Participant, address: AudioAddress
    ) -> Held:
        track = Track(
            session.pk, session.public_id, person.pk, person.public_id, person.name
        )
        assert session.started_at is not None  # active sessions have a time zero
        capture = Capture(
            track,
            started_at=session.started_at,
            rate=address.rate,
            sinks=open_sinks(track),
            origin=person.stream_origin if address.stream else None,
            received=person.stream_samples if address.stream else 0,
        )
        return Held(capture, self._stop)

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None
    ) -> None:
        if self._held is None or self._closed:
            return
        try:
            if bytes_data is not None:
                await self._take_sound(bytes_data)
            else:
                await self._take_message(text_data or "")
        except VoiceError as e:
            await self._finish()
            await self.refuse(e)

    async def _take_sound(self, data: bytes) -> None:
        assert self._held is not None
        wire.check_frame(data)
        self._spend(len(data) / 2 / self._rate)
        self._held.capture.offer(data)
        await self.answer({"ok": True, "bytes": len(data)})

    async def _take_message(self, text: str) -> None:
        assert self._held is not None
        self._spend(0.0)
        message = wire.text_message(text, rate=self._rate)
        if message.type == "ping":
            await self.answer({"type": "pong"})
        elif message.type == "skip":
            self._held.capture.offer(b"", skipped=message.samples)
        else:
            await self._finish()
            await self.close_once(Close.DONE, "stopped")

    def _spend(self, seconds: float) -> None:
        now = time.monotonic()
        if not self._messages.take(1, now=now):
            raise WireError("flood", "Too many messages.")
        if not self._seconds.take(seconds, now=now):
            raise WireError("flood", "Sound came faster than time.")

    async def _stop(self, why: Stop) -> None:
        await self._finish()
        await self.close_once(CLOSE_BY_STOP[why], why.value)

    async def _finish(self) -> None:
        """Write down what was heard. Once, and not cut short by a cancellation."""
        held, self._held = self._held, None
        if held is not None:
            await asyncio.shield(spawn(self._settle(held), name="capture.settle"))

    async def _settle(self, held: Held) -> None:
        try:
            await held.capture.close()
        finally:
            registry().remove(held)
            await database_sync_to_async(participants.leave)(
                held.capture.track.participant_id,
                stream_origin=held.capture.origin,
                stream_samples=held.capture.received,
            )

    async def disconnect(self, code: int) -> None:
        self._closed = True
        await self._finish()


class LiveConsumer(SessionConsumer):
    """`/session/{id}/live?after=SEQ`: the event log, replayed and then live."""

    _pump: asyncio.Task[None] | None = None

    async def opened(self) -> None:
        token, after = wire.after_of(self.scope["query_string"])
        session = await self.session(token)
        self._messages = Allowance(10.0, READER_MESSAGES_BURST)
        self._pump = spawn(self._send_on(session.pk, after), name="live")
        registry().keep_viewed()

    async def _send_on(self, session_id: int, after: int) -> None:
        stream = feed().follow(session_id, after=after)
        async with contextlib.aclosing(stream):
            async for event in stream:
                await self.answer(event.to_json())

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None
    ) -> None:
        if self._closed or self._pump is None:
            return
        if not self._messages.take(1, now=time.monotonic()):
            await self.refuse(WireError("flood", "Too many messages."))
        elif bytes_data is not None or (text_data or "").strip() != '{"type":"ping"}':
            await self.refuse(WireError("bad_frame", "This socket takes only pings."))
        else:
            await self.answer({"type": "pong"})

    async def disconnect(self, code: int) -> None:
        self._closed = True
        if self._pump is not None:
            await cancel_and_wait(self._pump)


class NowhereConsumer(SessionConsumer):
    """Any other address: closed as unknown, instead of an error in the log."""

    async def opened(self) -> None:
        raise WireError("not_found", "There is nothing at this address.")
