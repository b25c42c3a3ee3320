"""A member of the script, with verbs: joins, says, types, presses, leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fakecord.entities import Channel, Member
from fakecord.gateway import Gateway
from fakecord.interactions import Barred, Interaction, Interactions
from fakecord.mail import Message
from fakecord.permissions import VIEW
from fakecord.room import Room
from fakecord.voice import Heard, Voice
from fakecord.voicegateway import VoiceGateway
from fakecord.world import World


class Person:
    """Somebody in a guild who is not the bot. In voice it is a real DAVE session."""

    def __init__(
        self,
        member: Member,
        *,
        world: World,
        gateway: Gateway,
        interactions: Interactions,
        voices: VoiceGateway,
        latency_s: float,
    ) -> None:
        self.member = member
        self.latency_s = latency_s
        """What voice, and all that is said about it, takes to it; 0 wins races against
        a bot."""
        self.commits = True
        """False: a bot's commit always wins."""
        self.listens = True
        """False: it opens nothing of what others say, as suits a large crowd."""
        self.locale = "en-US"
        """The language of its client; interactions carry it."""
        self.voice: Voice | None = None
        self._world = world
        self._gateway = gateway
        self._interactions = interactions
        self._voices = voices

    @property
    def id(self) -> int:
        return self.member.id

    @property
    def heard(self) -> list[Heard]:
        """What others have said in the call it is in."""
        assert self.voice is not None, "not in voice"
        return self.voice.heard

    # voice

    def joins(self, channel: Channel, *, mute: bool = False) -> None:
        """Go into a voice channel, from another one if need be.

        Raises Barred where the channel is hidden from it, closed to it, or full.
        """
        if not self._world.join(self.member, channel, self_mute=mute):
            raise Barred(f"{self.member.shown_as} does not get into {channel.name}")

    def sees(self, channel: Channel) -> bool:
        """Whether the channel stands in its list at all."""
        return bool(self._allowed(channel) & VIEW)

    def can_join(self, channel: Channel) -> bool:
        """Whether it would get in now."""
        return self._world.admits(self.member, channel)

    def leaves(self) -> None:
        self._world.leave(self.member)

    @property
    def channel(self) -> Channel | None:
        """The voice channel it is in."""
        voice = self.member.voice
        return None if voice is None else self._world.channel(voice.channel_id)

    def followed(self, room: Room | None) -> None:
        """The server takes its voice where the world says it is."""
        if self.voice is not None:
            self.voice.exit()
        self.voice = None
        if room is not None:
            self.voice = Voice(
                self.id,
                room,
                latency_s=self.latency_s,
                commits=self.commits,
                listens=self.listens,
            )
            self.voice.enter()

    async def secured(self, *, with_whom: int, within_s: float = 5.0) -> None:
        """Wait until its group holds that user, so that both can hear each other."""
        until = time.monotonic() + within_s
        while not self._shares_a_group(with_whom):
            assert time.monotonic() < until, f"no group within {within_s} s"
            await asyncio.sleep(0.01)

    def _shares_a_group(self, user_id: int) -> bool:
        voice = self.voice
        if voice is None or voice.session is None or not voice.ready:
            return False
        return str(user_id) in voice.session.get_user_ids()

    async def says(self, pcm: NDArray[np.int16], **how: Any) -> None:
        """Speak int16 at 48 kHz, mono; `how` as `Voice.send` takes it.

        In real time, or with `fast=True` as fast as it is read.
        """
        assert self.voice is not None, "not in voice"
        await self.voice.say(pcm, **how)

    async def sends(self, packets: Sequence[bytes], **how: Any) -> None:
        """Speak ready Opus packets in real time."""
        assert self.voice is not None, "not in voice"
        await self.voice.send(packets, **how)

    # text

    async def types(
        self, channel: Channel, words: str, /, *, within_s: float = 3.0, **options: Any
    ) -> Interaction:
        """Type a slash command, and wait for the bot to answer at all.

        Raises Barred where the command is not shown to it, TimeoutError where the bot
        does not answer.
        """
        made = self._interactions.typed(
            self.member, channel, words, options, locale=self.locale
        )
        return await self._tell(made, within_s=within_s)

    async def presses(
        self, message: Message, custom_id: str, *, within_s: float = 3.0
    ) -> Interaction:
        """Press a button under a message, and wait for the bot to answer at all.

        Raises Barred where there is no such button any more.
        """
        made = self._interactions.pressed(
            self.member, message, custom_id, locale=self.locale
        )
        return await self._tell(made, within_s=within_s)

    def writes(self, channel: Channel, text: str) -> Message:
        """An ordinary message."""
        return self._world.mail.post(channel.id, self.member.user, {"content": text})

    def refuses_letters(self) -> None:
        """From now on the bot may not write to it alone."""
        self._world.mail.refusing.add(self.id)

    @property
    def letters(self) -> list[Message]:
        """What the bot has written to it alone."""
        return self._world.mail.posted(self._world.mail.open_dm(self.member.user))

    async def _tell(self, made: Interaction, *, within_s: float) -> Interaction:
        guild = self._world.guilds[self.member.guild_id]
        bot = self._world.me(guild.id)
        data = made.json(
            application=bot.id,
            permissions=self._allowed(made.channel),
            bot_permissions=guild.permissions(bot, made.channel),
        )
        self._gateway.dispatch("INTERACTION_CREATE", data)
        return await made.answered(within_s=within_s)

    def _allowed(self, channel: Channel) -> int:
        guild = self._world.guilds[self.member.guild_id]
        return guild.permissions(self.member, channel)
