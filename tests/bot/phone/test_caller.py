"""The caller for trying out: what it sends and when, and what it says of an answer."""

from __future__ import annotations

import asyncio
import contextlib
import io
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import bad_callers
import numpy as np
import pytest
from django.core.management import CommandError, call_command
from numpy.typing import NDArray

from bot.phone import clips
from bot.phone.caller import Caller, Heard
from bot.phone.protocol import (
    Audio,
    Decoder,
    Digit,
    Identified,
    Message,
    audio,
    hang_up,
)

CALL = UUID("40325ec2-5efd-4bd3-805f-53576e581d13")
HOST = "127.0.0.1"
TONE = (8_000 * np.sin(np.arange(8_000) * 0.2)).astype(np.int16)


@dataclass
class Clock:
    """Time that passes only while somebody sleeps."""

    now_s: float = 100.0
    woken_s: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.woken_s.append(self.now_s)
        await asyncio.sleep(0)


@dataclass
class Exchange:
    """A server that answers each message by `answer`, and keeps them all."""

    answer: Callable[[Message], bytes]
    kind10_rate: int = 8_000
    port: int = 0
    messages: list[Message] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        decoder = Decoder(kind10_rate=self.kind10_rate)
        # A caller who closes before it has read everything resets the connection.
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                for message in decoder.feed(data):
                    self.messages.append(message)
                    writer.write(self.answer(message))
            writer.close()
            await writer.wait_closed()
        self.hung_up.set()

    @property
    def heard(self) -> list[Audio]:
        return [m for m in self.messages if isinstance(m, Audio)]

    @property
    def samples(self) -> NDArray[np.int16]:
        return np.frombuffer(b"".join(a.pcm for a in self.heard), "<i2")


def echo(message: Message) -> bytes:
    return audio(message.pcm, 0x10) if isinstance(message, Audio) else b""


def says(data: bytes) -> Callable[[Message], bytes]:
    """A server whose only words are these, to the UUID."""
    return lambda message: data if isinstance(message, Identified) else b""


@asynccontextmanager
async def exchange(
    answer: Callable[[Message], bytes], *, kind10_rate: int = 8_000
) -> AsyncIterator[Exchange]:
    ours = Exchange(answer, kind10_rate)
    server = await asyncio.start_server(ours.serve, HOST, 0)
    ours.port = server.sockets[0].getsockname()[1]
    async with server:
        yield ours


async def finish(caller: Caller, server: Exchange) -> None:
    """Hang up when all that was sent has been answered."""
    await caller.hears(caller.summary().frames_sent, within_s=5)
    caller.hang_up()
    await caller.over(within_s=5)
    await asyncio.wait_for(server.hung_up.wait(), 5)


async def test_a_caller_is_heard_to_the_sample_and_hears_the_same() -> None:
    clock = Clock()
    async with exchange(echo) as server:
        caller = Caller(HOST, server.port, call=CALL, clock=clock, sleep=clock.sleep)
        await caller.connect()
        await caller.say(TONE, 8_000)
        await finish(caller, server)
    assert server.messages[0] == Identified(CALL)
    assert np.array_equal(server.samples, TONE)
    assert [heard.audio for heard in caller.heard] == server.heard
    assert caller.end == "hung up here"


async def test_frames_leave_every_20_ms_and_the_next_sound_right_behind() -> None:
    clock = Clock()
    async with exchange(echo) as server:
        caller = Caller(HOST, server.port, clock=clock, sleep=clock.sleep)
        await caller.connect()
        await caller.say(TONE[:1_000], 8_000)
        await caller.wait(0.1)
        await finish(caller, server)
    assert len(server.heard) == 7 + 5
    expected = 100.02 + 0.02 * np.arange(11)
    assert np.allclose(clock.woken_s, expected)
    assert not server.samples[1_000:].any()


async def test_a_stall_of_ours_moves_no_later_frame() -> None:
    clock = Clock()
    async with exchange(echo) as server:
        caller = Caller(HOST, server.port, clock=clock, sleep=clock.sleep)
        await caller.connect()
        clock.now_s += 0.05
        await caller.say(TONE[:160], 8_000)
        clock.now_s += 0.015
        await caller.say(TONE[:320], 8_000)
        await finish(caller, server)
    assert np.allclose(clock.woken_s, [100.07, 100.09])


async def test_while_away_nothing_is_sent() -> None:
    clock = Clock()
    async with exchange(echo) as server:
        caller = Caller(HOST, server.port, clock=clock, sleep=clock.sleep)
        await caller.connect()
        await caller.be_away(2.0)
        await caller.say(TONE[:160], 8_000)
        await finish(caller, server)
    assert len(server.heard) == 1
    assert clock.now_s == 102.0


@pytest.mark.parametrize(("frame_ms", "size"), [(10, 160), (30, 480), (60, 960)])
async def test_frames_are_as_long_as_the_telephone_makes_them(
    frame_ms: int, size: int
) -> None:
    clock = Clock()
    async with exchange(echo) as server:
        caller = Caller(
            HOST, server.port, frame_ms=frame_ms, clock=clock, sleep=clock.sleep
        )
        await caller.connect()
        await caller.say(TONE[:960], 8_000)
        await finish(caller, server)
    assert {len(heard.pcm) for heard in server.heard} == {size}
    assert np.array_equal(server.samples[:960], TONE[:960])


async def test_a_key_takes_80_ms_of_sound_and_comes_at_its_end() -> None:
    clock = Clock()
    async with exchange(echo) as server:
        caller = Caller(HOST, server.port, clock=clock, sleep=clock.sleep)
        await caller.connect()
        await caller.say(TONE[:3_200], 8_000, digits=[(0.3, "#"), (0.1, "5")])
        await finish(caller, server)
    kinds = ["a" if isinstance(m, Audio) else "." for m in server.messages[1:]]
    assert "".join(kinds) == "aaaaa.aaaaaa.a"
    digits = [m for m in server.messages if isinstance(m, Digit)]
    assert digits == [Digit("5"), Digit("#")]
    assert caller.summary().frames_withheld == 8


async def test_a_key_may_be_pressed_behind_the_sound() -> None:
    clock = Clock()
    async with exchange(echo) as server:
        caller = Caller(HOST, server.port, clock=clock, sleep=clock.sleep)
        await caller.connect()
        await caller.say(TONE[:160], 8_000, digits=[(0.1, "1")])
        await finish(caller, server)
    assert server.messages[-1] == Digit("1")
    assert len(server.heard) == 5


async def test_the_rate_chooses_the_kind() -> None:
    clock = Clock()
    async with exchange(lambda _: b"") as server:
        caller = Caller(HOST, server.port, clock=clock, sleep=clock.sleep)
        await caller.connect()
        await caller.say(TONE[:320], 16_000)
        await caller.say(TONE[:960], 48_000)
        caller.hang_up()
        await asyncio.wait_for(server.hung_up.wait(), 5)
    assert [a.rate for a in server.heard] == [16_000, 48_000]


async def test_as_old_asterisk_it_calls_16_khz_0x10() -> None:
    clock = Clock()
    async with exchange(echo, kind10_rate=16_000) as server:
        caller = Caller(
            HOST, server.port, kind10_rate=16_000, clock=clock, sleep=clock.sleep
        )
        await caller.connect()
        await caller.say(TONE[:640], 16_000)
        await finish(caller, server)
    assert [a.rate for a in server.heard] == [16_000, 16_000]
    assert caller.heard[0].audio == Audio(TONE[:320].tobytes(), 16_000)


async def test_there_is_no_kind_for_any_rate() -> None:
    caller = Caller(HOST, 1)
    with pytest.raises(ValueError, match="11025"):
        await caller.say(TONE, 11_025)


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (hang_up(), "goodbye"),
        (bytes.fromhex("100000"), "kind 0x10, 0 bytes"),
        (bytes.fromhex("01001000112233445566778899aabbccddeeff"), "kind 0x01"),
        (bytes.fromhex("03000131"), "kind 0x03"),
        (bytes.fromhex("ff000101"), "kind 0xff"),
        (bytes.fromhex("190002 0000"), "kind 0x19"),
    ],
)
async def test_what_would_end_a_real_call_ends_this_one(
    answer: bytes, end: str
) -> None:
    async with exchange(says(answer + audio(bytes(320), 0x10))) as server:
        caller = Caller(HOST, server.port)
        await caller.connect()
        await caller.over(within_s=5)
        await caller.wait(60)
    assert end in caller.end
    assert not caller.heard


async def test_half_a_message_is_counted() -> None:
    frame = audio(TONE[:160].tobytes(), 0x10)
    async with exchange(says(frame + frame[:100])) as server:
        caller = Caller(HOST, server.port)
        await caller.connect()
        await caller.hears(1, within_s=5)
        assert caller.summary().split_messages == 1
        caller.hang_up()
        await asyncio.wait_for(server.hung_up.wait(), 5)


async def test_nobody_there_is_an_error() -> None:
    async with exchange(echo) as server:
        pass
    with pytest.raises(OSError):
        await Caller(HOST, server.port).connect()


def test_the_summary_tells_silence_from_sound_and_finds_the_gaps() -> None:
    clock = Clock()
    caller = Caller(HOST, 1, clock=clock)
    quiet, loud = bytes(320), TONE[:160].tobytes()
    for arrival_s, pcm in ((0.01, quiet), (0.03, quiet), (0.1, loud), (0.12, loud)):
        caller.heard.append(Heard(arrival_s, Audio(pcm, 8_000)))
    summary = caller.summary()
    assert summary.frames_received == 4
    assert summary.sound_received_s == pytest.approx(0.08)
    assert summary.first_frame_ms == pytest.approx(10)
    assert summary.first_sound_ms == pytest.approx(100)
    assert (summary.gaps, round(summary.longest_gap_ms)) == (1, 70)


# --- files ----------------------------------------------------------------------------


def wav(path: Path, sound: NDArray[np.int16], *, rate: int, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(sound.astype("<i2").tobytes())
    return path


def test_a_mono_file_of_the_same_rate_is_read_to_the_sample(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", TONE, rate=8_000)
    assert np.array_equal(clips.read(path, rate=8_000), TONE)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_a_file_of_any_rate_and_both_channels_becomes_mono(
    tmp_path: Path, rate: int
) -> None:
    time_s = np.arange(rate) / rate
    tone = (8_000 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16)
    path = wav(tmp_path / "a.wav", np.repeat(tone, 2), rate=rate, channels=2)
    read = clips.read(path, rate=16_000).astype(float)
    assert abs(len(read) - 16_000) <= 1
    wanted = 8_000 * np.sin(2 * np.pi * 440 * np.arange(len(read)) / 16_000)
    inner = slice(800, -800)
    assert np.abs(read - wanted)[inner].max() < 80


def test_what_was_heard_stands_where_it_came() -> None:
    frame = TONE[:160]
    heard = [
        Heard(at_s, Audio(frame.tobytes(), 8_000)) for at_s in (0.1, 0.15, 0.139, 1.0)
    ]
    played = clips.timeline(heard, rate=8_000)
    assert not played[:800].any()
    assert np.array_equal(played[800:1_280], np.tile(frame, 3))
    assert not played[1_280:8_000].any()
    assert np.array_equal(played[8_000:], frame)


def test_what_was_heard_may_have_two_rates() -> None:
    heard = [
        Heard(0.0, Audio(bytes(320), 8_000)),
        Heard(0.02, Audio(bytes(640), 16_000)),
    ]
    assert len(clips.timeline(heard, rate=16_000)) == 640
    assert len(clips.timeline([], rate=16_000)) == 0


# --- the command ----------------------------------------------------------------------


async def test_the_command_calls_tells_and_keeps_what_it_heard(tmp_path: Path) -> None:
    said, kept = wav(tmp_path / "a.wav", TONE, rate=8_000), tmp_path / "out.wav"
    told = io.StringIO()
    async with exchange(echo) as server:
        await asyncio.to_thread(
            call_command,
            "call",
            str(said),
            *("--port", str(server.port), "--uuid", str(CALL), "--seconds", "0.5"),
            *("--digits", "5@0.1", "--out", str(kept)),
            stdout=told,
        )
        await asyncio.wait_for(server.hung_up.wait(), 5)
    assert f"uuid: {CALL}\n" in told.getvalue()
    assert "frames_sent: 21\n" in told.getvalue()
    assert "end: hung up here\n" in told.getvalue()
    assert Digit("5") in server.messages
    assert np.array_equal(server.samples[:800], TONE[:800])
    assert len(clips.read(kept, rate=8_000)) >= 20 * 160


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read as sound"):
        call_command("call", str(tmp_path / "none.wav"))
    said = wav(tmp_path / "a.wav", TONE, rate=8_000)
    with pytest.raises(CommandError, match="5x1 is not a key"):
        call_command("call", str(said), "--digits", "5x1")
    with pytest.raises(CommandError, match="Nobody answers"):
        call_command("call", str(said), "--port", "1")


# --- bad callers ----------------------------------------------------------------------


@asynccontextmanager
async def patience(*, lets_go: bool = False) -> AsyncIterator[tuple[int, list[int]]]:
    """A server that takes everything, or closes at once; its port, and what came."""
    received: list[int] = []
    gone = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while not lets_go and (data := await reader.read(65_536)):
                received.append(len(data))
            writer.close()
            await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(take, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], received
        await asyncio.wait_for(gone.wait(), 5)


@pytest.mark.parametrize("caller", bad_callers.ALL, ids=lambda caller: caller.__name__)
async def test_a_bad_caller_goes_on_until_its_time_is_over(
    caller: bad_callers.BadCaller,
) -> None:
    async with patience() as (port, received):
        assert await caller(HOST, port, seconds=0.1) is None
    assert bool(received) is (caller is not bad_callers.silent)


async def test_a_bad_caller_tells_when_it_was_let_go() -> None:
    async with patience(lets_go=True) as (port, _):
        took_s = await bad_callers.silent(HOST, port, seconds=5.0)
    assert took_s is not None
    assert took_s < 5.0
