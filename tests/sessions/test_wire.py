"""The audio protocol's words, good and bad."""

from __future__ import annotations

import contextlib
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions import wire
from sessions.wire import Close, TextMessage, WireError


class _Refused:
    """The block raises a WireError with this code and a reason to read."""

    def __init__(self, code: str) -> None:
        self._code = code

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, _: object) -> bool:
        assert isinstance(error, WireError), f"not refused: {error!r}"
        assert error.code == self._code
        assert error.message
        return True


def test_an_address_says_who_speaks_and_how() -> None:
    stream = uuid.uuid4()
    raw = f"token=t%2B1&name=J%C3%BCrgen%20B&rate=48000&stream={stream}".encode()
    assert wire.audio_address(raw) == wire.AudioAddress(
        "t+1", "Jürgen B", 48_000, stream
    )


def test_an_address_may_leave_out_everything() -> None:
    assert wire.audio_address(b"") == wire.AudioAddress("", "", 16_000, None)
    assert wire.audio_address(b"rate=&name=&stream=").rate == 16_000


@pytest.mark.parametrize(
    "rate", ["44100", "0", "-16000", "16000.0", "１６０００", "1e4"]
)
def test_other_rates_are_refused(rate: str) -> None:
    with _Refused("bad_address"):
        wire.audio_address(f"rate={rate}".encode())


@pytest.mark.parametrize("raw", [b"stream=me", b"a=1&" * 21, b"stream=%00"])
def test_bad_addresses_are_refused(raw: bytes) -> None:
    with _Refused("bad_address"):
        wire.audio_address(raw)


def test_the_first_of_two_counts() -> None:
    assert wire.audio_address(b"token=a&token=b").token == "a"


@given(st.binary(max_size=300))
def test_any_bytes_are_an_address_or_refused(raw: bytes) -> None:
    with contextlib.suppress(WireError):
        wire.audio_address(raw).name.encode()
    with contextlib.suppress(WireError):
        assert wire.after_of(raw)[1] >= 0


@pytest.mark.parametrize("text", ["-1", "+1", "1.0", " 1", "x", "9" * 16, "٣", "1_0"])
def test_a_sequence_number_has_digits_only(text: str) -> None:
    with _Refused("bad_address"):
        wire.sequence(text)


def test_a_viewer_begins_at_the_beginning_or_where_they_say() -> None:
    assert wire.after_of(b"token=t") == ("t", 0)
    assert wire.after_of(b"after=17") == ("", 17)


@pytest.mark.parametrize("size", [1, 3, 65_535, 65_538, 1_000_000])
def test_odd_and_oversized_frames_are_refused(size: int) -> None:
    with _Refused("bad_frame"):
        wire.check_frame(bytes(size))


@pytest.mark.parametrize("size", [0, 2, 65_536])
def test_even_frames_up_to_64_kib_are_taken(size: int) -> None:
    wire.check_frame(bytes(size))


def test_it_reads_the_three_messages() -> None:
    assert wire.text_message('{"type": "ping"}', rate=8000) == TextMessage("ping")
    assert wire.text_message('{"type":"stop","x":1}', rate=8000) == TextMessage("stop")
    skip = json.dumps({"type": "skip", "samples": 24 * 3600 * 8000})
    assert wire.text_message(skip, rate=8000).samples == 24 * 3600 * 8000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"ping"',
        "{",
        "{}",
        '{"type": "Ping"}',
        '{"type": ["ping"]}',
        '{"type": "skip"}',
        '{"type": "skip", "samples": -1}',
        '{"type": "skip", "samples": 1.0}',
        '{"type": "skip", "samples": true}',
        '{"type": "skip", "samples": "1"}',
        '{"type": "skip", "samples": 691200001}',
        '{"type": "skip", "samples": NaN}',
        '{"type": "skip", "samples": ' + "9" * 4000 + "}",
        "[" * 4000,
        '{"a":' * 600,
        "x" * 4097,
    ],
)
def test_other_messages_are_refused(text: str) -> None:
    with _Refused("bad_frame"):
        wire.text_message(text, rate=8000)


@given(st.text(max_size=200))
def test_any_text_is_a_message_or_refused(text: str) -> None:
    with contextlib.suppress(WireError):
        assert wire.text_message(text, rate=16_000).type in ("ping", "stop", "skip")


def test_no_code_stands_for_two_errors() -> None:
    codes = list(wire.CLOSE_BY_ERROR.values())
    assert len(set(codes)) == len(codes)
    assert all(4000 <= code < 5000 for code in codes)
    # A page comes back after these two, and only after codes below 4000.
    assert {Close.FAULT, Close.RESTARTING} == {1011, 1012}
