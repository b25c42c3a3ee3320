"""The main gateway, v10: who is logged in, and what each of them is told.

It speaks JSON and never compresses, which discord.py takes. What the events say is the
world's; what a wish for voice leads to is the server's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from fakecord.entities import Json
from fakecord.line import Line
from fakecord.world import Event, World

HEARTBEAT_MS = 41_250
GUILDS, MEMBERS, VOICE_STATES, PRESENCES = 1 << 0, 1 << 1, 1 << 7, 1 << 8
MESSAGES, CONTENT = 1 << 9, 1 << 15
PRIVILEGED = MEMBERS | PRESENCES | CONTENT
INTENT_OF = {
    "GUILD_MEMBER_ADD": MEMBERS,
    "GUILD_MEMBER_UPDATE": MEMBERS,
    "VOICE_STATE_UPDATE": VOICE_STATES,
    "MESSAGE_CREATE": MESSAGES,
    "MESSAGE_UPDATE": MESSAGES,
    "MESSAGE_DELETE": MESSAGES,
}
"""Events that only come to who asked for them; all others need GUILDS or nothing."""


@dataclass(frozen=True, slots=True)
class VoiceWish:
    """Op 4: the bot wants to be in this channel, or in none."""

    guild_id: int
    channel_id: int | None
    self_mute: bool
    self_deaf: bool
    session_id: str


@dataclass(slots=True)
class Session:
    """One login. It outlives its line, so that it can be resumed."""

    id: str
    intents: int
    line: Line | None = None
    sent: list[Json] = field(default_factory=list)

    def dispatch(self, name: str, data: Json) -> None:
        number = len(self.sent) + 1
        self.sent.append({"op": 0, "s": number, "t": name, "d": data})
        if self.line is not None:
            self.line.send_json(self.sent[-1])


class Gateway:
    """All logins of the bot."""

    def __init__(
        self,
        world: World,
        *,
        token: str,
        latency_s: float,
        on_voice: Callable[[VoiceWish], None],
    ) -> None:
        self.sessions: dict[str, Session] = {}
        self.received: list[Json] = []
        """All that came from the bot, heartbeats left out."""
        self.heartbeats = 0
        self.answers_heartbeats = True
        self.privileged = 0
        """The privileged intents that the portal allows."""
        self.identified = 0
        self.resumed = 0
        self._world = world
        self._token = token
        self._latency_s = latency_s
        self._on_voice = on_voice
        self._numbers = itertools.count(1)
        world.on_event.append(self._hear)

    # what a test does to it

    @property
    def live(self) -> list[Session]:
        """The logins whose line is open now."""
        return [s for s in self.sessions.values() if s.line and s.line.is_open]

    def dispatch(self, name: str, data: Json) -> None:
        """Tell every login, connected or not."""
        for session in self.sessions.values():
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
        line.send_json({"op": 10, "d": {"heartbeat_interval": HEARTBEAT_MS}})
        session: Session | None = None
        try:
            async for message in line:
                assert not isinstance(message, bytes), "only JSON comes here"
                session = self._take(line, session, message)
        finally:
            await line.end()
            self._lost(session, line, socket.close_code)
        return socket

    def _lost(self, session: Session | None, line: Line, code: int | None) -> None:
        if session is None or session.line is not line:
            return
        session.line = None
        if code in (1000, 1001) and line.closed_with is None:
            # The bot has logged out: who closes so cannot resume.
            self.sessions.pop(session.id, None)

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
        self.identified += 1
        session = Session(f"main-{next(self._numbers)}", data["intents"], line)
        self.sessions[session.id] = session
        world = self._world
        absent = [{"id": str(id_), "unavailable": True} for id_ in world.guilds]
        session.dispatch(
            "READY",
            {
                "v": 10,
                "user": world.bot.json(),
                "guilds": absent,
                "session_id": session.id,
                "resume_gateway_url": "wss://gateway.discord.gg",
                "application": {"id": str(world.bot.id), "flags": 0},
            },
        )
        for guild in world.guilds.values():
            session.dispatch("GUILD_CREATE", guild.json(seen_by=world.bot.id))
        return session

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
        guild = self._world.guilds[int(data["guild_id"])]
        asked = data.get("user_ids")
        wanted = {int(id_) for id_ in asked} if asked else set(guild.members)
        found = [m.json() for m in guild.members.values() if m.id in wanted]
        session.dispatch(
            "GUILD_MEMBERS_CHUNK",
            {
                "guild_id": str(guild.id),
                "members": found,
                "chunk_index": 0,
                "chunk_count": 1,
                "nonce": data.get("nonce"),
                "not_found": [],
            },
        )

    def _hear(self, event: Event) -> None:
        needed = INTENT_OF.get(event.name, 0)
        if event.name == "GUILD_MEMBER_UPDATE":
            about = event.data["user"]["id"]
            # Discord tells a bot of itself whatever it asked for.
            needed = 0 if about == str(self._world.bot.id) else needed
        for session in self.sessions.values():
            if session.intents & needed == needed:
                session.dispatch(event.name, event.data)


def _wish(data: Json, session_id: str) -> VoiceWish:
    channel = data["channel_id"]
    return VoiceWish(
        guild_id=int(data["guild_id"]),
        channel_id=int(channel) if channel is not None else None,
        self_mute=data["self_mute"],
        self_deaf=data["self_deaf"],
        session_id=session_id,
    )
