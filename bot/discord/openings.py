"""How calls begin: from a slot in the queue, or from what a process that died left, to
a call that runs, or to none at all and nothing left of it.

Which calls there are is `operator`'s, their end is `endings`'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import discord
import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from bot.discord.conversation import Conversation, Voice
from bot.discord.endings import Endings
from bot.discord.faults import FAULTS, fault
from bot.discord.guild import deeds, presence, rooms
from bot.discord.notices import Notice, text
from bot.discord.panel import Panel
from bot.discord.text.asker import Asker
from bot.discord.unbroken import insist, unbroken
from bot.models import DiscordCall
from sessions import lifecycle, opening, queries, queue
from sessions.errors import VoiceError
from sessions.models import Source, State, VoiceRequest, VoiceSession

log = structlog.get_logger(__name__)

WITHIN_S = 15.0
"""From a slot to a call, or to none: whatever Discord answers."""


class Make(Protocol):
    """Makes the call of a session, and holds it."""

    def __call__(
        self, session: VoiceSession, deed: DiscordCall, *, asked_at: float
    ) -> Conversation: ...


class Openings:
    """Of all calls of an operator, on its event loop."""

    def __init__(
        self,
        client: discord.Client,
        *,
        make: Make,
        endings: Endings,
        freed: Callable[[], None],
    ) -> None:
        """`freed` is told when a slot may be free again."""
        self._client = client
        self._make = make
        self._endings = endings
        self._freed = freed

    async def serve(self, request: VoiceRequest, asker: Asker) -> None:
        """From a slot in the queue to a call that runs, or to none at all."""
        call: Conversation | None = None

        async def make() -> Conversation:
            nonlocal call
            return (call := await self._new_call(request, asker))

        try:
            guild = self._client.get_guild(int(request.guild_id))
            if guild is None:
                raise VoiceError("not_in_guild", "The bot has left the server.")
            made = await unbroken(make())
            async with asyncio.timeout(WITHIN_S):
                await made.works.hold(self._open(made, guild, asker))
        except BaseException as e:
            # Also when cancelled: nothing half-made may stay.
            await unbroken(self._give_up(request, call, asker, e))
            if not isinstance(e, Exception):
                raise

    async def go_on(self, call: Conversation, session: VoiceSession) -> None:
        """With a call of a process that died. Raises VoiceError, and what Discord
        raises, where that cannot be."""
        guild = self._client.get_guild(call.guild_id)
        channel = guild.get_channel(int(session.channel_id or 0)) if guild else None
        if session.stop_requested_at is not None:
            raise VoiceError("session_ended", "It was ended just then.")
        if guild is None or not isinstance(channel, Voice):
            raise VoiceError("channel_gone", "The channel is no more.")
        if not _is_peopled(channel):
            raise VoiceError("left", "Everybody has left.")
        await unbroken(self._be_seen(guild, call.call))
        await call.join(channel)
        if session.state == State.ACTIVE:
            await self._go_on(call, session)
        else:
            await self.begin(call)

    async def begin(self, call: Conversation, *, now: datetime | None = None) -> None:
        """Time zero. Where it has begun already, somebody was faster; where it is over,
        there is nothing to stay for."""
        now = now or timezone.now()
        number = call.session.pk
        advance = database_sync_to_async(lifecycle.advance)
        begun = await insist(lambda: advance(number, State.ACTIVE, now=now))
        find = database_sync_to_async(VoiceSession.objects.get)
        session = await insist(lambda: find(pk=number))
        if begun:
            await self._go_on(call, session)
        elif session.state not in queries.ALIVE:
            self._endings.soon(call, "ended")

    async def _new_call(self, request: VoiceRequest, asker: Asker) -> Conversation:
        # Who is in no channel is not known to discord.py.
        name = rooms.name_for(request.user_name or request.user_id)
        room_name = "" if request.channel_id else name
        session, deed = await database_sync_to_async(_requested)(request, room_name)
        return self._make(session, deed, asked_at=asker.asked_at)

    async def _open(
        self, call: Conversation, guild: discord.Guild, asker: Asker
    ) -> None:
        await unbroken(self._be_seen(guild, call.call))
        if call.is_room:
            channel = await unbroken(self._make_room(call, guild))
        else:
            channel = _channel_of(guild, int(call.session.channel_id))
        before = timezone.now()
        await call.join(channel)
        if not call.is_room:
            await self.begin(call, now=before)
            started = Notice.RECORD_STARTED
            if not call.session.record:
                started = Notice.RECORD_STARTED_UNRECORDED
            asker.tell(started, channel=channel.mention)
            return
        if not await database_sync_to_async(lifecycle.advance)(
            call.session.pk, State.WAITING
        ):
            raise VoiceError("session_ended", "It ended before it began.")
        self._endings.awaited(call, asker)
        call.wait_for_user(lambda: self._endings.expire(call))
        seconds = round(settings.VOICE_TIMEOUT)
        if call.user_id in channel.voice_states:
            await self.begin(call)
        ready = Notice.ROOM_TURN if asker.place else Notice.ROOM_READY
        asker.tell(ready, channel=channel.mention, seconds=seconds)

    async def _be_seen(self, guild: discord.Guild, deed: DiscordCall) -> None:
        try:
            await presence.put_on_name(guild, deed)
        except VoiceError:
            if settings.VOICE_REQUIRE_NICKNAME:
                raise

    async def _make_room(self, call: Conversation, guild: discord.Guild) -> Voice:
        member = guild.get_member(call.user_id) or discord.Object(
            call.user_id, type=discord.Member
        )
        call.may_have_room = True
        room = await rooms.make(guild, member, name=call.call.room_name)
        call.call.room_id = str(room.id)
        call.session.channel_id = str(room.id)
        await database_sync_to_async(_room_made)(call.call, room.id)
        return room

    async def _go_on(self, call: Conversation, session: VoiceSession) -> None:
        await call.begin(session)
        self._endings.shown(call, Panel(self._client, session, call.call))
        call.say(Notice.SPOKEN_START if session.record else Notice.SPOKEN_UNRECORDED)
        status = text(Notice.PANEL_TITLE, call.locale)
        if call.channel is not None:
            sign = presence.put_on_status(call.channel, call.call, text=status)
            call.works.start(sign, name="discord.status")
        if call.is_deafened:
            self._endings.warn(call, Notice.PANEL_DEAFENED)
        if not call.people():
            self._endings.soon(call, "left")

    async def _give_up(
        self,
        request: VoiceRequest,
        call: Conversation | None,
        asker: Asker,
        error: BaseException,
    ) -> None:
        """A call that did not come to be: undone, and its person told why."""
        found = fault(error) if isinstance(error, (*FAULTS, VoiceError)) else None
        log.info("discord.gave_up", request=request.pk, code=found and found.code)
        if found is None and isinstance(error, Exception):
            log.error("discord.not_served", request=request.pk, exc_info=error)
        code = found.code if found else "crashed"
        if isinstance(error, asyncio.CancelledError):
            code = "shut_down"
        if code != "shut_down":  # who has got nothing yet waits again
            asker.fail(found)
        if call is not None:
            await self._endings.end(call, code)
        else:
            await self._endings.give_back(request)
        self._freed()


@transaction.atomic
def _requested(
    request: VoiceRequest, room_name: str
) -> tuple[VoiceSession, DiscordCall]:
    session = opening.request_session(
        source=Source.DISCORD,
        guild_id=request.guild_id,
        channel_id=request.channel_id,
        user_id=request.user_id,
        title=room_name or "Voice channel",
        language=request.language,
        record=request.record,
    )
    if not queue.granted(request.pk, session.pk):
        raise VoiceError("session_ended", "The slot was lost.")
    deed = deeds.begin(
        session,
        text_channel_id=int(request.text_channel_id or 0),
        locale=request.locale,
        room_name=room_name,
    )
    return session, deed


@transaction.atomic
def _room_made(call: DiscordCall, room_id: int) -> None:
    deeds.room_made(call.pk, room_id=room_id)
    assert call.session_id is not None
    deeds.in_channel(call.session_id, channel_id=room_id)


def _is_peopled(channel: Voice) -> bool:
    """Whether anybody but bots is in it."""
    guild = channel.guild
    people = (guild.get_member(one) for one in channel.voice_states)
    return any(member is None or not member.bot for member in people)


def _channel_of(guild: discord.Guild, channel_id: int) -> Voice:
    channel = guild.get_channel(channel_id)
    if not isinstance(channel, Voice):
        raise VoiceError("not_in_voice", "The channel is gone.")
    return channel
