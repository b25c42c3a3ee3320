"""AudioSocket without I/O: bytes to messages, and the few messages that we may send.

A message is `[kind 1 byte][length 2 bytes, big-endian][payload]`; Asterisk is the
client. Owns what goes over the wire; knows no socket, no clock and no call.

Tolerated is what Asterisk, old or new, or a phone behind it may do: sound of any
length, an odd last byte, an empty frame, a key that is no digit (a hook flash), an
unknown kind, the same UUID again. Refused is what Asterisk never does: sound or a digit
before the UUID (the first bytes of TLS read as 48 kHz sound), another UUID, a length
without sense.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from uuid import UUID

from sessions.errors import VoiceError

HANG_UP, IDENTITY, DIGIT, FAILURE = 0x00, 0x01, 0x03, 0xFF
KIND10 = 0x10
RATES = {
    KIND10: 8_000,
    0x11: 12_000,
    0x12: 16_000,
    0x13: 24_000,
    0x14: 32_000,
    0x15: 44_100,
    0x16: 48_000,
    0x17: 96_000,
    0x18: 192_000,
}
"""Samples a second by kind of sound, always 16-bit little-endian mono. Before Asterisk
20.17, 21.12, 22.7 and 23.1 there was only 0x10, at whatever rate."""

HEADER_BYTES = 3
UUID_BYTES = 16
LENGTH_MAX = 0xFFFF
AUDIO_MAX_S = 1
"""Of one frame. Asterisk sends what the phone does, 10 to 60 ms."""
SHORT_MAX_BYTES = 64
"""Of a hang-up, a digit and an error, which need 0, 1 and 1."""
SEGMENT_MAX_BYTES = 1_460
"""One TCP segment of Ethernet. Asterisk waits 5 ms for the rest of a message, then
drops the call: what we send goes out whole or not at all."""

DIGITS = frozenset("0123456789*#ABCD")

_HEADER = struct.Struct(">BH")
_GOODBYE = _HEADER.pack(HANG_UP, 0)


@dataclass(frozen=True, slots=True)
class Identified:
    """The first message: which call this is."""

    uuid: UUID


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound: 16-bit little-endian mono, whole samples, one at least."""

    pcm: bytes
    rate: int

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / 2 / self.rate


@dataclass(frozen=True, slots=True)
class Digit:
    """A key was let go: one of `DIGITS`."""

    symbol: str


@dataclass(frozen=True, slots=True)
class HungUp:
    """The other end says goodbye. Asterisk never does: it closes the connection."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The other end tells of an error. Asterisk never does."""

    code: bytes


@dataclass(frozen=True, slots=True)
class Unknown:
    """Says nothing to us: a kind of tomorrow, or a key that is no digit."""

    kind: int


Message = Identified | Audio | Digit | HungUp | Failed | Unknown


class ProtocolError(VoiceError):
    """What came is not AudioSocket; nothing behind it can be read.

    `code` is `no_uuid`, `bad_uuid`, `second_uuid` or `too_long`. `before` is what was
    read of the same bytes before it went wrong.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.before: list[Message] = []


def frame_bytes(rate: int) -> int:
    """The bytes of 20 ms."""
    return rate // 50 * 2


def audio(pcm: bytes, kind: int) -> bytes:
    """A frame for Asterisk, to be written at once: `frame_bytes`, one every 20 ms.

    Raises ValueError for what would be noise there, or the end of the call.
    """
    if kind not in RATES:
        raise ValueError(f"0x{kind:02x} is no kind of sound")
    if not pcm or len(pcm) % 2 or len(pcm) > SEGMENT_MAX_BYTES - HEADER_BYTES:
        raise ValueError(f"{len(pcm)} bytes cannot be sent as one frame of sound")
    return _HEADER.pack(kind, len(pcm)) + pcm


def hang_up() -> bytes:
    """The end of this leg; the dialplan goes on."""
    return _GOODBYE


class Decoder:
    """One connection's bytes to messages, however they are cut.

    Between two calls it holds less than one message, and of an unknown kind nothing.
    After a hang-up or an error it reads nothing more.
    """

    __slots__ = (
        "_held",
        "_is_over",
        "_is_plain",
        "_max_bytes",
        "_need",
        "_rates",
        "_skip",
        "empty",
        "uuid",
    )

    def __init__(self, *, kind10_rate: int = RATES[KIND10]) -> None:
        """`kind10_rate`: of sound of kind 0x10, all there is from old Asterisk."""
        assert kind10_rate in RATES.values(), kind10_rate
        self.uuid: UUID | None = None
        self._rates = RATES | {KIND10: kind10_rate}
        self._max_bytes = {k: _audio_max(rate) for k, rate in self._rates.items()}
        self._max_bytes |= dict.fromkeys((HANG_UP, DIGIT, FAILURE), SHORT_MAX_BYTES)
        self._max_bytes[IDENTITY] = UUID_BYTES
        self._held = bytearray()
        self._need = 0  # bytes to hold before there is anything new to read
        self._skip = 0  # bytes of an unknown message that are still to come
        self._is_over = False
        self._is_plain = False  # the UUID is here, and no message is half here
        self.empty = 0
        """Messages with nothing in them, of which `feed` tells nothing."""

    @property
    def held(self) -> int:
        """Bytes that wait for the rest of their message."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes, in order. Raises ProtocolError."""
        # What nearly every call of this is: one frame of sound, as it was written.
        if self._is_plain and (size := len(data)) & 1 and size > HEADER_BYTES:
            kind = data[0]
            rate = self._rates.get(kind)
            length = data[1] << 8 | data[2]
            if rate and length == size - HEADER_BYTES <= self._max_bytes[kind]:
                return [Audio(data[HEADER_BYTES:], rate)]
        if self._is_over:
            return []
        messages: list[Message] = []
        try:
            self._read(self._joined(data), messages)
        except ProtocolError as e:
            e.before = messages
            self._end()
            raise
        self._is_plain = not (
            self.uuid is None or self._is_over or self._held or self._skip
        )
        return messages

    def _joined(self, data: bytes) -> bytes:
        """What may now be read: empty while it would only be looked at in vain."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if self._held:
            self._held += data
            if len(self._held) < self._need:
                return b""
            data = bytes(self._held)
            self._held.clear()
        return data

    def _read(self, data: bytes, messages: list[Message]) -> None:
        at, need = 0, HEADER_BYTES
        while not self._is_over and len(data) - at >= HEADER_BYTES:
            kind, length = _HEADER.unpack_from(data, at)
            need = HEADER_BYTES + length
            if kind not in self._max_bytes:
                messages.append(Unknown(kind))
            else:
                self._check(kind, length)
                if len(data) - at < need:
                    break
                message = self._message(kind, data[at + HEADER_BYTES : at + need])
                if message is None:
                    self.empty += 1
                else:
                    messages.append(message)
            at += need
            need = HEADER_BYTES
        if data and not self._is_over:
            self._skip = max(at - len(data), 0)
            self._held += data[at:]
            self._need = need

    def _check(self, kind: int, length: int) -> None:
        if self.uuid is None and (kind in self._rates or kind == DIGIT):
            raise ProtocolError("no_uuid", "The first message is not a UUID.")
        if length > self._max_bytes[kind]:
            told = f"{length} bytes are too many for a message of kind 0x{kind:02x}."
            raise ProtocolError("too_long", told)
        if kind == IDENTITY and length != UUID_BYTES:
            raise ProtocolError("bad_uuid", "A UUID is not 16 bytes long.")

    def _message(self, kind: int, payload: bytes) -> Message | None:
        if kind in self._rates:
            pcm = payload[: len(payload) // 2 * 2]
            return Audio(pcm, self._rates[kind]) if pcm else None
        if kind == IDENTITY:
            return self._identified(UUID(bytes=payload))
        if kind == DIGIT:
            symbol = payload.decode("latin-1")
            return Digit(symbol) if symbol in DIGITS else Unknown(DIGIT)
        if kind == HANG_UP:
            self._end()
            return HungUp()
        return Failed(payload)

    def _identified(self, uuid: UUID) -> Identified | None:
        if self.uuid == uuid:
            return None
        if self.uuid is not None:
            raise ProtocolError("second_uuid", "A connection is one call, not two.")
        self.uuid = uuid
        return Identified(uuid)

    def _end(self) -> None:
        self._is_over, self._is_plain = True, False
        self._held.clear()


def _audio_max(rate: int) -> int:
    """The longest payload of sound, in bytes."""
    return min(rate * 2 * AUDIO_MAX_S, LENGTH_MAX)
