"""WAV as a stream: bytes in, samples out. Pure.

Takes what servers send who do not know yet how much they will say: sizes of 0 or of
all ones mean "until the end".
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]

MAX_HEAD_BYTES = 16 * 1024
_PCM, _EXTENSIBLE = 1, 0xFFFE
_RATES = range(4000, 192001)


class Samples:
    """16-bit little-endian samples of `channels`, mixed down to one."""

    def __init__(self, *, channels: int = 1) -> None:
        self._channels = channels
        self._rest = b""

    def feed(self, data: bytes) -> Pcm:
        data = self._rest + data
        whole = len(data) - len(data) % (2 * self._channels)
        self._rest = data[whole:]
        pcm = np.frombuffer(data[:whole], "<i2").astype(np.int16)
        if self._channels == 1:
            return pcm
        mixed = pcm.reshape(-1, self._channels).mean(axis=1)
        return np.rint(mixed).astype(np.int16)


class WavReader:
    """The samples of a WAV file as it arrives. `rate` is 0 until its head is there."""

    def __init__(self) -> None:
        self.rate = 0
        self._head = b""
        self._samples: Samples | None = None
        self._left: int | None = None

    def feed(self, data: bytes) -> Pcm:
        """What is new. Raises ValueError for anything but 16-bit PCM."""
        if self._samples is None:
            self._head += data
            data = self._read_head()
        if self._samples is None:
            return np.zeros(0, np.int16)
        if self._left is not None:  # tags may follow the sound
            data = data[: self._left]
            self._left -= len(data)
        return self._samples.feed(data)

    def _read_head(self) -> bytes:
        """What stands behind the head, once that is whole; else nothing."""
        head = self._head
        if head[:4] != b"RIFF"[: len(head)] or head[8:12] != b"WAVE"[: len(head[8:])]:
            raise ValueError("not a WAV file")
        at, channels = 12, 0
        while len(head) >= at + 8:
            name, size = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
            at += 8
            if name == b"data":
                return self._begin(head[at:], channels=channels, size=size)
            if len(head) < at + size:
                break
            if name == b"fmt ":
                channels = self._read_format(head[at : at + size])
            at += size + size % 2
        if len(head) > MAX_HEAD_BYTES:
            raise ValueError("a head without end")
        return b""

    def _read_format(self, body: bytes) -> int:
        if len(body) < 16:
            raise ValueError("a short format")
        kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
        if kind == _EXTENSIBLE and len(body) >= 26:
            kind = struct.unpack_from("<H", body, 24)[0]
        if (kind, bits) != (_PCM, 16) or channels not in (1, 2) or rate not in _RATES:
            raise ValueError("not 16-bit PCM")
        self.rate = int(rate)
        return int(channels)

    def _begin(self, data: bytes, *, channels: int, size: int) -> bytes:
        if not channels:
            raise ValueError("samples without a format")
        self._samples = Samples(channels=channels)
        endless = size == 0 or size >= 0x7FFFFF00
        self._left, self._head = (None if endless else size), b""
        return data
