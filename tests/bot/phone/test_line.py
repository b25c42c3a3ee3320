"""A line: what it keeps and tells, and what its lane sends at a pace the tests set."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from bot.phone.intake import BURST_S
from bot.phone.lane import Lane
from bot.phone.line import AHEAD_S, Line
from bot.phone.pacing import Paced, Pacing
from bot.phone.protocol import Audio
from bot.voice.playout import Piece

UUID = uuid.uuid4()
HELLO = b"\x01\x00\x10" + UUID.bytes
FRAME = b"\x10\x01\x40" + b"\x01\x00" * 160
SILENCE = b"\x10\x01\x40" + bytes(320)


class Socket:
    """Only looked at."""

    def fileno(self) -> int:
        return 0

    def setsockopt(self, *_: int) -> None: ...


class Transport(asyncio.Transport):
    """Of a connection that is read; the pacer writes on it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_reading_now = True
        self.closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("10.0.0.7", 5000), "socket": Socket()}.get(name)

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


class Wire:
    """What the pacer writes on; `is_full` when the other end takes nothing."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_full = self.is_closed = False

    def send(self, data: bytes, /) -> int:
        if self.is_full:
            raise BlockingIOError
        self.written.append(data)
        return len(data)

    def close(self) -> None:
        self.is_closed = True


class Here(Pacing):
    """A pacer without a process, of one line: a frame goes out when the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.wire = Wire()
        self.unread = 0  # frames that went out, and the line does not know yet

    def add(self, line: Paced) -> int:
        self.line = line
        return 1

    def pace(self, number: int, descriptor: int, silence: bytes) -> None:
        self.lane = Lane(self.wire, silence)

    def use(self, number: int, silence: bytes) -> None:
        self.lane.use(silence)

    def say(self, number: int, pcm: bytes) -> None:
        self.lane.say(pcm)

    def hush(self, number: int) -> None:
        before = [self.lane.serve() for _ in range(self.unread)]
        self.lane.hush()
        for taken in before:
            self.line.paced(taken or 0, skipped=0)

    def remove(self, number: int, *, last: bytes = b"") -> None:
        self.lane.end(last)

    def tick(self, *, skipped: int = 0) -> None:
        taken = self.lane.serve()
        assert taken is not None
        self.line.paced(taken, skipped=skipped)


@pytest.fixture
def known() -> list[uuid.UUID]:
    return []


@pytest.fixture
def pacer() -> Here:
    return Here()


@pytest.fixture
def line(known: list[uuid.UUID], pacer: Here) -> Line:
    return Line(
        pacing=pacer,
        identified=lambda _, call: known.append(call),
        lost=lambda _: None,
        allows=lambda peer: peer.startswith("10."),
        kind10_rate=8_000,
    )


async def test_it_sends_silence_from_the_first_moment(line: Line, pacer: Here) -> None:
    line.connection_made(Transport())
    for _ in range(3):
        pacer.tick()
    assert pacer.wire.written == [SILENCE] * 3


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
        pacing=Here(),
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


async def test_a_flood_is_read_no_faster_than_it_is_worth(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)  # all of it comes in no time
    transport, ear = Transport(), Ear()
    line.connection_made(transport)
    line.listen(ear)
    line.read(HELLO)
    for _ in range(int(BURST_S / 0.02) + 2):
        line.read(FRAME)
    assert not transport.is_reading_now
    assert len(ear.heard_) == int(BURST_S / 0.02) + 2, "and nothing of it is lost"


@pytest.mark.parametrize(
    "message",
    [b"\x03\x00\x015", b"\x02\x00\x00", b"\x10\x00\x00", HELLO],
    ids=["keys", "a kind of tomorrow", "empty sound", "who it is, again"],
)
async def test_a_flood_without_sound_is_read_no_faster_than_it_is_worth(
    message: bytes, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)  # all of it comes in no time
    transport, ear = Transport(), Ear()
    line.connection_made(transport)
    line.listen(ear)
    line.read(HELLO)
    line.read(message * 30)
    assert transport.is_reading_now
    line.read(message * 200)
    assert not transport.is_reading_now


async def test_who_does_not_read_is_not_owed_what_is_old(
    line: Line, pacer: Here
) -> None:
    ear = Ear()
    line.connection_made(Transport())
    line.listen(ear)
    line.say(Piece(b"\x01\x00" * 8_000))
    pacer.tick()
    pacer.wire.is_full = True
    for _ in range(10):
        pacer.tick()
    pacer.wire.is_full = False
    pacer.tick()
    assert len(pacer.wire.written) == 2
    assert line.unsent == 10
    assert [skipped for _, skipped in ear.sent_] == [0, 10]


async def test_it_answers_wideband_in_wideband(line: Line, pacer: Here) -> None:
    ear = Ear()
    line.connection_made(Transport())
    line.listen(ear)
    line.read(HELLO + b"\x12\x02\x80" + b"\x01\x00" * 320)
    pacer.tick()
    assert pacer.wire.written == [b"\x12\x02\x80" + bytes(640)]
    assert line.rate == 16_000


async def test_pieces_are_told_when_they_were_said_or_stopped(
    line: Line, pacer: Here
) -> None:
    ear = Ear()
    line.connection_made(Transport())
    line.listen(ear)
    first, second = Piece(b"\x01\x00" * 160), Piece(b"\x02\x00" * 1_600)
    line.say(first)
    line.say(second)
    pacer.tick()
    assert ear.said_ == [first]
    pacer.tick(skipped=3)
    line.hush()
    assert ear.said_ == [first, second]
    assert second.cut
    assert ear.sent_[1][1] == 3
    pacer.tick()
    assert ear.sent_[2][0] is None


async def test_what_went_out_before_it_was_hushed_is_known(
    line: Line, pacer: Here
) -> None:
    ear = Ear()
    line.connection_made(Transport())
    line.listen(ear)
    piece, next_ = Piece(b"\x01\x00" * 1_600), Piece(b"\x02\x00" * 160)
    line.say(piece)
    pacer.tick()
    pacer.unread = 2
    line.hush()
    assert piece.cut
    assert piece.ended == 3 * 160
    line.say(next_)
    pacer.tick()
    assert [frame[3] for frame in pacer.wire.written] == [1, 1, 1, 2]
    assert b"".join(f for f, _ in ear.sent_ if f) == (piece.pcm[:960] + next_.pcm)


async def test_the_pacer_has_what_comes_next_and_not_all_of_it(
    line: Line, pacer: Here
) -> None:
    line.connection_made(Transport())
    said = bytes(range(1, 251)) * 2 * 8_000  # four minutes
    line.say(Piece(said))
    sent = 0
    while sent < 20 * 16_000:
        assert len(pacer.lane._queue) <= AHEAD_S * 16_000
        pacer.tick()
        sent += 320
    assert b"".join(frame[3:] for frame in pacer.wire.written) == said[:sent]


async def test_a_new_pacer_goes_on_where_the_old_one_told_it_was(
    line: Line, pacer: Here
) -> None:
    line.connection_made(Transport())
    line.say(Piece(b"".join(bytes([n]) * 320 for n in range(1, 30))))
    for _ in range(5):
        pacer.tick()
    line.pace()
    pacer.tick()
    assert [frame[3] for frame in pacer.wire.written] == [1, 2, 3, 4, 5, 6]


async def test_the_end_is_told_once_and_not_to_who_was_forgotten(line: Line) -> None:
    ear = Ear()
    line.connection_made(Transport())
    line.listen(ear)
    line.connection_lost(None)
    line.connection_lost(None)
    assert ear.ends == 1


async def test_hanging_up_says_goodbye_once(line: Line, pacer: Here) -> None:
    transport = Transport()
    line.connection_made(transport)
    line.hang_up()
    line.hang_up()
    assert pacer.wire.written == [b"\x00\x00\x00"]
    assert transport.closed
    assert pacer.wire.is_closed
