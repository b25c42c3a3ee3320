"""The operator: which calls this process has, one to a guild, and what becomes of them.

A request comes out of the queue; a room is made for it, or its channel joined
(`openings`); when everybody has gone, or somebody says so, all of it is undone in the
order of the design (`endings`). Whatever happens together, the session's row decides
who was first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import discord
import structlog
from channels.db import database_sync_to_async
from django.conf import settings

from bot.discord.conversation import Conversation, Shared, Voice
from bot.discord.endings import Endings
from bot.discord.faults import FAULTS, fault
from bot.discord.guild import presence, rights, rooms
from bot.discord.notices import Notice
from bot.discord.openings import Openings
from bot.discord.panel import Panel
from bot.discord.serving import Serving
from bot.discord.text.answer import Answer
from bot.discord.unbroken import insist
from bot.models import DiscordCall
from sessions import participants, queue
from sessions.errors import VoiceError
from sessions.models import Source, VoiceSession

if TYPE_CHECKING:
    from discord import Member, VoiceState

log = structlog.get_logger(__name__)

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
        self._endings = Endings(freed=self._freed)
        self._openings = Openings(
            shared.client,
            make=self._make,
            endings=self._endings,
            freed=self._freed,
        )
        self._serving = Serving(
            shared.client,
            holder=holder,
            serve=self._openings.serve,
            is_free=lambda guild_id: guild_id not in self._calls,
            clock=clock,
        )

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

    @property
    def active(self) -> int:
        return len(self._calls)

    def drain(self) -> None:
        """Begin no more calls; those that run go on."""
        self._serving.drain()

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
            if not member.bot:
                call.note_unrecorded(member.id)
            if not member.bot and (panel := self._endings.panel_of(call)):
                call.works.start(panel.greet(member), name="discord.greet")
        elif call.is_waiting and member.id == call.user_id:
            call.works.depend(self._openings.begin(call), name="discord.begin")

    def _went(self, call: Conversation, member: Member) -> None:
        if not call.is_begun:
            return
        if call.people():
            call.left(member.id)
        else:
            self._endings.soon(call, "left")

    def _closed(self, call: Conversation) -> None:
        """Nothing of it is left here, but for its last lines."""
        if self._calls.get(call.guild_id) is call:
            del self._calls[call.guild_id]
        self._endings.closed(call)
        self._freed()

    def _freed(self) -> None:
        self._serving.look()

    # --- which calls there are --------------------------------------------------------

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

    def _conversation(
        self, session: VoiceSession, deed: DiscordCall, *, asked_at: float
    ) -> Conversation:
        return Conversation(
            self._shared,
            session,
            deed,
            asked_at=asked_at,
            ended=self._endings.soon,
            closed=self._closed,
            deaf=lambda call: self._endings.warn(call, Notice.PANEL_DEGRADED),
            clock=self._clock,
        )

    def _make(
        self, session: VoiceSession, deed: DiscordCall, *, asked_at: float
    ) -> Conversation:
        call = self._conversation(session, deed, asked_at=asked_at)
        self._calls[call.guild_id] = call
        return call

    # --- after a start ----------------------------------------------------------------

    async def resume(self, session: VoiceSession, deed: DiscordCall) -> bool:
        """Go on with a call of a process that died, if its people are still there;
        otherwise end it. Whether it goes on."""
        if self._is_closing:
            return False  # another start's
        call = self._make(session, deed, asked_at=self._clock())
        if deed.panel_id:
            self._endings.shown(call, Panel(self._client, session, deed))
        try:
            # Whom the dead process held: no end is to wait for them.
            leave_all = database_sync_to_async(participants.leave_all)
            await insist(lambda: leave_all(session.pk))
            await call.works.hold(self._openings.go_on(call, session))
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


class AlreadyHereError(VoiceError):
    def __init__(self, channel_id: int) -> None:
        super().__init__("already_here", "It is recorded already.", status=409)
        self.channel_id = channel_id
