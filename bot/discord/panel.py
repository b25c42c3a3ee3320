"""The panel: the message that tells a text channel of a running call, with buttons to
stop it and to opt out. Edited when it ends.

It only shows: no call waits for it, or ends by it. What its buttons do is `buttons`'.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import discord
import structlog
from channels.db import database_sync_to_async
from discord.utils import escape_markdown, format_dt
from django.utils import timezone

from bot.discord.faults import FAULTS, is_final, said
from bot.discord.guild import deeds
from bot.discord.notices import Notice, reason, text
from bot.discord.retained import retained
from bot.discord.text.buttons import OptOutButton, StopButton
from sessions import addresses
from sessions.background import spawn

if TYPE_CHECKING:
    from bot.discord.conversation import Conversation
    from bot.models import DiscordCall
    from sessions.models import VoiceSession

log = structlog.get_logger(__name__)

WITHIN_S = 10.0
AGAIN_S = (2.0, 10.0, 30.0, 60.0)
"""Until Discord is asked again to show it."""
RED, GREY = 0xD83C3E, 0x747F8D


class Panel:
    """Of one call, in the text channel it was asked for in; in its own room's where
    there is none."""

    def __init__(
        self, client: discord.Client, session: VoiceSession, call: DiscordCall
    ) -> None:
        self._client = client
        self._session, self._call = session, call
        # The room's name is gone from the call of a process that died; not its title.
        is_room = session.title.startswith(deeds.ROOM_TITLE)
        self._is_private = is_room or bool(call.room_name)
        self._message: discord.Message | discord.PartialMessage | None = None
        self._greeted: set[int] = set()
        self._posting: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    def start(self, conversation: Conversation) -> None:
        """Show it soon, or find it again. Never fails: nothing depends on it."""
        self._greeted.update(conversation.people())
        if self._call.panel_id:
            self._message = self._posted()
        else:
            self._posting = spawn(self._post(conversation), name="discord.panel")

    async def greet(self, member: discord.Member) -> None:
        """Whoever joins later is told, once."""
        channel = self._channel()
        if member.id in self._greeted or channel is None:
            return
        self._greeted.add(member.id)
        record = self._session.record
        notice = Notice.JOINED_NOTICE if record else Notice.JOINED_UNRECORDED
        content = text(notice, self._call.locale, who=member.mention)
        try:
            async with asyncio.timeout(WITHIN_S):
                await channel.send(
                    content, allowed_mentions=discord.AllowedMentions(users=[member])
                )
        except FAULTS as e:
            self._greeted.discard(member.id)  # the next time they come
            log.info("discord.not_greeted", session=self._session.pk, why=said(e))

    async def warn(self, notice: Notice) -> None:
        """Something is wrong with what is heard."""
        channel = self._channel()
        if channel is None:
            return
        try:
            async with asyncio.timeout(WITHIN_S):
                await channel.send(self._text(notice))
        except FAULTS as e:
            log.info("discord.not_warned", session=self._session.pk, why=said(e))

    async def close(self, why: str) -> bool:
        """It is over, and why; the buttons go. False: Discord could not be told, and
        has to be asked again."""
        self._over.set()
        if self._posting is not None:
            await asyncio.wait([self._posting], timeout=WITHIN_S)
        if self._message is None and not self._call.panel_id:
            await self._find()
        is_closed = await self._is_ended(why)
        await database_sync_to_async(deeds.panel_tried)(self._call.pk, done=is_closed)
        return is_closed

    async def _is_ended(self, why: str) -> bool:
        """Or that it can never be."""
        message = self._message or self._posted()
        if message is None:
            guild = self._client.get_guild(int(self._call.guild_id))
            return guild is None or not guild.unavailable
        try:
            async with asyncio.timeout(WITHIN_S):
                await message.edit(embed=self._ended(why), view=None)
        except FAULTS as e:
            log.info("discord.panel_left", session=self._session.pk, why=said(e))
            return is_final(e)
        return True

    async def _post(self, conversation: Conversation) -> None:
        """Until it is shown, Discord will not have it, or all is over."""
        for pause_s in (0.0, *AGAIN_S):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._over.wait()
            if self._over.is_set() or await self._is_sent(conversation):
                return

    async def _is_sent(self, conversation: Conversation) -> bool:
        """Or that it is no use to try again."""
        channel = self._channel()
        if channel is None:
            return True
        if await self._find():
            return True
        try:
            async with asyncio.timeout(WITHIN_S):
                message = await channel.send(
                    embed=self._running(conversation),
                    view=self._buttons(),
                    allowed_mentions=discord.AllowedMentions.none(),
                )
        except FAULTS as e:
            log.info("discord.no_panel", session=self._session.pk, why=said(e))
            return is_final(e)
        await self._keep(message)
        return True

    async def _find(self) -> bool:
        """Where Discord posted it without our hearing of it."""
        if (message := self._surfaced()) is not None:
            await self._keep(message)
        return message is not None

    async def _keep(self, message: discord.Message) -> None:
        self._message = message
        self._call.panel_id = str(message.id)
        posted = database_sync_to_async(deeds.panel_posted)
        await posted(self._call.pk, panel_id=message.id)

    def _surfaced(self) -> discord.Message | None:
        """As the gateway tells of it: the session is in its buttons."""
        ours = f"parley:stop:{self._session.public_id}"
        for message in reversed(self._client.cached_messages):
            for row in message.components:
                for item in getattr(row, "children", ()):
                    if getattr(item, "custom_id", None) == ours:
                        return message
        return None

    def _posted(self) -> discord.PartialMessage | None:
        """As another process of ours has posted it."""
        channel = self._channel()
        if channel is None or not self._call.panel_id:
            return None
        return channel.get_partial_message(int(self._call.panel_id))

    def _running(self, conversation: Conversation) -> discord.Embed:
        session = self._session
        started_at = session.started_at or timezone.now()
        since = format_dt(started_at, "t")
        who = f"<@{session.user_id}>"
        if session.record:
            lines = [
                self._text(Notice.PANEL_RECORDED, since=since, who=who),
                retained(self._call.locale),
            ]
        else:
            lines = [
                self._text(Notice.PANEL_UNRECORDED),
                self._text(Notice.PANEL_SINCE, since=since, who=who),
            ]
        link = conversation.link
        code = link.client.voice_privacy_code if link and link.client else None
        if code:
            lines.append(self._text(Notice.PANEL_ENCRYPTED, code=code))
        title = Notice.PANEL_TITLE if session.record else Notice.PANEL_TITLE_UNRECORDED
        return discord.Embed(
            title=self._text(title), description="\n".join(lines), colour=RED
        )

    def _ended(self, why: str) -> discord.Embed:
        locale = self._call.locale
        when = format_dt(self._session.ended_at or timezone.now(), "R")
        told = escape_markdown(reason(why, locale))
        lines = [self._text(Notice.PANEL_ENDED, when=when, reason=told)]
        # Whoever has the link may read it: nobody else is to read a private room.
        if self._session.record and self._session.started_at and not self._is_private:
            lines.append(
                self._text(Notice.PANEL_PAGE, url=addresses.page_of(self._session))
            )
        title = self._text(Notice.PANEL_TITLE_ENDED)
        return discord.Embed(title=title, description="\n".join(lines), colour=GREY)

    def _buttons(self) -> discord.ui.View:
        view = discord.ui.View(timeout=None)
        public_id = str(self._session.public_id)
        view.add_item(StopButton(public_id, label=self._text(Notice.PANEL_STOP)))
        view.add_item(OptOutButton(public_id, label=self._text(Notice.PANEL_OPTOUT)))
        return view

    def _text(self, notice: Notice, **values: object) -> str:
        return text(notice, self._call.locale, **values)

    def _channel(self) -> discord.TextChannel | discord.VoiceChannel | None:
        ids = (self._call.text_channel_id, self._session.channel_id)
        for one in filter(None, ids):
            found = self._client.get_channel(int(one))
            if isinstance(found, (discord.TextChannel, discord.VoiceChannel)):
                return found
        return None


async def close_left(client: discord.Client, call: DiscordCall) -> bool:
    """The panel of a call that has ended, whatever process showed it; whether it says
    so by now."""
    session = call.session
    assert session is not None  # those without are not among them
    return await Panel(client, session, call).close(
        session.end_reason or session.failure
    )
