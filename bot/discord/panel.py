"""The panel: the message that tells a text channel of a running call, with buttons to
stop it and to opt out. Edited when it ends.

It only shows; what its buttons do is `buttons`'.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import discord
import structlog
from channels.db import database_sync_to_async
from discord.utils import escape_markdown, format_dt
from django.utils import timezone

from bot.discord import deeds
from bot.discord.buttons import OptOutButton, StopButton
from bot.discord.faults import FAULTS
from bot.discord.notices import Notice, reason, text
from bot.discord.undo import said
from sessions import addresses

if TYPE_CHECKING:
    from bot.discord.conversation import Conversation
    from bot.models import DiscordCall
    from sessions.models import VoiceSession

log = structlog.get_logger(__name__)

WITHIN_S = 10.0
RED, GREY = 0xD83C3E, 0x747F8D


class Panel:
    """Of one call, in the text channel it was asked for in; in its own room's where
    there is none."""

    def __init__(
        self, client: discord.Client, session: VoiceSession, call: DiscordCall
    ) -> None:
        self._client = client
        self._session, self._call = session, call
        self._message: discord.Message | discord.PartialMessage | None = None
        self._greeted: set[int] = set()

    async def post(self, conversation: Conversation) -> None:
        """Show it, or find it again. Never raises: nothing depends on it."""
        self._greeted.update(conversation.people())
        channel = self._channel()
        if channel is None:
            return
        if self._call.panel_id:
            self._message = channel.get_partial_message(int(self._call.panel_id))
            return
        try:
            async with asyncio.timeout(WITHIN_S):
                self._message = await channel.send(
                    embed=self._running(conversation),
                    view=self._buttons(),
                    allowed_mentions=discord.AllowedMentions.none(),
                )
        except FAULTS as e:
            log.info("discord.no_panel", session=self._session.pk, why=said(e))
            return
        await database_sync_to_async(deeds.panel_posted)(
            self._call.pk, panel_id=self._message.id
        )

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
            log.info("discord.not_greeted", session=self._session.pk, why=said(e))

    async def close(self, why: str) -> None:
        """It is over, and why; the buttons go."""
        if self._message is None:
            return
        try:
            async with asyncio.timeout(WITHIN_S):
                await self._message.edit(embed=self._ended(why), view=None)
        except FAULTS as e:
            log.info("discord.panel_left", session=self._session.pk, why=said(e))

    def _running(self, conversation: Conversation) -> discord.Embed:
        session = self._session
        started_at = session.started_at or timezone.now()
        since = format_dt(started_at, "t")
        who = f"<@{session.user_id}>"
        if session.record:
            lines = [
                self._text(Notice.PANEL_RECORDED, since=since, who=who),
                self._text(Notice.PANEL_KEPT_FOREVER),
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
        if self._session.record and self._session.started_at:
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
