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
from fakecord.interactions import Interaction, Interactions
from fakecord.mail import Message
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
        """What the voice gateway's messages take to it; 0 wins races against a bot."""
        self.commits = True
        """False: a bot's commit always wins."""
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

    def joins(self, channel: Channel) -> None:
        """Go into a voice channel, from another one if need be."""
        inside = self._world.join(self.member, channel)
        assert inside, f"{channel.name} is full"

    def leaves(self) -> None:
        self._world.leave(self.member)

    def followed(self, room: Room | None) -> None:
        """The server takes its voice where the world says it is."""
        if self.voice is not None:
            self.voice.exit()
        self.voice = None
        if room is not None:
            self.voice = Voice(
                self.id, room, latency_s=self.latency_s, commits=self.commits
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
        """Speak 48 kHz mono in real time; `how` as `Voice.send` takes it."""
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
        """Type a slash command, and wait for the bot to answer at all."""
        made = self._interactions.typed(self.member, channel, words, options)
        return await self._tell(made, within_s=within_s)

    async def presses(
        self, message: Message, custom_id: str, *, within_s: float = 3.0
    ) -> Interaction:
        """Press a button under a message, and wait for the bot to answer at all."""
        made = self._interactions.pressed(self.member, message, custom_id)
        return await self._tell(made, within_s=within_s)

    def writes(self, channel: Channel, text: str) -> Message:
        """An ordinary message."""
        return self._world.mail.post(channel.id, self.member.user, {"content": text})

    @property
    def letters(self) -> list[Message]:
        """What the bot has written to it alone."""
        return self._world.mail.posted(self._world.mail.open_dm(self.member.user))

    async def _tell(self, made: Interaction, *, within_s: float) -> Interaction:
        guild = self._world.guilds[self.member.guild_id]
        bot = self._world.me(guild.id)
        data = made.json(
            application=bot.id,
            permissions=guild.permissions(self.member),
            bot_permissions=guild.permissions(bot),
        )
        self._gateway.dispatch("INTERACTION_CREATE", data)
        return await made.answered(within_s=within_s)
