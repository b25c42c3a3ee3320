"""RTP as Discord's voice servers speak it, in both `rtpsize` modes; Opus to fill it.

The first twelve bytes (sixteen with an extension) are in the clear and authenticated;
the extension's body, the voice and the padding are sealed together behind them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import av
import nacl.secret
import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

XCHACHA20 = "aead_xchacha20_poly1305_rtpsize"
AES_GCM = "aead_aes256_gcm_rtpsize"
MODES = (AES_GCM, XCHACHA20)
VOICE = 0x78
SILENCE = b"\xf8\xff\xfe"
RATE = 48_000
FRAME = 960  # samples
LEVEL = b"\x10\xff\x00\x00"
"""A one-byte header extension's body: id 1, one byte, filled up to a word."""


@dataclass(frozen=True, slots=True)
class Rtp:
    """One packet in the clear. `extension` is whole words; `padding` counts bytes."""

    sequence: int
    timestamp: int
    ssrc: int
    media: bytes
    extension: bytes = b""
    padding: int = 0

    @property
    def header(self) -> bytes:
        first = 0x80 | bool(self.padding) << 5 | bool(self.extension) << 4
        packed = struct.pack(
            ">BBHII",
            first,
            VOICE,
            self.sequence & 0xFFFF,
            self.timestamp & 0xFFFF_FFFF,
            self.ssrc,
        )
        if self.extension:
            packed += struct.pack(">HH", 0xBEDE, len(self.extension) // 4)
        return packed

    @property
    def body(self) -> bytes:
        tail = bytes(self.padding - 1) + bytes([self.padding]) if self.padding else b""
        return self.extension + self.media + tail


@dataclass(frozen=True, slots=True)
class Cipher:
    """The seal between one client and the voice server."""

    key: bytes
    mode: str = XCHACHA20

    def seal(self, packet: Rtp, count: int) -> bytes:
        """The packet for the wire; `count` must never come twice."""
        tail = struct.pack(">I", count & 0xFFFF_FFFF)
        if self.mode == AES_GCM:
            nonce = tail.ljust(12, b"\0")
            sealed = AESGCM(self.key).encrypt(nonce, packet.body, packet.header)
        else:
            box = nacl.secret.Aead(self.key)
            nonce = tail.ljust(24, b"\0")
            sealed = box.encrypt(packet.body, packet.header, nonce).ciphertext
        return packet.header + sealed + tail

    def open(self, data: bytes) -> Rtp:
        """A packet of a client's, which has neither extension nor padding."""
        header, sealed, tail = data[:12], data[12:-4], data[-4:]
        if self.mode == AES_GCM:
            nonce = tail.ljust(12, b"\0")
            media = AESGCM(self.key).decrypt(nonce, sealed, header)
        else:
            nonce = tail.ljust(24, b"\0")
            media = nacl.secret.Aead(self.key).decrypt(sealed, header, nonce)
        _, _, sequence, timestamp, ssrc = struct.unpack(">BBHII", header)
        return Rtp(sequence, timestamp, ssrc, media)


def opus(pcm: NDArray[np.int16]) -> list[bytes]:
    """48 kHz mono, whole frames of 20 ms, as packets."""
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = RATE, "mono", "s16"
    codec.bit_rate = 64_000
    found: list[bytes] = []
    for at in range(0, len(pcm) - FRAME + 1, FRAME):
        part = np.ascontiguousarray(pcm[None, at : at + FRAME])
        frame: Any = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, at
        found += [bytes(packet) for packet in codec.encode(frame)]
    return found
