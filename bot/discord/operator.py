"""The operator: opens and ends the calls of this process, one to a guild.

A request comes out of the queue; a room is made for it, or its channel joined; when
everybody has gone, or somebody says so, all of it is undone in the order of the
design. Whatever happens together, the session's row decides who was first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import discord
import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from bot.discord.conversation import Conversation, Shared, Voice
from bot.discord.endings import Endings
from bot.discord.faults import FAULTS, fault
from bot.discord.guild import deeds, presence, rights, rooms
from bot.discord.notices import Notice, text
from bot.discord.panel import Panel
from bot.discord.serving import Serving
from bot.discord.text.answer import Answer
from bot.discord.text.asker import Asker
from bot.discord.unbroken import unbroken
from bot.models import DiscordCall
from sessions import lifecycle, opening, participants, queries, queue
from sessions.errors import VoiceError
from sessions.models import Source, State, VoiceRequest, VoiceSession

if TYPE_CHECKING:
    from discord import Member, VoiceState

log = structlog.get_logger(__name__)

OPEN_WITHIN_S = 15.0
"""From a slot to a call, or to none: whatever Discord answers."""
END_WITHIN_S = 45.0


class Operator:
    """Belongs to the client's event loop."""

    def __init__(
        self,
        shared: Shared,
        *,
        holder: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.holder = holder
        self._shared = shared
        self._client = shared.client
        self._clock = clock
        self._calls: dict[int, Conversation] = {}
        self._is_closing = False
        self._serving = Serving(
            shared.client,
            holder=holder,
            serve=self._serve,
            is_free=lambda guild_id: guild_id not in self._calls,
            clock=clock,
        )
        self._endings = Endings(freed=self._serving.look)

    @property
    def client(self) -> discord.Client:
        return self._client

    # --- what is asked ----------------------------------------------------------------

    def call_in(self, guild_id: int) -> Conversation | None:
        """The call of a guild, if there is one here."""
        return self._calls.get(guild_id)

    @property
    def calls(self) -> list[Conversation]:
        return list(self._calls.values())

    async def ask(
        self,
        *,
        guild: discord.Guild,
        user: Any,
        text_channel_id: int,
        channel: Voice | None = None,
        language: str = "",
        record: bool = True,
        locale: str = "",
        answer: Answer | None = None,
    ) -> None:
        """A private room, or a call in `channel`. Who asked is told all that follows.
        Raises VoiceError for what can never be."""
        self._check(guild, channel)
        await self._serving.ask(
            answer=answer,
            guild_id=str(guild.id),
            user_id=str(user.id),
            user_name=user.display_name,
            channel_id=str(channel.id) if channel else "",
            text_channel_id=str(text_channel_id),
            language=language,
            record=record,
            locale=locale,
        )

    async def leave_queue(self, *, guild_id: int, user_id: int) -> bool:
        """Take back what somebody waits for; False where they wait for nothing."""
        drop = database_sync_to_async(queue.drop_of_user)
        has_left = await drop(Source.DISCORD, str(guild_id), str(user_id))
        self._serving.look()
        return has_left

    async def end(self, call: Conversation, reason: str) -> bool:
        """End a call; True for the one who did it. Returns when all is written down,
        and undone."""
        return await self._endings.end(call, reason)

    async def run(self) -> None:
        """Serve the queue until cancelled: once what a start found is recovered."""
        await self._serving.run()

    async def shut_down(self) -> None:
        """End every call in order; who waits goes on waiting, in the database."""
        self._is_closing = True
        await self._serving.close(within_s=END_WITHIN_S)
        for call in self.calls:
            self._endings.begin(call, "shut_down")
        ends = [call.ending for call in self.calls if call.ending]
        if ends:
            _, late = await asyncio.wait(ends, timeout=END_WITHIN_S)
            for end in late:
                end.cancel()  # of a database that is away: the next start goes on
        await self._endings.finish(within_s=END_WITHIN_S)

    # --- what Discord tells -----------------------------------------------------------

    def voice_state_changed(
        self, member: Member, before: VoiceState, after: VoiceState
    ) -> None:
        """Somebody came, went, or changed otherwise."""
        call = self._calls.get(member.guild.id)
        if call is None:
            return
        if member.id == self._client.user.id if self._client.user else False:
            self._we_changed(call, before, after)
            return
        if before.channel == after.channel:
            return
        channel = call.channel
        if channel is None:
            return
        if after.channel is not None and after.channel.id == channel.id:
            self._came(call, member)
        elif before.channel is not None and before.channel.id == channel.id:
            self._went(call, member)

    def channel_deleted(self, channel: Any) -> None:
        call = self._calls.get(channel.guild.id)
        if call is None or call.link is None or call.is_undoing:
            return
        if call.link.channel_id == channel.id:
            self._endings.begin(call, "channel_deleted")

    def guild_removed(self, guild: discord.Guild) -> None:
        if (call := self._calls.get(guild.id)) is not None:
            self._endings.begin(call, "guild_removed")

    def gateway_changed(self) -> None:
        """Ready, or resumed: discord.py may have forgotten our voice clients."""
        for call in self._calls.values():
            if call.link is not None:
                call.link.look()
        self._serving.look()

    def _we_changed(
        self, call: Conversation, before: VoiceState, after: VoiceState
    ) -> None:
        if after.channel is None or not call.is_begun:
            return
        if before.channel != after.channel:
            call.moved(after.channel.id)
        if after.deaf and not before.deaf:
            self._endings.warn(call, Notice.PANEL_DEAFENED)

    def _came(self, call: Conversation, member: Member) -> None:
        if call.is_begun:
            if not member.bot and (panel := self._endings.panel_of(call)):
                call.works.start(panel.greet(member), name="discord.greet")
        elif call.is_waiting and member.id == call.user_id:
            call.works.start(self._begin(call), name="discord.begin")

    def _went(self, call: Conversation, member: Member) -> None:
        if not call.is_begun:
            return
        if call.people():
            call.left(member.id)
        else:
            self._end_soon(call, "left")

    def _end_soon(self, call: Conversation, reason: str) -> None:
        if not call.is_closed:
            self._endings.begin(call, reason)

    def _closed(self, call: Conversation) -> None:
        """Nothing of it is left here, but for its last lines."""
        if self._calls.get(call.guild_id) is call:
            del self._calls[call.guild_id]
        self._endings.closed(call)
        self._serving.look()

    # --- how a call begins ------------------------------------------------------------

    def _check(self, guild: discord.Guild, channel: Voice | None) -> None:
        if not settings.ENABLE_VOICE_FEATURES:
            raise VoiceError("disabled", "Voice is switched off.", status=403)
        me = guild.me
        if channel is None:
            rooms.require_rights(guild)
        else:
            rights.require(channel.permissions_for(me), *rights.HERE)
            call = self._calls.get(guild.id)
            if call is not None and call.channel == channel and not call.is_ending:
                raise AlreadyHereError(channel.id)
        if settings.VOICE_REQUIRE_NICKNAME and not me.guild_permissions.change_nickname:
            raise presence.NicknameRefusedError

    async def _serve(self, request: VoiceRequest, asker: Asker) -> None:
        """From a slot in the queue to a call that runs, or to none at all."""
        call: Conversation | None = None

        async def make() -> Conversation:
            nonlocal call
            call = await self._new_call(request, asker)
            self._calls[call.guild_id] = call
            return call

        try:
            guild = self._client.get_guild(int(request.guild_id))
            if guild is None:
                raise VoiceError("not_in_guild", "The bot has left the server.")
            made = await unbroken(make())
            async with asyncio.timeout(OPEN_WITHIN_S):
                await made.works.hold(self._open(made, guild, asker))
        except BaseException as e:
            # Also when cancelled: nothing half-made may stay.
            await unbroken(self._give_up(request, call, asker, e))
            if not isinstance(e, Exception):
                raise

    async def _new_call(self, request: VoiceRequest, asker: Asker) -> Conversation:
        # Who is in no channel is not known to discord.py.
        name = rooms.name_for(request.user_name or request.user_id)
        room_name = "" if request.channel_id else name
        session, deed = await database_sync_to_async(_requested)(request, room_name)
        return self._conversation(session, deed, asked_at=asker.asked_at)

    def _conversation(
        self, session: VoiceSession, deed: DiscordCall, *, asked_at: float
    ) -> Conversation:
        return Conversation(
            self._shared,
            session,
            deed,
            asked_at=asked_at,
            ended=self._end_soon,
            closed=self._closed,
            deaf=lambda call: self._endings.warn(call, Notice.PANEL_DEGRADED),
            clock=self._clock,
        )

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
            await self._begin(call, now=before)
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
            await self._begin(call)
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

    async def _begin(self, call: Conversation, *, now: datetime | None = None) -> None:
        """Time zero. Where it has begun already, somebody was faster; where it is over,
        there is nothing to stay for."""
        now = now or timezone.now()
        begun, session = await database_sync_to_async(_activated)(call.session.pk, now)
        if begun:
            await self._go_on(call, session)
        elif session.state not in queries.ALIVE:
            self._end_soon(call, "ended")

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
            self._end_soon(call, "left")

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
        self._serving.look()

    # --- after a start ----------------------------------------------------------------

    async def resume(self, session: VoiceSession, deed: DiscordCall) -> bool:
        """Go on with a call of a process that died, if its people are still there;
        otherwise end it. Whether it goes on."""
        if self._is_closing:
            return False  # another start's
        call = self._conversation(session, deed, asked_at=self._clock())
        self._calls[call.guild_id] = call
        if deed.panel_id:
            self._endings.shown(call, Panel(self._client, session, deed))
        try:
            # Whom the dead process held: no end is to wait for them.
            await database_sync_to_async(participants.leave_all)(session.pk)
            await call.works.hold(self._resume(call, session))
        except (VoiceError, *FAULTS) as e:
            log.info("discord.not_resumed", session=session.pk, code=fault(e).code)
            await self.end(call, "recovered")
            return False
        except Exception:
            # A fault of ours, with this one call: it must not stay half-open.
            log.exception("discord.not_resumed", session=session.pk)
            await self.end(call, "crashed")
            return False
        return True

    async def conclude(self, session: VoiceSession, deed: DiscordCall) -> None:
        """Say what a process that died did not say any more of a call of its own: that
        it has ended."""
        call = self._conversation(session, deed, asked_at=self._clock())
        await self._endings.conclude(call, Panel(self._client, session, deed))

    async def _resume(self, call: Conversation, session: VoiceSession) -> None:
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
            await self._begin(call)


class AlreadyHereError(VoiceError):
    def __init__(self, channel_id: int) -> None:
        super().__init__("already_here", "It is recorded already.", status=409)
        self.channel_id = channel_id


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


def _activated(session_id: int, now: datetime) -> tuple[bool, VoiceSession]:
    begun = lifecycle.advance(session_id, State.ACTIVE, now=now)
    return begun, VoiceSession.objects.get(pk=session_id)


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
