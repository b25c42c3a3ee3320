"""The main gateway, v10: who is logged in, and what each of them is told.

It speaks JSON and never compresses, which discord.py takes. What the events say is the
world's; what a wish for voice leads to is the server's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from fakecord.entities import Json
from fakecord.line import Line
from fakecord.session import CONTENT, MEMBERS, PRESENCES, Session, members_asked_for
from fakecord.world import Event, World

HEARTBEAT_S = 41.25
PRIVILEGED = MEMBERS | PRESENCES | CONTENT


@dataclass(frozen=True, slots=True)
class VoiceWish:
    """Op 4: the bot wants to be in this channel, or in none."""

    guild_id: int
    channel_id: int | None
    self_mute: bool
    self_deaf: bool
    session_id: str


class Gateway:
    """All logins of the bot."""

    def __init__(
        self,
        world: World,
        *,
        token: str,
        latency_s: float,
        on_voice: Callable[[VoiceWish], None],
        on_gone: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_gone` hears the id of each login that can never be resumed."""
        self.sessions: dict[str, Session] = {}
        self.received: list[Json] = []
        """All that came from the bot, heartbeats left out."""
        self.heartbeats = 0
        self.answers_heartbeats = True
        self.heartbeat_s = HEARTBEAT_S
        self.refuses_with: int | None = None
        """Close whoever identifies with this code."""
        self.presence: Json | None = None
        """What the bot has said last of its own presence."""
        self.privileged = 0
        """The privileged intents that the portal allows."""
        self.identified = 0
        self.resumed = 0
        self._world = world
        self._token = token
        self._latency_s = latency_s
        self._on_voice = on_voice
        self._on_gone = on_gone
        self._numbers = itertools.count(1)
        world.on_event.append(self._hear)

    # what a test does to it

    @property
    def live(self) -> list[Session]:
        """The logins whose line is open now."""
        return [s for s in self.sessions.values() if s.is_live]

    def dispatch(self, name: str, data: Json) -> None:
        """Tell every login whom the guild concerns, connected or not."""
        guild = Event(name, data).guild_id
        for session in self.sessions.values():
            if session.concerns(guild):
                session.dispatch(name, data)

    def close(self, code: int) -> None:
        """Close all lines with this code."""
        for session in self.live:
            assert session.line is not None
            session.line.close(code)

    def cut(self) -> None:
        """All lines break without a close frame."""
        for session in self.live:
            assert session.line is not None
            session.line.cut()

    def go_silent(self) -> None:
        """The lines of now are open and dead: nothing comes or goes any more."""
        for session in self.live:
            assert session.line is not None
            session.line.dead = True

    def forget(self) -> None:
        """Logins without a line are given up: who tries to resume is told op 9."""
        for session in list(self.sessions.values()):
            if not session.is_live:
                self._end(session)

    def _end(self, session: Session) -> None:
        if self.sessions.pop(session.id, None) is not None:
            self._on_gone(session.id)

    def ask_to_reconnect(self) -> None:
        """Op 7."""
        self._say({"op": 7, "d": None})

    def invalidate(self, *, resumable: bool = False) -> None:
        """Op 9. Not resumable: the logins are forgotten, the bot has to log in anew."""
        self._say({"op": 9, "d": resumable})
        if not resumable:
            self.sessions.clear()

    def _say(self, message: Json) -> None:
        for session in self.live:
            assert session.line is not None
            session.line.send_json(message)

    # what a client does to it

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        line = Line(socket, latency_s=self._latency_s)
        interval = round(self.heartbeat_s * 1000)
        line.send_json({"op": 10, "d": {"heartbeat_interval": interval}})
        session: Session | None = None
        try:
            async for message in line:
                assert not isinstance(message, bytes), "only JSON comes here"
                if line.dead:
                    continue
                session = self._take(line, session, message)
        finally:
            # At once: aiohttp cancels a handler whose client has gone.
            self._lost(session, line)
            await line.end()
        return socket

    def _lost(self, session: Session | None, line: Line) -> None:
        if session is None or session.line is not line:
            return
        session.line = None
        if line.left_with in (1000, 1001) and line.closed_with is None:
            # The bot has logged out: who closes so cannot resume.
            self._end(session)

    def _take(
        self, line: Line, session: Session | None, message: Json
    ) -> Session | None:
        op, data = message["op"], message["d"]
        if op == 1:
            self.heartbeats += 1
            if self.answers_heartbeats:
                line.send_json({"op": 11, "d": None})
            return session
        self.received.append(message)
        if op == 2:
            return self._identify(line, data)
        if op == 6:
            return self._resume(line, data)
        if session is None:
            line.close(4003)
        elif op == 4:
            self._on_voice(_wish(data, session.id))
        elif op == 3:
            self.presence = data
        elif op == 8:
            self._send_members(session, data)
        return session

    def _identify(self, line: Line, data: Json) -> Session | None:
        if data["token"] != self._token:
            line.close(4004)
            return None
        if data["intents"] & PRIVILEGED & ~self.privileged:
            line.close(4014)
            return None
        shard = tuple(data["shard"]) if "shard" in data else None
        if shard is not None and not 0 <= shard[0] < shard[1]:
            line.close(4010)
            return None
        if self.refuses_with is not None:
            line.close(self.refuses_with)
            return None
        self.identified += 1
        self.presence = data.get("presence", self.presence)
        name = f"main-{next(self._numbers)}"
        session = Session(name, data["intents"], line, shard)
        self.sessions[session.id] = session
        self._welcome(session)
        return session

    def _welcome(self, session: Session) -> None:
        world = self._world
        guilds = [g for g in world.guilds.values() if session.concerns(g.id)]
        ready = {
            "v": 10,
            "user": world.bot.json(),
            "guilds": [{"id": str(one.id), "unavailable": True} for one in guilds],
            "session_id": session.id,
            "resume_gateway_url": "wss://gateway.discord.gg",
            "application": {"id": str(world.bot.id), "flags": 0},
        }
        if session.shard is not None:
            ready["shard"] = list(session.shard)
        session.dispatch("READY", ready)
        for guild in guilds:
            if guild.available:
                session.dispatch("GUILD_CREATE", guild.json(seen_by=world.bot.id))

    def _resume(self, line: Line, data: Json) -> Session | None:
        session = self.sessions.get(data["session_id"])
        if session is None or data["token"] != self._token:
            line.send_json({"op": 9, "d": False})
            return None
        self.resumed += 1
        session.line = line
        for missed in session.sent[data["seq"] :]:
            line.send_json(missed)
        session.dispatch("RESUMED", {})
        return session

    def _send_members(self, session: Session, data: Json) -> None:
        guild = self._world.guilds.get(int(data["guild_id"]))
        if guild is None:
            return
        found = members_asked_for(list(guild.members.values()), data)
        session.dispatch(
            "GUILD_MEMBERS_CHUNK",
            {
                "guild_id": str(guild.id),
                "members": [member.json() for member in found],
                "chunk_index": 0,
                "chunk_count": 1,
                "nonce": data.get("nonce"),
                "not_found": [],
            },
        )

    def _hear(self, event: Event) -> None:
        for session in self.sessions.values():
            session.hear(event, self._world)


def _wish(data: Json, session_id: str) -> VoiceWish:
    channel = data["channel_id"]
    return VoiceWish(
        guild_id=int(data["guild_id"]),
        channel_id=int(channel) if channel is not None else None,
        self_mute=data["self_mute"],
        self_deaf=data["self_deaf"],
        session_id=session_id,
    )
