"""AudioSocket's bytes: every kind, what is tolerated, what is refused, what we send."""

from __future__ import annotations

import struct
import sys
from uuid import UUID

import pytest

from bot.phone import protocol
from bot.phone.protocol import (
    RATES,
    Audio,
    Decoder,
    Digit,
    Failed,
    HungUp,
    Identified,
    Message,
    ProtocolError,
    Unknown,
)

CALL = UUID("40325ec2-5efd-4bd3-805f-53576e581d13")
OTHER = UUID("c9a7a0c4-8d2b-4a5c-9f6e-0123456789ab")
HELLO = bytes.fromhex("01 0010 40325ec25efd4bd3805f53576e581d13")
SAMPLES = struct.pack("<4h", 1, -2, 32_767, -32_768)
CONTROLS = (protocol.HANG_UP, protocol.DIGIT, protocol.FAILURE)


def message(kind: int, payload: bytes = b"") -> bytes:
    return bytes([kind, len(payload) >> 8, len(payload) & 255]) + payload


def sound(size: int) -> bytes:
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def on_the_line(*, kind10_rate: int = 8_000) -> Decoder:
    """A decoder that has heard which call it is."""
    decoder = Decoder(kind10_rate=kind10_rate)
    assert decoder.feed(HELLO) == [Identified(CALL)]
    return decoder


def refused(decoder: Decoder, data: bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decoder.feed(data)
    assert caught.value.message
    return caught.value


# --- what Asterisk sends: golden bytes ------------------------------------------------


@pytest.mark.parametrize(
    ("golden", "meant"),
    [
        ("10 0008 0100 feff ff7f 0080", Audio(SAMPLES, 8_000)),
        ("11 0002 0100", Audio(b"\1\0", 12_000)),
        ("12 0002 0100", Audio(b"\1\0", 16_000)),
        ("13 0002 0100", Audio(b"\1\0", 24_000)),
        ("14 0002 0100", Audio(b"\1\0", 32_000)),
        ("15 0002 0100", Audio(b"\1\0", 44_100)),
        ("16 0002 0100", Audio(b"\1\0", 48_000)),
        ("17 0002 0100", Audio(b"\1\0", 96_000)),
        ("18 0002 0100", Audio(b"\1\0", 192_000)),
        ("03 0001 37", Digit("7")),
        ("00 0000", HungUp()),
        ("ff 0001 02", Failed(b"\2")),
        ("ff 0000", Failed(b"")),
    ],
)
def test_every_kind_is_read_from_its_bytes(golden: str, meant: Message) -> None:
    assert on_the_line().feed(bytes.fromhex(golden)) == [meant]


def test_the_uuid_is_sixteen_raw_bytes_in_network_order() -> None:
    decoder = Decoder()
    assert decoder.feed(HELLO) == [Identified(CALL)]
    assert decoder.uuid == CALL


@pytest.mark.parametrize("symbol", "0123456789*#ABCD")
def test_every_key_of_a_telephone_is_a_digit(symbol: str) -> None:
    assert on_the_line().feed(message(0x03, symbol.encode())) == [Digit(symbol)]


@pytest.mark.parametrize(
    ("kind", "size"),
    list(zip(RATES, (320, 480, 640, 960, 1280, 1764, 1920, 3840, 7680), strict=True)),
)
def test_20_ms_of_every_kind_are_as_long_as_asterisk_makes_them(
    kind: int, size: int
) -> None:
    assert protocol.frame_bytes(RATES[kind]) == size
    frame = Audio(sound(size), RATES[kind])
    assert on_the_line().feed(message(kind, sound(size))) == [frame]


@pytest.mark.parametrize("size", [2, 100, 156, 160, 320, 480, 960, 16_000])
def test_a_frame_is_as_long_as_the_phone_makes_it(size: int) -> None:
    frame = message(0x10, sound(size))
    assert on_the_line().feed(frame) == [Audio(sound(size), 8_000)]


def test_kind_0x10_is_8_khz_and_16_khz_is_0x12() -> None:
    decoder = on_the_line()
    heard = decoder.feed(message(0x10, sound(320)) + message(0x12, sound(640)))
    assert heard == [Audio(sound(320), 8_000), Audio(sound(640), 16_000)]


def test_old_asterisk_sends_16_khz_as_0x10() -> None:
    decoder = on_the_line(kind10_rate=16_000)
    assert decoder.feed(message(0x10, sound(640))) == [Audio(sound(640), 16_000)]
    assert decoder.feed(message(0x11, sound(480))) == [Audio(sound(480), 12_000)]


def test_the_uuid_and_the_first_sound_may_come_together() -> None:
    heard = Decoder().feed(HELLO + message(0x10, sound(320)))
    assert heard == [Identified(CALL), Audio(sound(320), 8_000)]


def test_a_connection_that_says_nothing_is_nothing() -> None:
    decoder = Decoder()
    assert decoder.feed(b"") == []
    assert decoder.uuid is None


# --- what is tolerated ----------------------------------------------------------------


def test_an_odd_last_byte_is_dropped_and_shifts_nothing() -> None:
    decoder = on_the_line()
    heard = decoder.feed(message(0x10, sound(157)) + message(0x10, sound(320)))
    assert heard == [Audio(sound(156), 8_000), Audio(sound(320), 8_000)]


@pytest.mark.parametrize("size", [0, 1])
def test_a_frame_without_a_sample_is_nothing(size: int) -> None:
    decoder = on_the_line()
    assert decoder.feed(message(0x10, bytes(size))) == []
    assert decoder.feed(message(0x10, b"\1\0")) == [Audio(b"\1\0", 8_000)]


@pytest.mark.parametrize("kind", [0x02, 0x04, 0x0F, 0x19, 0x47, 0xFE])
@pytest.mark.parametrize("size", [0, 1, 65_535])
def test_an_unknown_kind_is_passed_over_at_any_length(kind: int, size: int) -> None:
    decoder = on_the_line()
    heard = decoder.feed(message(kind, bytes(size)) + message(0x03, b"1"))
    assert heard == [Unknown(kind), Digit("1")]


def test_an_unknown_message_is_not_kept_while_it_comes() -> None:
    decoder = on_the_line()
    assert decoder.feed(message(0x02, bytes(60_000))[:9]) == [Unknown(0x02)]
    assert decoder.feed(bytes(59_993)) == []
    assert decoder.held == 0
    assert decoder.feed(b"\0" + message(0x03, b"1")) == [Digit("1")]


@pytest.mark.parametrize("payload", [b"X", b"f", b"!", b"\0", b"\xff", b"", b"12"])
def test_a_key_that_is_no_digit_is_no_reason_to_lose_the_call(payload: bytes) -> None:
    decoder = on_the_line()
    assert decoder.feed(message(0x03, payload)) == [Unknown(0x03)]
    assert decoder.feed(message(0x03, b"#")) == [Digit("#")]


def test_the_same_uuid_again_changes_nothing() -> None:
    decoder = on_the_line()
    assert decoder.feed(HELLO) == []
    assert decoder.feed(message(0x03, b"1")) == [Digit("1")]


def test_a_peer_may_leave_or_fail_before_it_says_who_it_is() -> None:
    assert Decoder().feed(message(0xFF, b"\1") + message(0x00)) == [
        Failed(b"\1"),
        HungUp(),
    ]


def test_a_kind_of_tomorrow_may_come_before_the_uuid() -> None:
    heard = Decoder().feed(message(0x02, b"new") + HELLO)
    assert heard == [Unknown(0x02), Identified(CALL)]


def test_behind_a_hang_up_there_is_nothing() -> None:
    decoder = on_the_line()
    assert decoder.feed(message(0x00) + message(0x03, b"1")) == [HungUp()]
    assert decoder.feed(message(0x10, sound(320))) == []
    assert decoder.held == 0


# --- what is refused ------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*RATES, protocol.DIGIT])
def test_sound_and_digits_before_the_uuid_are_refused(kind: int) -> None:
    assert refused(Decoder(), message(kind, b"1 ")).code == "no_uuid"


def test_tls_is_refused_at_its_first_bytes() -> None:
    client_hello = bytes.fromhex("16 0301 0200 01 0001fc 0303")
    assert refused(Decoder(), client_hello[:3]).code == "no_uuid"


@pytest.mark.parametrize("size", [0, 15, 17, 36])
def test_a_uuid_of_another_length_is_refused(size: int) -> None:
    data = message(0x01, bytes(size))
    assert refused(Decoder(), data).code in ("bad_uuid", "too_long")


def test_a_connection_cannot_become_another_call() -> None:
    decoder = on_the_line()
    error = refused(decoder, message(0x01, OTHER.bytes))
    assert error.code == "second_uuid"
    assert decoder.uuid == CALL


@pytest.mark.parametrize(
    ("kind", "size"),
    [(0x10, 16_001), (0x11, 24_001), (0x12, 32_001), (0x13, 48_001), (0x14, 64_001)]
    + [(kind, protocol.SHORT_MAX_BYTES + 1) for kind in CONTROLS],
)
def test_a_length_without_sense_is_refused_at_the_header(kind: int, size: int) -> None:
    assert on_the_line().feed(message(kind, bytes(size - 1)))[0] is not None
    decoder = on_the_line()
    assert refused(decoder, message(kind, bytes(size))[:3]).code == "too_long"
    assert decoder.held == 0


def test_a_frame_of_senseless_length_is_refused_whole_as_well() -> None:
    assert refused(on_the_line(), message(0x10, bytes(16_002))).code == "too_long"


def test_the_length_of_16_khz_under_0x10_is_that_of_16_khz() -> None:
    frame = message(0x10, sound(32_000))
    assert on_the_line(kind10_rate=16_000).feed(frame) == [Audio(sound(32_000), 16_000)]


def test_what_was_right_before_an_error_is_not_lost() -> None:
    decoder = on_the_line()
    good = message(0x10, sound(320)) + message(0x03, b"5")
    error = refused(decoder, good + message(0x01, OTHER.bytes) + good)
    assert error.before == [Audio(sound(320), 8_000), Digit("5")]


def test_behind_an_error_nothing_is_read() -> None:
    decoder = on_the_line()
    refused(decoder, message(0x01, OTHER.bytes))
    assert decoder.feed(message(0x10, sound(320))) == []
    assert decoder.held == 0


# --- segments -------------------------------------------------------------------------


def test_a_message_may_come_byte_by_byte() -> None:
    decoder = Decoder()
    stream = HELLO + message(0x10, sound(320)) + message(0x03, b"9") + message(0x00)
    heard = [m for byte in stream for m in decoder.feed(bytes([byte]))]
    assert heard == [Identified(CALL), Audio(sound(320), 8_000), Digit("9"), HungUp()]


@pytest.mark.parametrize("at", [1, 2, 3, 4, 322])
def test_a_header_may_be_cut_off_from_its_sound(at: int) -> None:
    decoder, frame = on_the_line(), message(0x10, sound(320))
    assert decoder.feed(frame[:at]) == []
    assert decoder.held == at
    assert decoder.feed(frame[at:]) == [Audio(sound(320), 8_000)]
    assert decoder.held == 0


def test_many_messages_may_come_at_once() -> None:
    frame = message(0x12, sound(640))
    heard = on_the_line().feed(frame * 100 + frame[:10])
    assert heard == [Audio(sound(640), 16_000)] * 100


def test_a_half_message_holds_no_more_than_itself() -> None:
    decoder = on_the_line()
    frame = message(0x18, bytes(65_535))
    decoder.feed(frame * 3 + frame[:-1])
    assert decoder.held == len(frame) - 1


def test_a_frame_that_comes_whole_is_copied_once() -> None:
    (heard,) = on_the_line().feed(message(0x10, sound(320)))
    assert isinstance(heard, Audio)
    assert type(heard.pcm) is bytes
    assert sys.getsizeof(heard.pcm) == sys.getsizeof(bytes(320))


# --- what we send ---------------------------------------------------------------------


def test_our_sound_is_one_message() -> None:
    assert protocol.audio(SAMPLES, 0x10) == bytes.fromhex("100008 0100feffff7f0080")
    assert protocol.audio(sound(640), 0x12) == b"\x12\x02\x80" + sound(640)


def test_our_goodbye_is_three_zeros() -> None:
    assert protocol.hang_up() == b"\0\0\0"


def test_no_other_kind_can_be_made_than_sound() -> None:
    for kind in set(range(256)) - set(RATES):
        with pytest.raises(ValueError, match="no kind of sound"):
            protocol.audio(bytes(320), kind)


@pytest.mark.parametrize("size", [0, 1, 319, 1_458, 1_764, 16_192])
def test_no_frame_can_be_made_that_is_noise_or_two_segments(size: int) -> None:
    with pytest.raises(ValueError, match="one frame"):
        protocol.audio(bytes(size), 0x10)


def test_a_frame_may_fill_its_segment() -> None:
    assert len(protocol.audio(bytes(1_456), 0x14)) == 1_459
