"""Datagrams of Discord's voice made by hand, and a stand-in for its members' keys."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from davey import MediaType
from nacl.secret import Aead

from bot.discord.rtp import AES256, XCHACHA20

KEY = bytes(range(32))
OPUS = bytes.fromhex("78 0102030405060708")
ADA, BEN, CLEO = 11, 22, 33


@dataclass(frozen=True)
class Packet:
    """What a sender puts into one datagram. `extension`: words of four bytes."""

    payload: bytes = OPUS
    ssrc: int = 70_000
    sequence: int = 65_535
    timestamp: int = 4_294_967_295
    padding: int = 0
    extension: int = 0
    contributors: int = 0
    marked: bool = False
    counter: int = 7

    @property
    def header(self) -> bytes:
        flags = 0x80 | (0x20 if self.padding else 0) | (0x10 if self.extension else 0)
        kind = 0x78 | (0x80 if self.marked else 0)
        head = struct.pack(
            ">BBHII",
            flags | self.contributors,
            kind,
            self.sequence,
            self.timestamp,
            self.ssrc,
        )
        head += bytes(4 * self.contributors)
        if self.extension:
            head += b"\xbe\xde" + self.extension.to_bytes(2, "big")
        return head

    @property
    def plain(self) -> bytes:
        padding = bytes([0] * (self.padding - 1) + [self.padding] * bool(self.padding))
        return bytes([0x32] * 4 * self.extension) + self.payload + padding


def sealed_datagram(packet: Packet, mode: str = XCHACHA20, key: bytes = KEY) -> bytes:
    counter = packet.counter.to_bytes(4, "little")
    if mode == AES256:
        body = AESGCM(key).encrypt(counter + bytes(8), packet.plain, packet.header)
    else:
        box = Aead(key).encrypt(packet.plain, packet.header, counter + bytes(20))
        body = box.ciphertext
    return packet.header + body + counter


def sealed_media(user: int, opus: bytes) -> bytes:
    return bytes([user]) + opus[::-1] + b"\xfa\xfa"


class Session:
    """Opens each member's frames once, and nobody else's."""

    def __init__(self, *members: int, ready: bool = True) -> None:
        self.members, self.ready = members, ready
        self.opened: list[bytes] = []

    def decrypt(self, user: int, kind: MediaType, media: bytes) -> bytes:
        assert kind is MediaType.audio
        if user not in self.members or media[0] != user or media in self.opened:
            raise ValueError("NoValidCryptorFound")
        self.opened.append(media)
        return media[1:-2][::-1]
