"""Our connection in a call of the test Discord, and what it has heard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import discord
import numpy as np
from fakecord.entities import Channel
from fakecord.people import Person
from fakecord.rtp import SILENCE, opus

from bot.discord.linking.connection import ListeningClient
from bot.discord.receive import Heard


def tone(number: int) -> list[bytes]:
    """A fifth of a second, each of another pitch."""
    at = np.arange(9_600)
    return opus((8_000 * np.sin(at / (10 + 5 * number))).astype(np.int16))


class Call:
    """What was heard in it, and the connection."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.refused: set[int] = set()
        self.client: ListeningClient

    def joined(self, client: discord.Client, channel: Any) -> ListeningClient:
        self.client = ListeningClient(
            client,
            channel,
            sink=self.heard.append,
            accepts=lambda user: user not in self.refused,
        )
        return self.client

    def said(self, person: Person) -> list[bytes]:
        """Without the silence behind it."""
        theirs = [one.opus for one in self.heard if one.user == person.id]
        return [packet for packet in theirs if packet != SILENCE]


@asynccontextmanager
async def listening(client: discord.Client, channel: Channel) -> AsyncIterator[Call]:
    call = Call()
    found: Any = client.get_channel(channel.id)
    await found.connect(cls=call.joined, reconnect=False, self_mute=True, timeout=10)
    try:
        yield call
    finally:
        if call.client.is_connected():
            await call.client.disconnect()
