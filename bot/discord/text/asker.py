"""Whoever asked for a call, and how they are told what becomes of it.

First in the answer to their command; once that is too old, or the bot has started anew
since, in the text channel.
"""

from __future__ import annotations

import asyncio

import discord
import structlog

from bot.discord.faults import said
from bot.discord.notices import Notice, text
from bot.discord.text.answer import Answer, call_out
from bot.discord.text.excuses import told
from sessions.background import spawn
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
        self._newest = ""
        self._telling = asyncio.Lock()

    def tell(self, notice: Notice, **values: object) -> asyncio.Task[None]:
        """Begin to tell them; what was to be told before and was not is left out. The
        task never fails: nothing of the call depends on it, and no call waits for it.
        """
        self._newest = content = text(notice, self.request.locale, **values)
        return spawn(self._tell(content), name="discord.tell")

    def fail(self, error: VoiceError | None) -> asyncio.Task[None]:
        """Say why nothing came of it, as `tell` does; None: a fault of ours."""
        notice, values = told(error, locale=self.request.locale)
        values.setdefault("channel", f"<#{self.request.channel_id}>")
        return self.tell(notice, **values)

    async def _tell(self, content: str) -> None:
        async with self._telling:
            if content != self._newest:
                return
            if self._answer is not None:
                await self._answer.get_across(content)
            else:
                await self._post(content)

    async def _post(self, content: str) -> None:
        channel = self._text_channel()
        if channel is None:
            return
        try:
            await call_out(channel, content, user_id=int(self.request.user_id))
        except Exception as e:
            # Also what discord.py raises when it is being closed.
            log.info("discord.not_told", request=self.request.pk, why=said(e))

    def _text_channel(self) -> discord.abc.Messageable | None:
        if not self.request.text_channel_id:
            return None
        found = self._client.get_channel(int(self.request.text_channel_id))
        return found if isinstance(found, discord.abc.Messageable) else None
