"""The voice gateway, v8: how a bot gets into a call, and what it is told there.

Binary frames carry a number like all other messages; a client acknowledges the last.
Rooms come and go with the calls. The sound itself goes over `udp`.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from fakecord import delivery
from fakecord.entities import Json
from fakecord.line import Line
from fakecord.room import SPEAKING, SSRCS, Party, Room
from fakecord.rtp import MODES, XCHACHA20, Cipher, Rtp
from fakecord.udp import Address, Udp

SELECT, READY, HEARTBEAT, DESCRIPTION = 1, 2, 3, 4
ACK, RESUME, HELLO, RESUMED = 6, 7, 8, 9
HEARTBEAT_S = 13.75
MAY_RESUME = 4015
DAVE_REQUIRED = 4017


@dataclass(frozen=True, slots=True)
class Pass:
    """What lets a bot into a call: VOICE_SERVER_UPDATE gives the token."""

    token: str
    session_id: str
    guild_id: int
    channel_id: int


class Connection:
    """A bot's place in a call: its line, its key, its address. A room's party."""

    def __init__(
        self, line: Line, room: Room, user_id: int, udp: Udp, allowed: Pass
    ) -> None:
        self.user_id = user_id
        self.guild_id = allowed.guild_id
        self.session_id = allowed.session_id
        self.ssrc = next(SSRCS)
        self.line = line
        self.room = room
        self.cipher = Cipher(secrets.token_bytes(32), XCHACHA20)
        self.address: Address | None = None
        """Where its packets come from, once it has asked for it."""
        self.speaking: list[int] = []
        """The flags of each op 5 it has sent."""
        self._udp = udp
        self._seq = itertools.count(1)
        self._nonces = itertools.count(1)

    def tell(self, op: int, body: bytes | Json) -> None:
        number = next(self._seq) & 0xFFFF
        if isinstance(body, bytes):
            self.line.send_bytes(number.to_bytes(2, "big") + bytes([op]) + body)
        else:
            self.line.send_json({"op": op, "d": body, "seq": number})

    def hear(self, speaker: Party, packet: Rtp) -> None:
        self.throw(self.cipher.seal(packet, next(self._nonces)))

    def throw(self, data: bytes) -> None:
        """Any bytes to the bot's UDP socket: packets, and also rubbish."""
        if self.address is not None:
            self._udp.send(data, self.address)


class VoiceGateway:
    """All calls, and the bot's connections to them."""

    def __init__(
        self, udp: Udp, *, latency_s: float, version_of: Callable[[int], int]
    ) -> None:
        self.rooms: dict[int, Room] = {}
        self.connections: list[Connection] = []
        """All there ever were; `live` gives those of now."""
        self.identified: list[Json] = []
        self.heartbeats = 0
        self.answers_heartbeats = True
        self.heartbeat_s = HEARTBEAT_S
        self.refuses_with: int | None = None
        """Close whoever identifies with this code."""
        self._udp = udp
        self._latency_s = latency_s
        self._version_of = version_of
        self._passes: dict[str, Pass] = {}

    # what a test and the server do to it

    def room(self, channel_id: int) -> Room:
        """The call of a channel, begun when there is none."""
        if channel_id not in self.rooms:
            version = self._version_of(channel_id)
            self.rooms[channel_id] = Room(channel_id, version=version)
        return self.rooms[channel_id]

    def admit(self, guild_id: int, channel_id: int, session_id: str) -> Pass:
        """A pass into the channel's call; older ones of this guild are void."""
        self.void(guild_id)
        made = Pass(secrets.token_hex(8), session_id, guild_id, channel_id)
        self._passes[made.token] = made
        return made

    def void(self, guild_id: int) -> None:
        """Passes into this guild let nobody in any more."""
        old = [t for t, one in self._passes.items() if one.guild_id == guild_id]
        for token in old:
            del self._passes[token]

    def awaits(self, guild_id: int) -> bool:
        """Whether a pass into the guild is out, used or not."""
        return any(one.guild_id == guild_id for one in self._passes.values())

    def live(
        self, channel_id: int | None = None, *, guild_id: int | None = None
    ) -> list[Connection]:
        """The connections of now: all, those of a channel, or of a guild."""
        return [
            one
            for one in self.connections
            if one.line.is_open
            and channel_id in (None, one.room.channel_id)
            and guild_id in (None, one.guild_id)
        ]

    def forget(self, channel_id: int) -> None:
        """Nobody resumes here any more: who has no line is out of the call."""
        for connection in self.connections:
            if connection.room.channel_id == channel_id and not connection.line.is_open:
                self._lost(connection, connection.line)

    def close(self, code: int, *, guild_id: int | None = None) -> None:
        """Close the bot's voice connections with this code, all or one guild's."""
        for connection in self.live(guild_id=guild_id):
            connection.line.close(code)

    def cut(self, *, guild_id: int | None = None) -> None:
        """They break without a close frame."""
        for connection in self.live(guild_id=guild_id):
            connection.line.cut()

    def end(self, session_id: str, *, code: int) -> None:
        """Close those that belong to this login at the main gateway."""
        for connection in self.live():
            if connection.session_id == session_id:
                connection.line.close(code)

    # what a bot does to it

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        line = Line(socket, latency_s=self._latency_s)
        interval = round(self.heartbeat_s * 1000)
        line.send_json({"op": HELLO, "d": {"v": 8, "heartbeat_interval": interval}})
        connection: Connection | None = None
        try:
            async for message in line:
                if connection is None:
                    assert not isinstance(message, bytes), "op 0 or 7 comes first"
                    connection = self._admit(line, message)
                elif isinstance(message, bytes):
                    self._take_binary(connection, message[0], message[1:])
                else:
                    self._take(connection, message["op"], message["d"])
        finally:
            # At once: aiohttp cancels a handler whose client has gone.
            if connection is not None and line.closed_with != MAY_RESUME:
                self._lost(connection, line)
            await line.end()
        return socket

    def _admit(self, line: Line, message: Json) -> Connection | None:
        op, data = message["op"], message["d"]
        if op == HEARTBEAT:
            return None
        allowed = self._passes.get(data["token"])
        if allowed is None or allowed.session_id != data["session_id"]:
            line.close(4006)
            return None
        if op == RESUME:
            return self._resume(line, allowed)
        self.identified.append(data)
        room = self.room(allowed.channel_id)
        if self.refuses_with is not None:
            line.close(self.refuses_with)
            return None
        if room.version and not data.get("max_dave_protocol_version"):
            line.close(DAVE_REQUIRED)
            return None
        made = Connection(line, room, int(data["user_id"]), self._udp, allowed)
        for old in self.live(guild_id=made.guild_id):
            if old.session_id != made.session_id:  # another login takes its place
                old.line.close(4006)
        self.connections.append(made)
        self._udp.connections[made.ssrc] = made
        ip, port = self._udp.address
        ready = {"ssrc": made.ssrc, "ip": ip, "port": port, "modes": list(MODES)}
        made.tell(READY, ready | {"experiments": []})
        return made

    def _resume(self, line: Line, allowed: Pass) -> Connection | None:
        for connection in reversed(self.connections):
            if connection.session_id == allowed.session_id:
                connection.line = line
                line.send_json({"op": RESUMED, "d": None})
                return connection
        line.close(4006)
        return None

    def _lost(self, connection: Connection, line: Line) -> None:
        if connection.line is not line:
            return  # it goes on over another one
        self._udp.connections.pop(connection.ssrc, None)
        connection.room.exit(connection)

    def _take(self, connection: Connection, op: int, data: Any) -> None:
        group = connection.room.delivery
        if op == HEARTBEAT:
            self.heartbeats += 1
            if self.answers_heartbeats:
                connection.line.send_json({"op": ACK, "d": {"t": data["t"]}})
        elif op == SELECT:
            self._describe(connection, data["data"]["mode"])
        elif op == SPEAKING:
            connection.speaking.append(data["speaking"])
            said = {"user_id": str(connection.user_id), **data}
            connection.room.tell_others(connection, SPEAKING, said)
        elif op == delivery.READY:
            group.ready(connection.user_id, data["transition_id"])
        elif op == delivery.INVALID:
            group.take_invalid(connection.user_id)

    def _describe(self, connection: Connection, mode: str) -> None:
        if mode not in MODES:
            connection.line.close(4016)
            return
        connection.cipher = Cipher(connection.cipher.key, mode)
        connection.tell(
            DESCRIPTION,
            {
                "mode": mode,
                "secret_key": list(connection.cipher.key),
                "dave_protocol_version": connection.room.version,
                "audio_codec": "opus",
                "media_session_id": secrets.token_hex(8),
            },
        )
        connection.room.enter(connection)

    def _take_binary(self, connection: Connection, op: int, data: bytes) -> None:
        group = connection.room.delivery
        if op == delivery.KEY_PACKAGE:
            group.take_package(connection.user_id, data)
        elif op == delivery.COMMIT_WELCOME:
            group.take_commit(connection.user_id, data)
