"""Whoever asked for a call, and how they are told what becomes of it.

First in the answer to their command; once that is too old, or the bot has started anew
since, in the text channel.
"""

from __future__ import annotations

import discord
import structlog

from bot.discord.answer import Answer
from bot.discord.excuses import told
from bot.discord.faults import FAULTS
from bot.discord.notices import Notice, text
from bot.discord.undo import said
from sessions.errors import VoiceError
from sessions.models import VoiceRequest

log = structlog.get_logger(__name__)


class Asker:
    """Of one request."""

    def __init__(
        self,
        client: discord.Client,
        request: VoiceRequest,
        *,
        asked_at: float,
        answer: Answer | None = None,
    ) -> None:
        """`asked_at`: on the operator's clock."""
        self.request = request
        self.asked_at = asked_at
        self.place = 0
        """In the queue, as they were told it."""
        self._client = client
        self._answer = answer

    async def tell(self, notice: Notice, **values: object) -> None:
        """Never raises: nothing of the call depends on it."""
        content = text(notice, self.request.locale, **values)
        try:
            if self._answer is None or not await self._answer.show(content):
                await self._post(content)
        except FAULTS as e:
            log.info("discord.not_told", request=self.request.pk, why=said(e))

    async def fail(self, error: VoiceError | None) -> None:
        """Say why nothing came of it; None: a fault of ours."""
        notice, values = told(error, locale=self.request.locale)
        values.setdefault("channel", f"<#{self.request.channel_id}>")
        await self.tell(notice, **values)

    async def _post(self, content: str) -> None:
        channel = self._text_channel()
        if channel is None:
            return
        user = discord.Object(int(self.request.user_id))
        await channel.send(
            f"<@{user.id}> {content}",
            allowed_mentions=discord.AllowedMentions(
                everyone=False, roles=False, users=[user]
            ),
        )

    def _text_channel(self) -> discord.abc.Messageable | None:
        if not self.request.text_channel_id:
            return None
        found = self._client.get_channel(int(self.request.text_channel_id))
        return found if isinstance(found, discord.abc.Messageable) else None
