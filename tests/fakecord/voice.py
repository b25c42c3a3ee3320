"""The voice of a member of the script: a real DAVE session, a mouth and ears.

What it says comes every 20 ms by absolute deadlines; loss, order and doubles are data.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import davey
import numpy as np
from numpy.typing import NDArray

from fakecord import delivery
from fakecord.entities import Json
from fakecord.room import CLIENT_CONNECT, SPEAKING, SSRCS, Party, Room
from fakecord.rtp import FRAME, LEVEL, SILENCE, Rtp, opus

FRAME_S = 0.02
PAUSE_S = 0.001
"""Between packets that need not come in real time: a socket holds some 250 of them."""
FIRST_TIMESTAMP = 1_000
RATE = 48_000
TAIL = (SILENCE,) * 5
"""Clients end what they say with these."""


@dataclass(frozen=True, slots=True)
class Road:
    """What happens on the way, by packets of one spurt counted from 0."""

    lost: frozenset[int] = frozenset()
    swapped: frozenset[int] = frozenset()
    """Come after their next."""
    doubled: frozenset[int] = frozenset()
    padding: int = 0
    """Bytes of RTP padding on each."""
    extended: bool = False
    """With a header extension, as Discord's servers add one."""
    broken: bool = False
    """The end-to-end encryption is spoilt."""

    def order(self, count: int) -> list[list[int]]:
        """Which packets go out at each of the 20 ms."""
        slots: list[list[int]] = [[] for _ in range(count + 1)]
        left = [number for number in range(count) if number not in self.lost]
        for number in sorted(left, key=lambda n: (n in self.swapped, n)):
            slot = slots[number + (number in self.swapped)]
            slot += [number] * (1 + (number in self.doubled))
        return slots


@dataclass(frozen=True, slots=True)
class Heard:
    """A packet of somebody else's, opened; `opus` is None where it would not open."""

    user_id: int
    sequence: int
    timestamp: int
    opus: bytes | None


@dataclass(slots=True)
class Voice:
    """A party of the room that plays one member."""

    user_id: int
    room: Room
    latency_s: float = 0.02
    """0: its commits always come before those of a bot."""
    commits: bool = True
    """False: it leaves that to the others."""
    listens: bool = True
    """False: it does not open what others say, which takes time in large crowds."""
    ssrc: int = field(default_factory=lambda: next(SSRCS))
    heard: list[Heard] = field(default_factory=list)
    told: list[tuple[int, bytes | Json]] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    """The Opus packets it has said, those lost on the road too."""
    session: davey.DaveSession | None = None
    plain: bool = False
    """The call has gone back to voice without end-to-end encryption."""
    _to_plain: int = -1
    _sequence: int = 100
    _timestamp: int = FIRST_TIMESTAMP
    _zero_s: float | None = None
    """When its RTP clock stood at FIRST_TIMESTAMP."""

    @property
    def ready(self) -> bool:
        """Whether what it says can be understood."""
        return self.session is None or bool(self.session.ready)

    def enter(self) -> None:
        self.room.enter(self)
        if self.room.version:
            self.session = davey.DaveSession(
                self.room.version, self.user_id, self.room.channel_id
            )
            self._send_package()

    def exit(self) -> None:
        self.room.exit(self)

    # what the room says to it

    def tell(self, op: int, body: bytes | Json) -> None:
        self.told.append((op, body))
        loop = asyncio.get_running_loop()
        loop.call_later(self.latency_s, self._take, op, body)

    def hear(self, speaker: Party, packet: Rtp) -> None:
        if self.listens:
            loop = asyncio.get_running_loop()
            loop.call_later(self.latency_s, self._open, speaker, packet)

    def _open(self, speaker: Party, packet: Rtp) -> None:
        opened: bytes | None = packet.media
        if self.session is not None and not self.plain:
            try:
                audio = davey.MediaType.audio
                opened = self.session.decrypt(speaker.user_id, audio, packet.media)
            except ValueError:
                opened = None
        self.heard.append(
            Heard(speaker.user_id, packet.sequence, packet.timestamp, opened)
        )

    def _take(self, op: int, body: bytes | Json) -> None:
        session = self.session
        if session is None or self.room.parties.get(self.user_id) is not self:
            return
        if isinstance(body, bytes):
            self._take_binary(session, op, body)
        elif op == delivery.PREPARE_TRANSITION and body["transition_id"]:
            self._to_plain = body["transition_id"]
            self.room.delivery.ready(self.user_id, self._to_plain)
        elif op == delivery.EXECUTE_TRANSITION:
            self.plain = body["transition_id"] == self._to_plain
        elif op == delivery.PREPARE_EPOCH and body["epoch"] == 1:
            session.reinit(self.room.version, self.user_id, self.room.channel_id)
            self._send_package()

    def _take_binary(self, session: davey.DaveSession, op: int, body: bytes) -> None:
        if op == delivery.EXTERNAL_SENDER:
            session.set_external_sender(body)
        elif op == delivery.PROPOSALS:
            append = davey.ProposalsOperationType.append
            made = session.process_proposals(append, body[1:])
            if made is not None and self.commits:
                message = made.commit + (made.welcome or b"")
                self.room.delivery.take_commit(self.user_id, message)
        elif op in (delivery.COMMIT, delivery.WELCOME):
            (transition,) = struct.unpack_from(">H", body)
            try:
                if op == delivery.COMMIT:
                    session.process_commit(body[2:])
                else:
                    session.process_welcome(body[2:])
            except Exception:  # davey's errors have no class of their own
                self.recover()
            else:
                self.room.delivery.ready(self.user_id, transition)

    def recover(self) -> None:
        """Op 31 and a fresh key package, as clients do that cannot follow."""
        assert self.session is not None
        self.room.delivery.take_invalid(self.user_id)
        self.session.reinit(self.room.version, self.user_id, self.room.channel_id)
        self._send_package()

    def _send_package(self) -> None:
        assert self.session is not None
        package = self.session.get_serialized_key_package()
        self.room.delivery.take_package(self.user_id, package)

    # what it says

    def announce(self, op: int = SPEAKING) -> None:
        """Tell the others its SSRC: by op 5, or by op 12 as with a camera."""
        body: Json = {"user_id": str(self.user_id)}
        if op == CLIENT_CONNECT:
            body |= {"audio_ssrc": self.ssrc, "video_ssrc": 0}
        else:
            body |= {"ssrc": self.ssrc, "speaking": 1}
        self.room.tell_others(self, op, body)

    async def say(self, pcm: NDArray[np.int16], **how: object) -> None:
        """48 kHz mono; `how` as `send` takes it."""
        await self.send(opus(pcm), **how)  # type: ignore[arg-type]

    async def send(
        self,
        packets: Sequence[bytes],
        *,
        road: Road | None = None,
        announce: int | None = SPEAKING,
        tail: Sequence[bytes] = TAIL,
        clock_stops: bool = False,
        fast: bool = False,
    ) -> None:
        """Say Opus packets in real time, then silence packets, then nothing.

        `clock_stops`: the RTP clock stood still since it last spoke, as bots have it.
        `fast`: as fast as they are read, while their RTP times stay 20 ms apart.
        """
        road = road or Road()
        loop = asyncio.get_running_loop()
        if announce is not None:
            self.announce(announce)
            await asyncio.sleep(self.latency_s)
        began = loop.time()
        if self._zero_s is None or clock_stops:
            self._zero_s = began - (self._timestamp - FIRST_TIMESTAMP) / RATE
        else:
            # On the grid of its clock, which ran on: so nothing adds up.
            frames = round((began - self._zero_s) / FRAME_S)
            now = FIRST_TIMESTAMP + frames * FRAME
            self._timestamp = max(self._timestamp, now)
        made = [self._packet(media, road) for media in (*packets, *tail)]
        sealed: list[Rtp] = []
        self.sent += packets
        for number, slot in enumerate(road.order(len(made))):
            due = began + number * FRAME_S
            await asyncio.sleep(PAUSE_S if fast else max(due - loop.time(), 0))
            # Not before: who comes meanwhile has the keys of from then on.
            sealed += [self._sealed(one, road) for one in made[number : number + 1]]
            for which in slot:
                self.room.say(self, sealed[which])

    def _sealed(self, packet: Rtp, road: Road) -> Rtp:
        media = packet.media
        if self.session is not None and not self.plain and media != SILENCE:
            media = self.session.encrypt_opus(media)
            if road.broken:
                media = bytes([media[0] ^ 1]) + media[1:]
        return replace(packet, media=media)

    def _packet(self, media: bytes, road: Road) -> Rtp:
        made = Rtp(
            self._sequence,
            self._timestamp,
            self.ssrc,
            media,
            extension=LEVEL if road.extended else b"",
            padding=road.padding,
        )
        self._sequence += 1
        self._timestamp += FRAME
        return made
