"""The WebSockets of a session: a browser's microphone in, the live feed out.

Consumers parse, ask who it is, and hand on; placing, hearing and following live below.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from structlog.contextvars import bind_contextvars

from sessions import (
    access,
    audit,
    consent,
    participants,
    queries,
    rights,
    timezero,
    wire,
)
from sessions.allowance import Allowance
from sessions.audio.frames import TIMELINE_RATE
from sessions.background import cancel_and_wait, spawn
from sessions.capture.attention import attention
from sessions.capture.capture import Capture
from sessions.capture.registry import Held, Stop, registry
from sessions.capture.sinks import Track, open_sinks
from sessions.crowd import crowd
from sessions.errors import SessionEndedError, VoiceError
from sessions.feed import feed
from sessions.intake import Speaker, intake
from sessions.models import Participant, VoiceSession
from sessions.networks import network
from sessions.participants import Stream
from sessions.readers import readers
from sessions.wire import AudioAddress, Close, WireError

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

log = structlog.get_logger(__name__)

READER_MESSAGES_BURST = 100.0
CLOSE_BY_STOP = {
    Stop.ENDED: Close.ENDED,
    Stop.REPLACED: Close.REPLACED,
    Stop.RESTARTING: Close.RESTARTING,
    Stop.OPTED_OUT: Close.OPTED_OUT,
}


class SessionConsumer(AsyncWebsocketConsumer):
    """What both WebSockets share: opening, refusing, closing once with a reason."""

    # Names no layer: a microphone must not depend on Redis.
    channel_layer_alias = "none"
    # Who is signed in, on our own pages; known once the session is open.
    person: AbstractBaseUser | None = None
    _closed = False
    _opening: asyncio.Task[None] | None = None
    _ids: Mapping[str, int] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._place = contextlib.ExitStack()
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Also after an error and when the server cancels us: nothing stays behind.
            self._closed = True
            if self._opening is not None:
                await asyncio.wait([self._opening])
            await self.released()
            self._place.close()

    async def dispatch(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.receive":
            # channels would have each frame wait for the database's thread.
            await self.websocket_receive(message)
        else:
            await super().dispatch(message)

    async def connect(self) -> None:
        # A close code reaches the client only after the handshake.
        await self.accept()
        # Not cut short by a cancellation: half an opening would stay behind.
        self._opening = spawn(self._guarded(self._enter()), name="socket.open")
        await asyncio.shield(self._opening)
        bind_contextvars(**self._ids)

    async def _enter(self) -> None:
        crowd.check(self._address())
        self._place.enter_context(crowd.inside(self._address()))
        await self.opened()

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None
    ) -> None:
        if not self._closed:
            await self._guarded(self.received(text_data, bytes_data))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except VoiceError as e:
            await self.released()
            await self.refuse(e)
        except Exception:
            # Our fault: this socket ends and its client comes again.
            log.exception("socket.failed")
            await self.released()
            await self.close_once(Close.FAULT, "Something went wrong on our side.")

    async def disconnect(self, code: int) -> None:
        self._closed = True

    async def received(self, text: str | None, data: bytes | None) -> None:
        """One message, text or bytes. Raises VoiceError for what we do not take."""
        raise NotImplementedError  # abstract: each consumer's own

    def is_about(self, **ids: int) -> None:
        """What stands on each line of this connection's log."""
        self._ids = ids
        bind_contextvars(**ids)

    async def released(self) -> None:
        """Let go of what this connection holds; may be called often."""

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
        # A cookie counts only on our own pages; other sites' scripts carry it too.
        user = self.scope.get("user") if self._same_origin() else None
        self.person = user if user and user.is_authenticated else None
        return await database_sync_to_async(access.session_for)(
            self.scope["url_route"]["kwargs"]["public_id"],
            user=self.person,
            token=token,
        )

    def _address(self) -> str:
        # A proxy may add a line of its own: all of them are one list.
        lines = [v for name, v in self.scope["headers"] if name == b"x-forwarded-for"]
        forwarded = b",".join(lines).decode("latin1")
        return audit.address((self.scope.get("client") or ("",))[0], forwarded)

    def _same_origin(self) -> bool:
        headers = dict(self.scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin1")
        host = headers.get(b"host", b"").decode("latin1")
        ours = {f"http://{host}", f"https://{host}", *settings.CSRF_TRUSTED_ORIGINS}
        return bool(host) and origin in ours


class AudioConsumer(SessionConsumer):
    """`/session/{id}/audio`: one connection of one speaker."""

    _held: Held[Capture] | None = None
    _settling: asyncio.Task[None] | None = None

    async def opened(self) -> None:
        if registry().is_closed:
            await self._stop(Stop.RESTARTING)
            return
        with registry().opening():
            await self._open()

    async def _open(self) -> None:
        address = wire.audio_address(self.scope["query_string"])
        session = await self.session(address.token)
        if not session.is_open:
            raise SessionEndedError
        self._rate = address.rate
        agreed = consent.agreed_to(address.consent)
        connection = str(uuid.uuid4())
        key = str(address.stream or connection)
        self._speaker = Speaker(session.pk, key, network(self._address()))
        intake().admit(self._speaker)
        person = await database_sync_to_async(_join)(
            session.pk,
            key=key,
            name=address.name,
            connection=connection,
            user_id=self.person.pk if self.person else None,
            consent_to=agreed,
        )
        self.is_about(session=session.pk, track=person.pk)
        try:
            capture = self._capture(session, person, address)
        except Exception:
            await _leave(session.pk, person.pk, connection=connection)
            raise
        self._held = Held(capture, self._stop, connection)
        registry().add(self._held)
        if address.stream:
            bytes_ = capture.received * address.rate // TIMELINE_RATE * 2
            await self.answer({"type": "ready", "bytes": bytes_})

    def _capture(
        self, session: VoiceSession, person: Participant, address: AudioAddress
    ) -> Capture:
        """A capture that goes on where the stream's last one was, if it had one."""
        track = Track.of(session, person, rate=address.rate)
        origin, received = None, 0
        if address.stream:
            origin, received = _replace_older(person)
        return Capture(
            track,
            zero_s=timezero.of(session),
            rate=address.rate,
            sinks=open_sinks(track),
            origin=origin,
            received=received,
            away_s=attention().away_s,
        )

    async def received(self, text: str | None, data: bytes | None) -> None:
        if self._held is None or self._settling is not None:
            return
        if data is not None:
            await self._take_sound(data)
        else:
            await self._take_message(text or "")

    async def _take_sound(self, data: bytes) -> None:
        assert self._held is not None
        wire.check_frame(data)
        intake().spend(self._speaker, len(data) / 2 / self._rate)
        self._held.capture.offer(data)
        await self.answer({"ok": True, "bytes": len(data)})

    async def _take_message(self, text: str) -> None:
        assert self._held is not None
        intake().spend(self._speaker, 0.0)
        message = wire.text_message(text, rate=self._rate)
        if message.type == "ping":
            await self.answer({"type": "pong"})
        elif message.type == "skip":
            self._skip(message.samples)
        else:
            await self.released()
            await self.close_once(Close.DONE, "stopped")

    def _skip(self, samples: int) -> None:
        assert self._held is not None
        ahead_s = self._held.capture.ahead_s + samples / self._rate
        if ahead_s > settings.AUDIO_MAX_AHEAD_S:
            raise WireError("flood", "The stream is ahead of time.")
        self._held.capture.offer(b"", skipped=samples)

    async def _stop(self, why: Stop) -> None:
        await self.released()
        await self.close_once(CLOSE_BY_STOP[why], why.value)

    async def released(self) -> None:
        """Write down what was heard: once. Whoever asks waits until it is done, and
        nobody's cancellation cuts it short."""
        if self._held is None:
            return
        if self._settling is None:
            settling = _settle(self._held)
            self._settling = spawn(settling, name="capture.settle", **self._ids)
        await asyncio.shield(self._settling)


def _join(session_id: int, *, key: str, **how: Any) -> Participant:
    """Join, unless as many others speak there as may. Raises VoiceError."""
    most = settings.TRACKS_PER_SESSION
    if most and queries.others_present(session_id, key=key) >= most:
        message = "As many people speak in this session as it takes."
        raise VoiceError("full", message, status=429)
    return participants.join(session_id, key=key, **how)


def _replace_older(person: Participant) -> tuple[int | None, int]:
    """Where a returning stream goes on. An older connection of it here is dead or a
    mistake: what it had counts, and it takes no more from this moment on."""
    origin, received = person.stream_origin, person.stream_samples
    for held in registry().of_participant(person.pk):
        held.capture.halt()
        if held.capture.received >= received:
            origin, received = held.capture.origin, held.capture.received
        ids = held.capture.track.ids
        spawn(held.stop(Stop.REPLACED), name="capture.replaced", **ids)
    return origin, received


async def _settle(held: Held[Capture]) -> None:
    capture, track = held.capture, held.capture.track
    stream = None
    try:
        await capture.close()
        if capture.origin is not None:
            # All of it is written down now: more than `secured` would say.
            stream = Stream(track.participant_id, capture.origin, capture.received)
    finally:
        await _leave(
            track.session_id,
            track.participant_id,
            connection=held.connection,
            stream=stream,
            losses=capture.take_losses(),
        )
        # Last: until the table knows, whoever returns learns from us where to go on.
        registry().remove(held)


async def _leave(session_id: int, participant_id: int, **how: Any) -> None:
    leave = database_sync_to_async(participants.leave)
    try:
        await leave(session_id, participant_id, **how)
    except Exception:
        # The database is away: the reaper takes the person off the list.
        log.exception("participant.not_left", session=session_id)


class LiveConsumer(SessionConsumer):
    """`/session/{id}/live?after=SEQ`: the event log, replayed and then live."""

    _pump: asyncio.Task[None] | None = None
    _rights: asyncio.Task[None] | None = None

    async def opened(self) -> None:
        token, after = wire.after_of(self.scope["query_string"])
        session = await self.session(token)
        self.is_about(session=session.pk)
        await database_sync_to_async(audit.note)(
            session,
            kind=audit.reading(session),
            user=self.person,
            address=self._address(),
        )
        self._messages = Allowance(10.0, READER_MESSAGES_BURST)
        work = self._guarded(self._send_on(session.pk, after))
        self._pump = spawn(work, name="live", **self._ids)
        watching = self._watch(session, token)
        self._rights = spawn(watching, name="live.rights", **self._ids)

    async def _watch(self, session: VoiceSession, token: str) -> None:
        await self._guarded(self._until_ended(session, token))

    async def _until_ended(self, session: VoiceSession, token: str) -> None:
        await rights.until_ended(session.public_id, user=self.person, token=token)
        raise access.SessionNotFoundError

    async def _send_on(self, session_id: int, after: int) -> None:
        stream = feed().follow(session_id, after=after)
        async with contextlib.aclosing(stream):
            with registry().viewing(session_id), readers().reading(session_id):
                async for event in stream:
                    await self.answer(event.to_json())

    async def received(self, text: str | None, data: bytes | None) -> None:
        if not self._messages.take(1, now=time.monotonic()):
            raise WireError("flood", "Too many messages.")
        if data is not None or wire.text_message(text or "", rate=1).type != "ping":
            raise WireError("bad_frame", "This socket takes only pings.")
        await self.answer({"type": "pong"})

    async def released(self) -> None:
        for task in (self._pump, self._rights):
            if task is not None and task is not asyncio.current_task():
                await cancel_and_wait(task)


class NowhereConsumer(SessionConsumer):
    """Any other address: closed as unknown, instead of an error in the log."""

    async def opened(self) -> None:
        raise WireError("not_found", "There is nothing at this address.")
