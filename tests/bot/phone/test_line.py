"""A line: what it keeps, tells and sends, at a transport that only writes down."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from bot.phone.intake import BURST_S
from bot.phone.line import UNSENT_MAX_BYTES, Line
from bot.phone.pacing import Ticker
from bot.phone.protocol import Audio
from bot.voice.playout import Piece

UUID = uuid.uuid4()
HELLO = b"\x01\x00\x10" + UUID.bytes
FRAME = b"\x10\x01\x40" + b"\x01\x00" * 160
SILENCE = b"\x10\x01\x40" + bytes(320)


class Transport(asyncio.Transport):
    """Writes down what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.buffered = 0
        self.is_reading_now = True
        self.closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("10.0.0.7", 5000) if name == "peername" else default

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.is_reading_now = False

    def resume_reading(self) -> None:
        self.is_reading_now = True


class Ear:
    def __init__(self) -> None:
        self.heard_: list[Audio] = []
        self.digits = ""
        self.ends = 0
        self.sent_: list[tuple[bytes | None, int]] = []
        self.said_: list[Piece] = []

    def heard(self, audio: Audio, *, waited_s: float = 0.0) -> None:
        self.heard_.append(audio)

    def dialled(self, symbol: str) -> None:
        self.digits += symbol

    def hung_up(self) -> None:
        self.ends += 1

    def sent(self, frame: bytes | None, *, skipped: int) -> None:
        self.sent_.append((frame, skipped))

    def said(self, piece: Piece) -> None:
        self.said_.append(piece)


class Idle(Ticker):
    """A ticker that never ticks: the tests do."""

    def add(self, line: object) -> None: ...
    def remove(self, line: object) -> None: ...


@pytest.fixture
def known() -> list[uuid.UUID]:
    return []


@pytest.fixture
def line(known: list[uuid.UUID]) -> Line:
    return Line(
        ticker=Idle(),
        identified=lambda _, call: known.append(call),
        lost=lambda _: None,
        allows=lambda peer: peer.startswith("10."),
        kind10_rate=8_000,
    )


async def test_it_sends_silence_from_the_first_moment(line: Line) -> None:
    transport = Transport()
    line.connection_made(transport)
    for _ in range(3):
        line.tick(skipped=0)
    assert transport.written == [SILENCE] * 3


async def test_what_comes_before_somebody_listens_is_kept(
    line: Line, known: list[uuid.UUID]
) -> None:
    line.connection_made(Transport())
    line.read(HELLO + FRAME * 2 + b"\x03\x00\x015")
    assert known == [UUID]
    ear = Ear()
    line.listen(ear)
    assert len(ear.heard_) == 2
    assert ear.digits == "5"
    line.read(FRAME)
    assert len(ear.heard_) == 3


async def test_a_stranger_is_let_go(known: list[uuid.UUID]) -> None:
    line = Line(
        ticker=Idle(),
        identified=lambda _, call: known.append(call),
        lost=lambda _: None,
        allows=lambda _: False,
        kind10_rate=8_000,
    )
    transport = Transport()
    line.connection_made(transport)
    assert transport.closed


async def test_what_was_right_before_garbage_is_heard(line: Line) -> None:
    transport, ear = Transport(), Ear()
    line.connection_made(transport)
    line.listen(ear)
    line.read(HELLO + FRAME + b"\x03\xff\xff")
    assert len(ear.heard_) == 1
    assert transport.closed


async def test_a_flood_is_read_no_faster_than_it_is_worth(line: Line) -> None:
    transport, ear = Transport(), Ear()
    line.connection_made(transport)
    line.listen(ear)
    line.read(HELLO)
    for _ in range(int(BURST_S / 0.02) + 2):
        line.read(FRAME)
    assert not transport.is_reading_now
    assert len(ear.heard_) == int(BURST_S / 0.02) + 2, "and nothing of it is lost"


async def test_who_does_not_read_costs_no_memory(line: Line) -> None:
    transport, ear = Transport(), Ear()
    line.connection_made(transport)
    line.listen(ear)
    line.say(Piece(b"\x01\x00" * 8_000))
    line.tick(skipped=0)
    transport.buffered = UNSENT_MAX_BYTES + 1
    for _ in range(10):
        line.tick(skipped=0)
    assert len(transport.written) == 1
    assert line.unsent == 10


async def test_it_answers_wideband_in_wideband(line: Line) -> None:
    transport, ear = Transport(), Ear()
    line.connection_made(transport)
    line.listen(ear)
    line.read(HELLO + b"\x12\x02\x80" + b"\x01\x00" * 320)
    line.tick(skipped=0)
    assert transport.written == [b"\x12\x02\x80" + bytes(640)]
    assert line.rate == 16_000


async def test_pieces_are_told_when_they_were_said_or_stopped(line: Line) -> None:
    ear = Ear()
    line.connection_made(Transport())
    line.listen(ear)
    first, second = Piece(b"\x01\x00" * 160), Piece(b"\x02\x00" * 1_600)
    line.say(first)
    line.say(second)
    line.tick(skipped=0)
    assert ear.said_ == [first]
    line.tick(skipped=3)
    line.hush()
    assert ear.said_ == [first, second]
    assert second.cut
    assert ear.sent_[1][1] == 3
    line.tick(skipped=0)
    assert ear.sent_[2][0] is None


async def test_the_end_is_told_once_and_not_to_who_was_forgotten(line: Line) -> None:
    ear = Ear()
    line.connection_made(Transport())
    line.listen(ear)
    line.connection_lost(None)
    line.connection_lost(None)
    assert ear.ends == 1


async def test_hanging_up_says_goodbye_once(line: Line) -> None:
    transport = Transport()
    line.connection_made(transport)
    line.hang_up()
    line.hang_up()
    assert transport.written == [b"\x00\x00\x00"]
    assert transport.closed
