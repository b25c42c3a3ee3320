"""Voice in from Discord: datagrams of one connection to Opus packets of its members.

Works on discord.py's reader thread, where nothing may wait: what is done with the
packets is done elsewhere. The connection itself is `connection`'s.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from discord.gateway import DiscordVoiceWebSocket
from discord.voice_state import VoiceConnectionState

from bot.discord.dave import Keys, Unsealing
from bot.discord.hearing import Hearing
from bot.discord.rtp import Media, Transport, TransportError
from bot.discord.speakers import Speakers

UNCLAIMED_MAX = 50
"""Packets, a second, of an SSRC that nobody has claimed, kept until somebody does."""
UNCLAIMED_SSRCS = 32


class Heard(NamedTuple):
    """One Opus packet of one user; `received_s` on the monotonic clock."""

    user: int
    ssrc: int
    sequence: int
    timestamp: int
    received_s: float
    opus: bytes


@dataclass(slots=True)
class Traffic:
    """What came, for the health page and for a call that stays silent."""

    datagrams: int = 0
    packets: int = 0
    unsealed: int = 0
    transport_failed: int = 0
    unclaimed: int = 0
    refused: int = 0


Sink = Callable[[Heard], None]
"""Called on the reader's thread, and may not wait."""


class Receiver:
    """What comes in over one voice connection, as packets of its members."""

    def __init__(
        self,
        connection: VoiceConnectionState,
        *,
        sink: Sink,
        accepts: Callable[[int], bool],
        broken: Callable[[], None],
        came: Callable[[], float] = time.monotonic,
    ) -> None:
        """`accepts` says of a user whether anything of theirs may be kept. `broken`:
        the keys are no longer the group's; called on the reader's thread. `came`: when
        the datagram came that is handed on."""
        self.traffic = Traffic()
        self.unsealing = Unsealing(self._keys, broken=broken)
        self.speakers = Speakers()
        self.hearing = Hearing()
        self._lock = threading.Lock()  # of the speakers: both threads name them
        self._connection = connection
        self._sink, self._accepts = sink, accepts
        self._came = came
        self._transport: Transport | None = None
        self._sealed_with: tuple[str, list[int]] | None = None
        self._unclaimed: OrderedDict[int, deque[tuple[Media, float]]] = OrderedDict()

    def datagram(self, data: bytes) -> None:
        """Take one, on the reader's thread."""
        received_s = self._came()
        self.traffic.datagrams += 1
        try:
            transport = self._current_transport()
            media = transport.media(data) if transport else None
        except TransportError:
            self.traffic.transport_failed += 1
            self.hearing.lost(now_s=received_s)
            return
        if media is not None:
            self.traffic.packets += 1
            self._take(media, received_s)

    def told(self, message: dict[str, Any]) -> None:
        """What the voice gateway says of its members, on the event loop. Raises
        KeyError, TypeError, ValueError for what it never says."""
        with self._lock:
            self._tell_speakers(message.get("op"), message.get("d"))
        if message.get("op") == DiscordVoiceWebSocket.DAVE_EXECUTE_TRANSITION:
            self.unsealing.mended()

    def _tell_speakers(self, op: int | None, said: Any) -> None:
        match op, said:
            case DiscordVoiceWebSocket.SESSION_DESCRIPTION, _:
                self.speakers.clear()
            case DiscordVoiceWebSocket.SPEAKING, {"user_id": user, "ssrc": ssrc}:
                self.speakers.told(user=int(user), ssrc=int(ssrc))
                if said.get("speaking"):
                    self.hearing.announced(int(user), now_s=time.monotonic())
            case DiscordVoiceWebSocket.CLIENT_CONNECT, {"audio_ssrc": ssrc}:
                self.speakers.told(user=int(said["user_id"]), ssrc=int(ssrc))
            case DiscordVoiceWebSocket.CLIENT_DISCONNECT, {"user_id": user}:
                self.speakers.left(int(user))

    def _take(self, media: Media, received_s: float) -> None:
        with self._lock:
            user = self.speakers.user(media.ssrc)
        if user is None:
            self._claim(media, received_s)
            return
        self._open_waiting(user, media.ssrc)
        self._open(user, media, received_s)

    def _open_waiting(self, user: int, ssrc: int) -> None:
        for waiting, came_s in self._unclaimed.pop(ssrc, ()):
            self._open(user, waiting, came_s, waited=True)

    def _open(
        self, user: int, media: Media, received_s: float, *, waited: bool = False
    ) -> None:
        if not self._may_keep(user):
            self.hearing.heard(user, media.payload, now_s=received_s)
            return
        opus = self.unsealing.opus(user, media.payload, waited=waited)
        if opus is not None:
            self._hand_on(user, media, received_s, opus)
        else:
            self.hearing.lost(now_s=received_s)

    def _claim(self, media: Media, received_s: float) -> None:
        """Nobody said whose it is: whose key opens it is its sender."""
        found = self.unsealing.sender(self._strangers(), media.payload)
        if found is None:
            self._keep(media, received_s)
            return
        user, opus = found
        with self._lock:
            self.speakers.told(user=user, ssrc=media.ssrc)
        self._open_waiting(user, media.ssrc)
        if self._may_keep(user):
            self._hand_on(user, media, received_s, opus)

    def _keep(self, media: Media, received_s: float) -> None:
        self.traffic.unclaimed += 1
        self.hearing.lost(now_s=received_s)
        waiting = self._unclaimed.setdefault(media.ssrc, deque(maxlen=UNCLAIMED_MAX))
        waiting.append((media, received_s))
        if len(self._unclaimed) > UNCLAIMED_SSRCS:
            self._unclaimed.popitem(last=False)

    def _may_keep(self, user: int) -> bool:
        """Nobody's sound and our own are no one's to keep."""
        if user in (0, self._connection.user.id) or not self._accepts(user):
            self.traffic.refused += 1
            return False
        return True

    def _hand_on(self, user: int, media: Media, received_s: float, opus: bytes) -> None:
        self.traffic.unsealed += 1
        self.hearing.heard(user, opus, now_s=received_s)
        numbers = media.ssrc, media.sequence, media.timestamp
        self._sink(Heard(user, *numbers, received_s, opus))

    def _strangers(self) -> list[int]:
        channel = self._connection.voice_client.channel
        try:
            members = list(channel.voice_states)
        except RuntimeError:  # the event loop changes it just now
            return []
        with self._lock:
            return self.speakers.without(members)

    def _keys(self) -> Keys:
        connection = self._connection
        return Keys(connection.dave_session, connection.dave_protocol_version)

    def _current_transport(self) -> Transport | None:
        """discord.py replaces the key with each connection: looked at each time."""
        mode, key = self._connection.mode, self._connection.secret_key
        if not mode or not key:
            return None
        before = self._sealed_with
        if before is None or before[1] is not key or before[0] != mode:
            self._transport = Transport(mode, bytes(key))
            self._sealed_with = mode, key
        return self._transport
