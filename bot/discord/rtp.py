"""RTP as Discord's voice servers send it: a datagram in, what its sender sent out.

Undoes the transport's encryption, and takes off padding and the header's extension.
What is left is encrypted from end to end, or Opus: neither is looked into here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl import bindings
from nacl.exceptions import CryptoError

XCHACHA20 = "aead_xchacha20_poly1305_rtpsize"
AES256 = "aead_aes256_gcm_rtpsize"
MODES = (XCHACHA20, AES256)
"""What is understood, the preferred one first."""
KEY_BYTES = 32

HEADER = struct.Struct(">BBHII")
"""RFC 3550, 5.1: flags, payload type, sequence, timestamp, SSRC."""
VERSION = 2
OPUS = 0x78
"""The payload type of all voice. RTCP's 200 to 204, read alike, are others."""
GCM_NONCE_BYTES = 12
NONCE_BYTES = 4
"""Of the nonce a counter of so many bytes is sent, behind the ciphertext."""
XCHACHA20_REST = bytes(24 - NONCE_BYTES)
"""What follows the counter in it."""
SMALLEST = HEADER.size + NONCE_BYTES

Open = Callable[[bytes, bytes, bytes], bytes]
"""Ciphertext, what is authenticated beside it, and the counter; to the plaintext."""


class TransportError(ValueError):
    """Not sealed with this key, or damaged: a packet is lost, and nothing else."""


class Media(NamedTuple):
    """What one sender sent: 16-bit `sequence`, 32-bit `timestamp` at 48 kHz."""

    ssrc: int
    sequence: int
    timestamp: int
    payload: bytes


class Transport:
    """One voice connection's encryption, for as long as its key holds."""

    def __init__(self, mode: str, key: bytes) -> None:
        """Raises ValueError for a mode that is not among `MODES`, or a bad key."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"A key of {KEY_BYTES} bytes is wanted, not {len(key)}.")
        self._open = _opener(mode, key)

    def media(self, datagram: bytes) -> Media | None:
        """What a datagram carries; None when it is not voice, or carries nothing: RTCP,
        an answer to the discovery of our address, video. Raises TransportError."""
        if len(datagram) < SMALLEST:
            return None
        flags, kind, sequence, timestamp, ssrc = HEADER.unpack_from(datagram)
        if flags >> 6 != VERSION or kind & 0x7F != OPUS:
            return None
        is_padded, is_extended = bool(flags & 0x20), bool(flags & 0x10)
        size = HEADER.size + 4 * (flags & 0x0F) + (4 if is_extended else 0)
        if len(datagram) < size + NONCE_BYTES:
            raise TransportError("cut off in its header")
        header, sealed = datagram[:size], datagram[size:-NONCE_BYTES]
        plain = self._open(sealed, header, datagram[-NONCE_BYTES:])
        if is_padded:
            plain = _without_padding(plain)
        if is_extended:  # its words' number is in the header, they are not
            plain = plain[4 * int.from_bytes(header[-2:], "big") :]
        return Media(ssrc, sequence, timestamp, plain) if plain else None


def _without_padding(plain: bytes) -> bytes:
    """RFC 3550, 5.1: the last byte says how many, itself among them."""
    padding = plain[-1] if plain else 0
    if not 1 <= padding <= len(plain):
        raise TransportError("padded with more than there is")
    return plain[:-padding]


def _opener(mode: str, key: bytes) -> Open:
    if mode == XCHACHA20:
        return _xchacha20(key)
    if mode == AES256:
        return _aes256(AESGCM(key))
    raise ValueError(f"{mode} is no encryption of Discord's voice that is known here.")


def _xchacha20(key: bytes) -> Open:
    decrypt = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt

    def opened(sealed: bytes, header: bytes, counter: bytes) -> bytes:
        try:
            return decrypt(sealed, header, counter + XCHACHA20_REST, key)
        except (CryptoError, ValueError) as e:
            raise TransportError("not sealed with this key") from e

    return opened


def _aes256(box: AESGCM) -> Open:
    def opened(sealed: bytes, header: bytes, counter: bytes) -> bytes:
        try:
            return box.decrypt(counter.ljust(GCM_NONCE_BYTES, b"\0"), sealed, header)
        except (InvalidTag, ValueError) as e:
            raise TransportError("not sealed with this key") from e

    return opened
