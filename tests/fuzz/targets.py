"""What strangers can send, read by the code that reads it: each target takes any bytes,
and raises nothing but what its reader documents. What must hold besides is asserted.

`SEEDS` are good inputs to begin with; a fuzzer changes them.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import struct
import uuid
from collections.abc import Callable, Iterator

import numpy as np
from nacl import bindings

from bot.discord.rtp import HEADER, XCHACHA20, XCHACHA20_REST, Transport, TransportError
from bot.phone import protocol
from bot.phone.protocol import Audio, Decoder, ProtocolError
from sessions import wire
from sessions.audio import journal
from sessions.audio.frames import PCM_RATES, Frame
from sessions.audio.journal import Head, Journal, JournalError
from sessions.audio.reorder import ReorderBuffer
from sessions.audio.rtpclock import RtpClock
from sessions.audio.stamped import Stamped
from sessions.audio.unwrap import RtpPacket
from sessions.wire import WireError

KEY = bytes(range(32))
CALL = b"\x01\x00\x10" + uuid.UUID(int=7).bytes
SOUND = protocol.audio(bytes(320), protocol.KIND10)


def audiosocket(data: bytes) -> None:
    """The same messages, or the same refusal, however it is cut; little is held."""
    size, stream = 1 + data[:1].ljust(1, b"\0")[0], data[1:]
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert _decoded([stream]) == _decoded(pieces)


def _decoded(pieces: list[bytes]) -> tuple[list[protocol.Message], str]:
    decoder, messages = Decoder(), list[protocol.Message]()
    for piece in pieces:
        try:
            messages += decoder.feed(piece)
        except ProtocolError as e:
            return messages + list(e.before), e.code
        assert decoder.held <= protocol.HEADER_BYTES + protocol.LENGTH_MAX
    for message in messages:
        assert not isinstance(message, Audio) or 0 < message.duration_s <= 1
    return messages, ""


def websocket(data: bytes) -> None:
    """A browser's address, a frame of sound and a control message."""
    rate = PCM_RATES[data[0] % len(PCM_RATES)] if data else PCM_RATES[0]
    for read in (wire.audio_address, wire.after_of, wire.check_frame):
        _refused_at_most(lambda read=read: read(data[1:]))  # type: ignore[misc]
    text = data[1:].decode("utf-8", "replace")
    _refused_at_most(lambda: wire.text_message(text, rate=rate))


def _refused_at_most(read: Callable[[], object]) -> None:
    with contextlib.suppress(WireError):
        read()


def datagram(data: bytes) -> None:
    """What a voice server could have sealed, and what anybody can send to the port."""
    transport = Transport(XCHACHA20, KEY)
    for received in (data, _sealed(data)):
        try:
            media = transport.media(received)
        except TransportError:
            continue
        assert media is None or media.payload


def _sealed(data: bytes) -> bytes:
    """A header out of the data, as long as it says itself, and the rest sealed well."""
    header = bytearray(data[: HEADER.size].ljust(HEADER.size, b"\0"))
    header[0], header[1] = header[0] & 0x3F | 0x80, 0x78
    size = HEADER.size + 4 * (header[0] & 0x0F) + (4 if header[0] & 0x10 else 0)
    header, rest = bytearray(data[:size].ljust(size, b"\0")), data[size:]
    header[0], header[1] = header[0] & 0x3F | 0x80, 0x78
    seal = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt
    nonce = bytes(4) + XCHACHA20_REST
    return bytes(header) + seal(rest, bytes(header), nonce, KEY) + bytes(4)


def packets(data: bytes) -> None:
    """Any numbers, at any time: each once, in order, and never one over another."""
    buffer, clock, now_s = ReorderBuffer(), RtpClock(), 0.0
    numbers, pushed, ends, placed = itertools.count(), 0, [0], 0
    for sequence, timestamp, later_ms in _numbers(data):
        now_s += later_ms / 1000
        packet = RtpPacket(sequence, timestamp, now_s, b"x")
        ordered = [*buffer.push(packet), *buffer.tick(now_s)]
        pushed += 1
        for one in ordered:
            stamped = Stamped(
                next(numbers), one.timestamp, 960, one.arrival_s, 1000.0,
                one.lost, one.restarted,
            )  # fmt: skip
            for placement in clock.place(stamped):
                assert placement.position >= ends[-1]
                ends.append(placement.end)
                placed += 1
    placed += len(clock.flush())
    assert placed <= pushed


def _numbers(data: bytes) -> Iterator[tuple[int, int, int]]:
    reader = struct.Struct("<HIB")
    whole = len(data) - len(data) % reader.size
    yield from itertools.islice(reader.iter_unpack(data[:whole]), 200)


def journals(data: bytes) -> None:
    """What a crash, a disk or somebody's hand left of a journal."""
    for file in (io.BytesIO(data), io.BytesIO(_good_journal() + data)):
        try:
            placed = list(Journal(file).placed())
        except JournalError:
            continue
        assert all(one.position >= 0 for one in placed)


def _good_journal() -> bytes:
    whose = Head("s", "p", 1, 2, 16_000, "2026-05-04T12:00:00+00:00", "")
    frame = Frame(np.arange(1, 161, dtype=np.int16), 16_000, 0.01)
    parts = [journal.head(whose), journal.sound(0, frame)]
    return b"".join([*parts, journal.placed(0, 480, dropped=0)])


def broken(data: bytes) -> None:
    """A reader with a fault, so that it is known that faults are found."""
    if data[:2] == b"RI":
        raise IndexError


TARGETS: dict[str, Callable[[bytes], None]] = {
    "audiosocket": audiosocket,
    "websocket": websocket,
    "datagram": datagram,
    "packets": packets,
    "journals": journals,
}
SEEDS: dict[str, tuple[bytes, ...]] = {
    "audiosocket": (b"\7" + CALL + SOUND * 2 + b"\x03\x00\x015" + b"\0\0\0",),
    "websocket": (
        b"\0token=abc&name=Ada&rate=16000&consent=true&after=12",
        b"\1" + json.dumps({"type": "skip", "samples": 480}).encode(),
        b"\2" + bytes(640),
    ),
    "datagram": (HEADER.pack(0xB0, 0x78, 7, 960, 5) + b"\xbe\xde\0\1" + bytes(60),),
    "packets": (
        b"".join(struct.pack("<HIB", n, 960 * n, 20) for n in range(60)),
        b"".join(struct.pack("<HIB", 65_500 + n & 0xFFFF, n, 5) for n in range(60)),
    ),
    "journals": (_good_journal(), journal.end()),
}
