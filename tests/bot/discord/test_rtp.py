"""Datagrams of Discord's voice: sealed as its servers do, opened by us."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from discord_packets import KEY, OPUS, Packet, sealed_datagram
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.secret import Aead

from bot.discord.rtp import AES256, MODES, XCHACHA20, Media, Transport, TransportError

packets = st.builds(
    Packet,
    payload=st.binary(min_size=1, max_size=300),
    ssrc=st.integers(0, 2**32 - 1),
    sequence=st.integers(0, 2**16 - 1),
    timestamp=st.integers(0, 2**32 - 1),
    padding=st.integers(0, 255),
    extension=st.integers(0, 20),
    contributors=st.integers(0, 15),
    marked=st.booleans(),
    counter=st.integers(0, 2**32 - 1),
)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=40)
@given(packet=packets)
def test_what_was_sent_comes_out_bare(mode: str, packet: Packet) -> None:
    media = Transport(mode, KEY).media(sealed_datagram(packet, mode))
    assert media == Media(
        packet.ssrc, packet.sequence, packet.timestamp, packet.payload
    )


def test_padding_is_taken_off() -> None:
    """3 to 15 % of real packets carry it; left on, the sound would be lost."""
    datagram = sealed_datagram(Packet(padding=3, extension=1))
    assert datagram[0] == 0xB0
    media = Transport(XCHACHA20, KEY).media(datagram)
    assert media is not None
    assert media.payload == OPUS


@pytest.mark.parametrize("kind", [200, 201, 202, 203, 204, 0x65, 0x67])
def test_what_is_no_voice_is_passed_over(kind: int) -> None:
    datagram = b"\x80" + bytes([kind]) + sealed_datagram(Packet())[2:]
    assert Transport(XCHACHA20, KEY).media(datagram) is None


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x00\x02\x00\x46" + bytes(70),  # the answer to the discovery of our address
        bytes(8),  # a keep-alive
        sealed_datagram(Packet())[:15],
        b"\x40" + sealed_datagram(Packet())[1:],
    ],
)
def test_what_is_no_rtp_is_passed_over(datagram: bytes) -> None:
    assert Transport(XCHACHA20, KEY).media(datagram) is None


@pytest.mark.parametrize("packet", [Packet(b""), Packet(b"", extension=2, padding=4)])
def test_a_packet_that_carries_nothing_is_passed_over(packet: Packet) -> None:
    assert Transport(XCHACHA20, KEY).media(sealed_datagram(packet)) is None


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=40)
@given(packet=packets, data=st.data())
def test_one_bit_wrong_anywhere_is_told(
    mode: str, packet: Packet, data: st.DataObject
) -> None:
    good = sealed_datagram(packet, mode)
    bit = data.draw(st.integers(16, 8 * len(good) - 1))
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    with pytest.raises(TransportError):
        Transport(mode, KEY).media(bytes(bad))


def test_another_key_opens_nothing() -> None:
    with pytest.raises(TransportError):
        Transport(XCHACHA20, KEY[::-1]).media(sealed_datagram(Packet()))


@pytest.mark.parametrize("padding", [0, 200])
def test_padding_that_cannot_be_is_told(padding: int) -> None:
    plain = replace(Packet(), payload=OPUS + bytes([padding]))
    header = bytes([plain.header[0] | 0x20]) + plain.header[1:]
    box = Aead(KEY).encrypt(plain.plain, header, bytes(24))
    with pytest.raises(TransportError, match="padded"):
        Transport(XCHACHA20, KEY).media(header + box.ciphertext + bytes(4))


@given(st.binary(max_size=200))
def test_garbage_is_told_or_passed_over(datagram: bytes) -> None:
    for head in (b"", b"\x80\x78", b"\xbf\x78"):
        with contextlib.suppress(TransportError):
            assert Transport(AES256, KEY).media(head + datagram) is None


def test_a_mode_or_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no encryption"):
        Transport("xsalsa20_poly1305", KEY)
    with pytest.raises(ValueError, match="32 bytes"):
        Transport(XCHACHA20, KEY[:31])
