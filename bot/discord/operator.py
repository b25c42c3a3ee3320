"""The operator: opens and ends the calls of this process, one to a guild.

A request comes out of the queue; a room is made for it, or its channel joined; when
everybody has gone, or somebody says so, all of it is undone in the order of the
design. Whatever happens together, the session's row decides who was first.
"""

from __future__ import annotations

import asyncio
import contextlib
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

from bot.discord import deeds, metrics, presence, rights, rooms
from bot.discord.answer import Answer
from bot.discord.asker import Asker
from bot.discord.conversation import Conversation, Shared, Voice
from bot.discord.faults import FAULTS, fault
from bot.discord.notices import Notice, text
from bot.discord.panel import Panel
from bot.models import DiscordCall
from sessions import finish, lifecycle, opening, queue
from sessions.background import spawn
from sessions.errors import VoiceError
from sessions.models import Source, State, VoiceRequest, VoiceSession

if TYPE_CHECKING:
    from discord import Member, VoiceState

log = structlog.get_logger(__name__)

LEASE_S = 30.0
"""A slot whose process died comes back after so long."""
LOOK_EVERY_S = 2.0
"""For slots that other processes freed; renews ours on the way."""
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
        self._askers: dict[int, Asker] = {}
        self._panels: dict[int, Panel] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._epilogues: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Event()
        self._queueing = asyncio.Lock()
        self._is_closing = False
        self._reasons: dict[int, str] = {}

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
        asked_at = self._clock()
        async with self._queueing:
            request = await database_sync_to_async(queue.ask)(
                source=Source.DISCORD,
                guild_id=str(guild.id),
                user_id=str(user.id),
                user_name=user.display_name,
                channel_id=str(channel.id) if channel else "",
                text_channel_id=str(text_channel_id),
                language=language,
                record=record,
                locale=locale,
            )
            asker = Asker(self._client, request, answer=answer, asked_at=asked_at)
            self._askers[request.pk] = asker
            await self._serve_next()
        if request.pk in self._askers:
            self._turn.set()  # who waits is told their place

    async def end(self, call: Conversation, reason: str) -> bool:
        """End a call; True for the one who did it. Returns when all is written down,
        and undone."""
        self._reasons.setdefault(call.session.pk, reason)
        session_id = call.session.pk
        try:
            if await finish.end(session_id, reason=reason):
                return True
            failed = database_sync_to_async(_fail)
            if not await failed(session_id, reason=reason):
                await call.close()  # somebody else ends it right now
                return False
        except ExceptionGroup:
            log.exception("discord.end_failed", session=session_id)
            return True
        await call.close()
        await database_sync_to_async(queue.release)(session_id)
        self._turn.set()
        return True

    # --- what Discord tells -----------------------------------------------------------

    def voice_state_changed(
        self, member: Member, before: VoiceState, after: VoiceState
    ) -> None:
        """Somebody came, went, or changed otherwise."""
        call = self._calls.get(member.guild.id)
        if call is None or before.channel == after.channel:
            return
        if member.id == self._client.user.id if self._client.user else False:
            if after.channel is not None and call.is_begun:
                call.moved(after.channel.id)
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
        if call is not None and call.link and call.link.channel_id == channel.id:
            self._end_soon(call, "channel_deleted")

    def guild_removed(self, guild: discord.Guild) -> None:
        if (call := self._calls.get(guild.id)) is not None:
            self._end_soon(call, "guild_removed")

    def gateway_changed(self) -> None:
        """Ready, or resumed: discord.py may have forgotten our voice clients."""
        for call in self._calls.values():
            if call.link is not None:
                call.link.look()
        self._turn.set()

    # --- the queue --------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the queue until cancelled."""
        while True:
            try:
                await database_sync_to_async(self._keep_leases)()
                async with self._queueing:
                    await self._serve_next()
                    await self._show_places()
            except Exception:
                # Mostly a database that is away: it is asked again.
                log.warning("discord.queue_unread", exc_info=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._turn.wait()
            self._turn.clear()

    async def shut_down(self) -> None:
        """End every call in order; who waits goes on waiting, in the database."""
        self._is_closing = True
        for task in list(self._serving):
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving, timeout=END_WITHIN_S)
        ends = [self.end(call, "shut_down") for call in self.calls]
        await asyncio.gather(*ends, return_exceptions=True)
        for task in list(self._epilogues):
            task.cancel()
        if self._epilogues:
            await asyncio.wait(self._epilogues, timeout=END_WITHIN_S)

    def _keep_leases(self) -> None:
        queue.renew(self.holder, lease_s=LEASE_S)
        queue.put_back_lost()

    async def _serve_next(self) -> None:
        take = database_sync_to_async(queue.take_next)
        while not self._is_closing:
            request = await take(
                [str(guild.id) for guild in self._client.guilds],
                holder=self.holder,
                most=settings.VOICE_MAX_ACTIVE,
                lease_s=LEASE_S,
            )
            if request is None:
                return
            asker = self._askers.pop(request.pk, None)
            asker = asker or Asker(self._client, request, asked_at=self._clock())
            task = spawn(self._serve(request, asker), name=f"serve {request.pk}")
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _show_places(self) -> None:
        """Who waits sees their place move."""
        guilds = [str(guild.id) for guild in self._client.guilds]
        places = await database_sync_to_async(queue.places)(guilds)
        for request_id, place in places.items():
            asker = self._askers.get(request_id)
            if asker is not None and asker.place != place:
                asker.place = place
                await asker.tell(Notice.ROOM_WAITING, place=place)

    # --- how a call begins ------------------------------------------------------------

    def _check(self, guild: discord.Guild, channel: Voice | None) -> None:
        if not settings.ENABLE_VOICE_FEATURES:
            raise VoiceError("disabled", "Voice is switched off.", status=403)
        me = guild.me
        if channel is None:
            rooms.require_rights(guild)
        else:
            rights.require(channel.permissions_for(me), *rights.HERE)
            if (call := self._calls.get(guild.id)) and call.channel == channel:
                raise AlreadyHereError(channel.id)
        if settings.VOICE_REQUIRE_NICKNAME and not me.guild_permissions.change_nickname:
            raise presence.NicknameRefusedError

    async def _serve(self, request: VoiceRequest, asker: Asker) -> None:
        """From a slot in the queue to a call that runs, or to none at all."""
        call = None
        try:
            guild = self._client.get_guild(int(request.guild_id))
            if guild is None:
                raise VoiceError("not_in_guild", "The bot has left the server.")
            call = await self._new_call(request, asker)
            self._calls[guild.id] = call
            await self._open(call, guild, asker)
        except BaseException as e:
            # Also when cancelled: nothing half-made may stay.
            await asyncio.shield(self._give_up(request, call, asker, e))
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
            clock=self._clock,
        )

    async def _open(
        self, call: Conversation, guild: discord.Guild, asker: Asker
    ) -> None:
        await self._be_seen(guild, call.call)
        if call.is_room:
            channel = await self._make_room(call, guild)
        else:
            channel = _channel_of(guild, int(call.session.channel_id))
        before = timezone.now()
        await call.join(channel)
        if not call.is_room:
            await self._begin(call, now=before)
            await asker.tell(Notice.RECORD_STARTED, channel=channel.mention)
            return
        if not await database_sync_to_async(lifecycle.advance)(
            call.session.pk, State.WAITING
        ):
            raise VoiceError("ended", "It ended before it began.")
        call.wait_for_user(lambda: self._end_soon(call, "join_timeout"))
        seconds = round(settings.VOICE_TIMEOUT)
        if call.user_id in channel.voice_states:
            await self._begin(call)
        await asker.tell(Notice.ROOM_READY, channel=channel.mention, seconds=seconds)

    async def resume(self, session: VoiceSession, deed: DiscordCall) -> bool:
        """Go on with a call of a process that died, if its people are still there;
        otherwise end it. Whether it goes on."""
        call = self._conversation(session, deed, asked_at=self._clock())
        guild = self._client.get_guild(call.guild_id)
        channel = guild.get_channel(int(session.channel_id or 0)) if guild else None
        self._calls[call.guild_id] = call
        try:
            if guild is None or not isinstance(channel, Voice):
                raise VoiceError("channel_gone", "The channel is no more.")
            if not _is_peopled(channel):
                raise VoiceError("left", "Everybody has left.")
            await self._be_seen(guild, deed)
            await call.join(channel)
            if session.state == State.ACTIVE:
                await self._go_on(call, session)
            else:
                await self._begin(call, now=timezone.now())
        except (VoiceError, *FAULTS) as e:
            log.info("discord.not_resumed", session=session.pk, code=fault(e).code)
            await self.end(call, "recovered")
            return False
        return True

    async def _be_seen(self, guild: discord.Guild, deed: DiscordCall) -> None:
        try:
            await presence.put_on_name(guild, deed)
        except presence.NicknameRefusedError:
            if settings.VOICE_REQUIRE_NICKNAME:
                raise

    async def _make_room(self, call: Conversation, guild: discord.Guild) -> Voice:
        member = guild.get_member(call.user_id) or discord.Object(
            call.user_id, type=discord.Member
        )
        room = await rooms.make(guild, member, name=call.call.room_name)
        call.call.room_id = str(room.id)
        call.session.channel_id = str(room.id)
        await database_sync_to_async(_room_made)(call.call, room.id)
        return room

    async def _begin(self, call: Conversation, *, now: datetime | None = None) -> None:
        """Time zero. Where it is over already, somebody was faster."""
        session = await database_sync_to_async(_activated)(call.session.pk, now)
        if session is not None and not call.is_closed:
            await self._go_on(call, session)

    async def _go_on(self, call: Conversation, session: VoiceSession) -> None:
        await call.begin(session)
        panel = Panel(self._client, session, call.call)
        self._panels[session.pk] = panel
        await panel.post(call)
        call.say(Notice.SPOKEN_START if session.record else Notice.SPOKEN_UNRECORDED)
        status = text(Notice.PANEL_TITLE, call.locale)
        if call.channel is not None:
            await presence.put_on_status(call.channel, call.call, text=status)
        if not call.people() and not call.is_closed:
            self._end_soon(call, "left")

    # --- who comes and goes -----------------------------------------------------------

    def _came(self, call: Conversation, member: Member) -> None:
        if not call.is_begun:
            if call.is_room and member.id == call.user_id:
                spawn(self._begin(call, now=timezone.now()), name="discord.begin")
        elif not member.bot and (panel := self._panels.get(call.session.pk)):
            spawn(panel.greet(member), name="discord.greet")

    def _went(self, call: Conversation, member: Member) -> None:
        if not call.is_begun:
            return
        if call.people():
            call.left(member.id)
        else:
            self._end_soon(call, "left")

    # --- how a call ends --------------------------------------------------------------

    def _end_soon(self, call: Conversation, reason: str) -> None:
        if not call.is_closed:
            spawn(self.end(call, reason), name=f"end {call.session.pk}")

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
        if call is None:
            give_back = database_sync_to_async(queue.give_back)
            await give_back(request.pk, attempt=request.attempts)
        else:
            await self.end(call, code)
        await asker.fail(found)
        self._turn.set()

    def _closed(self, call: Conversation) -> None:
        """Nothing of it is left here, but for its last lines."""
        if self._calls.get(call.guild_id) is call:
            del self._calls[call.guild_id]
        task = spawn(self._epilogue(call), name=f"epilogue {call.session.pk}")
        self._epilogues.add(task)
        task.add_done_callback(self._epilogues.discard)
        self._turn.set()

    async def _epilogue(self, call: Conversation) -> None:
        session = await database_sync_to_async(_ended)(call.session.pk)
        self._turn.set()
        reason = self._reasons.pop(call.session.pk, "")
        if session is not None:
            call.session = session
            reason = session.end_reason or session.failure or reason
        figures = call.figures(reason)
        path = settings.LOGS_DIR / "voice_metrics.jsonl"
        await asyncio.to_thread(metrics.write, path, figures)
        panel = self._panels.pop(call.session.pk, None)
        if panel is not None:
            await panel.close(reason)
        within_s = 0.0 if self._is_closing else None
        try:
            await (call.epilogue() if within_s is None else call.epilogue(within_s=0.0))
        except asyncio.CancelledError:
            await call.epilogue(within_s=0.0)
            raise


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
        raise VoiceError("ended", "The slot was lost.")
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


def _activated(session_id: int, now: datetime | None) -> VoiceSession | None:
    if not lifecycle.advance(session_id, State.ACTIVE, now=now):
        return None
    return VoiceSession.objects.get(pk=session_id)


def _fail(session_id: int, *, reason: str) -> bool:
    """One that never began, or True once; a session that is active is not failed."""
    with transaction.atomic():
        session = VoiceSession.objects.select_for_update().get(pk=session_id)
        if session.state not in (State.REQUESTED, State.WAITING):
            return False
        return lifecycle.advance(
            session_id, State.FAILED, reason=reason, failure=reason
        )


def _ended(session_id: int) -> VoiceSession | None:
    return VoiceSession.objects.filter(pk=session_id).first()


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
