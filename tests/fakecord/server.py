"""The test Discord put together: one TLS port, one UDP port, and verbs for tests."""

from __future__ import annotations

import asyncio
from typing import Self, TypeVar

from aiohttp import TCPConnector, web
from aiohttp.test_utils import TestServer

from fakecord.certificate import certificate, serving
from fakecord.connector import CERTIFICATE, PORT, connector
from fakecord.entities import STAGE, Guild, Member
from fakecord.failures import Failure, Refusal, Way
from fakecord.gateway import Gateway, VoiceWish
from fakecord.interactions import Interactions
from fakecord.limits import Limit
from fakecord.moderators import Moderator
from fakecord.people import Person
from fakecord.permissions import ADMINISTRATOR
from fakecord.rest import Request, Rest
from fakecord.udp import Udp
from fakecord.voicegateway import VoiceGateway
from fakecord.world import Event, Moved, World

TOKEN = "fakecord.token"
UPLOAD_AT_MOST = 64 << 20
"""Bytes of one request; what Discord takes of each file, `forms` says."""
P = TypeVar("P", bound=Person)
ALLOCATION_S = 0.05
"""Until a moved bot hears of its new voice server. Where this comes together with the
end of the old connection, discord.py sleeps through it (`_wait_for_state`)."""


class FakeDiscord:
    """`async with FakeDiscord() as server:`; `server.connector()` is for the client."""

    def __init__(self, *, latency_s: float = 0.02) -> None:
        self.token = TOKEN
        self.latency_s = latency_s
        self.world = World()
        self.interactions = Interactions(self.world)
        self.rest = Rest(self.world, self.interactions, token=TOKEN)
        self.gateway = Gateway(
            self.world,
            token=TOKEN,
            latency_s=latency_s,
            on_voice=self._wish,
            on_gone=self._logged_out,
        )
        self.udp = Udp()
        self.voice = VoiceGateway(
            self.udp, latency_s=latency_s, version_of=self._dave_version
        )
        self.people: dict[int, Person] = {}
        self.errors: list[Exception] = []
        """Faults of the fake itself; they are raised at the end."""
        self.world.on_moved.append(self._moved)
        self.world.on_event.append(self._heed)
        app = web.Application(client_max_size=UPLOAD_AT_MOST)
        app.router.add_route("*", "/{path:.*}", self._enter)
        self._server = TestServer(app, scheme="https", handler_cancellation=True)

    async def __aenter__(self) -> Self:
        await self.udp.open()
        await self._server.start_server(ssl=serving())
        return self

    async def __aexit__(self, *error: object) -> None:
        for person in self.people.values():
            person.followed(None)
        self.gateway.cut()
        self.voice.cut()
        await self._server.close()
        self.udp.close()
        if self.errors:
            raise self.errors[0]

    @property
    def port(self) -> int:
        assert self._server.port is not None
        return self._server.port

    def connector(self) -> TCPConnector:
        return connector(self.port)

    @property
    def env(self) -> dict[str, str]:
        """For a bot in another process, which uses `connector.from_environment`."""
        return {PORT: str(self.port), CERTIFICATE: certificate().chain.decode()}

    def fail(
        self,
        method: str,
        pattern: str,
        *,
        status: int = 500,
        code: int = 0,
        times: int = 1,
        retry_after_s: float | None = None,
        way: Way = "answer",
        after_s: float = 0.0,
        everywhere: bool = False,
        banned: bool = False,
    ) -> None:
        """Let the next `times` requests to such paths fail; `*` stands for anything.

        `after_s` passes until whatever happens happens. A 429 is for all routes where
        it is `everywhere`, and Cloudflare's, without Via, where the bot is `banned`.
        """
        refusal = Refusal(status, code, retry_after_s, banned, everywhere)
        failure = Failure(method, pattern, refusal, way, times, after_s)
        self.rest.failures.add(failure)

    def limit(
        self,
        method: str,
        pattern: str,
        *,
        count: int,
        per_s: float,
        hidden: bool = False,
    ) -> None:
        """Take only so many requests in each window of such buckets, then say 429.

        `hidden`: the headers do not announce it, as with new names of channels.
        """
        self.rest.limits.add(Limit(method, pattern, count, per_s, hidden))

    def mend(self) -> None:
        """All failures and limits that are still to come are off."""
        self.rest.failures.clear()
        self.rest.limits.clear()

    def asked(self, method: str, pattern: str) -> list[Request]:
        """The requests so far whose method and path fit."""
        return self.rest.asked(method, pattern)

    def person(self, guild: Guild, name: str) -> Person:
        """A new member of the guild, with a will of its own."""
        return self._live(Person, self.world.add_member(guild, name))

    def moderator(self, guild: Guild, name: str = "Moderator") -> Moderator:
        """A new member of the guild, who administrates it."""
        member = self.world.add_member(guild, name)
        role = self.world.add_role(guild, "Moderators", ADMINISTRATOR)
        self.world.give(member, role)
        return self._live(Moderator, member)

    def _live(self, kind: type[P], member: Member) -> P:
        made = kind(
            member,
            world=self.world,
            gateway=self.gateway,
            interactions=self.interactions,
            voices=self.voice,
            latency_s=self.latency_s,
        )
        self.people[made.id] = made
        return made

    def change_voice_server(self, guild: Guild) -> None:
        """The call goes over to another server: VOICE_SERVER_UPDATE out of the blue."""
        voice = self.world.me(guild.id).voice
        assert voice is not None, "the bot is not in voice"
        self._send_server(guild.id, voice.channel_id, voice.session_id)

    def restart_voice(self, guild: Guild, *, code: int | None = None) -> None:
        """The guild's voice server goes down, with all connections to it, and comes up.

        They break without a word, or are closed with this code. The bot is told the
        new server a moment later, if it is still in voice then.
        """
        if code is None:
            self.voice.cut(guild_id=guild.id)
        else:
            self.voice.close(code, guild_id=guild.id)
        self.voice.void(guild.id)
        loop = asyncio.get_running_loop()
        loop.call_later(ALLOCATION_S, self._send_server_again, guild)

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._serve(request)
        except ConnectionError:
            raise  # the client has gone: nobody is left to be answered
        except Exception as error:  # a fault of the fake: the test has to fail by it
            self.errors.append(error)
            raise

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        host = request.host.partition(":")[0]
        if host == "gateway.discord.gg":
            return await self.gateway.serve(request)
        if host.endswith(".discord.media"):
            return await self.voice.serve(request)
        if host == "cdn.discordapp.com":
            return await self.rest.serve_file(request)
        return await self.rest.serve(request)

    def _dave_version(self, channel_id: int) -> int:
        channel = self.world.channel(channel_id)
        return 0 if channel is None or channel.type == STAGE else 1

    def _wish(self, wish: VoiceWish) -> None:
        """The bot wants to be somewhere else, or otherwise."""
        if wish.guild_id not in self.world.guilds:
            return  # it has not heard yet that it was thrown out
        me = self.world.me(wish.guild_id)
        if wish.channel_id is None:
            self.world.leave(me)
            return
        channel = self.world.channel(wish.channel_id)
        if channel is None or not self.world.join(
            me,
            channel,
            session_id=wish.session_id,
            self_mute=wish.self_mute,
            self_deaf=wish.self_deaf,
        ):
            return  # Discord says nothing at all
        there = self.voice.live(channel.id)
        if not any(one.session_id == wish.session_id for one in there):
            self._send_server(wish.guild_id, channel.id, wish.session_id)

    def _send_server(self, guild_id: int, channel_id: int, session_id: str) -> None:
        allowed = self.voice.admit(guild_id, channel_id, session_id)
        endpoint = f"voice{len(self.voice.connections)}.discord.media:443"
        self.gateway.dispatch(
            "VOICE_SERVER_UPDATE",
            {"token": allowed.token, "guild_id": str(guild_id), "endpoint": endpoint},
        )

    def _logged_out(self, session_id: str) -> None:
        """A login of the bot is over: so is its voice, in all guilds."""
        for guild in self.world.guilds.values():
            me = self.world.me(guild.id)
            if me.voice is not None and me.voice.session_id == session_id:
                self.world.leave(me)
        self.voice.end(session_id, code=4014)

    def _heed(self, event: Event) -> None:
        """Who is muted or deaf in voice is so in the call."""
        data = event.data
        if event.name != "VOICE_STATE_UPDATE" or data["channel_id"] is None:
            return
        self.voice.room(int(data["channel_id"])).heed(
            int(data["user_id"]),
            mute=data["mute"],
            deaf=data["deaf"] or data["self_deaf"],
        )

    def _moved(self, moved: Moved) -> None:
        if person := self.people.get(moved.member.id):
            if moved.before != moved.after:
                to = moved.after
                person.followed(None if to is None else self.voice.room(to))
        elif moved.member.id == self.world.bot.id:
            self._moved_bot(moved)

    def _moved_bot(self, moved: Moved) -> None:
        """The bot has moved itself, or a moderator has done it."""
        if moved.before is not None and moved.before != moved.after:
            self.voice.forget(moved.before)
        if moved.itself or moved.before is None:
            return
        for connection in self.voice.live(moved.before):
            connection.line.close(4014)
        loop = asyncio.get_running_loop()
        loop.call_later(ALLOCATION_S, self._send_server_to, moved.member)

    def _send_server_again(self, guild: Guild) -> None:
        """Unless the bot has come back by itself meanwhile, or is gone."""
        if guild.id in self.world.guilds and not self.voice.awaits(guild.id):
            self._send_server_to(self.world.me(guild.id))

    def _send_server_to(self, member: Member) -> None:
        """Tell the bot the server of the channel it is in by now, if in any."""
        if voice := member.voice:
            self._send_server(member.guild_id, voice.channel_id, voice.session_id)
