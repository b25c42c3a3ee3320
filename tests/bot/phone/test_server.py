"""The real server on a real socket: what measured Asterisks do, and what ends a call.

Each test is one of the pitfalls that were found with Asterisk 23.4 at the other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from answering import SILENCE, Ears, calling, opened, over, serving
from channels.db import database_sync_to_async
from pytest_django.fixtures import Settings
from scene import Listener, eventually
from telephone import FRAME, FRAME_S, RATE, noise

from bot.models import Call
from bot.phone import intake, line
from bot.phone import server as phone_server
from bot.phone.caller import Caller, is_sound
from bot.phone.conversation import Answered
from bot.phone.protocol import RATES
from bot.phone.server import PhoneServer
from bot.phone.watchdog import HUNG_S, LOOK_S, Watchdog
from bot.voice.playout import Piece
from sessions.audio.frames import TIMELINE_RATE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quiet")]

in_db = database_sync_to_async
GOODBYE = b"\x00\x00\x00"


# --- what goes out --------------------------------------------------------------------


async def test_silence_comes_from_accept_before_anybody_said_who_they_are(
    ears: Ears,
) -> None:
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(2):
            got = await reader.readexactly(5 * len(SILENCE))
        assert got == SILENCE * 5
        writer.close()


async def test_one_message_is_one_write_at_once(ears: Ears) -> None:
    """Asterisk drops a call whose payload is not there 5 ms behind its header."""
    async with serving() as server, calling(server) as caller:
        call = await opened(server)
        await caller.hears(20, within_s=5)
        assert call.line._transport is not None
        sock = call.line._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert caller.summary().split_messages == 0


async def test_what_is_said_never_runs_ahead_and_ends_with_its_last_frame(
    ears: Ears,
) -> None:
    async with serving() as server, calling(server) as caller:
        call = await opened(server)
        await caller.hears(5, within_s=5)
        call.line.say(Piece(noise(1.0).tobytes()))
        asked_s = caller.heard[-1].arrival_s
        await caller.hears(len(caller.heard) + 60, within_s=5)
        at = [one.arrival_s for one in caller.heard if is_sound(one.audio.pcm)]
        assert len(at) == 1.0 / FRAME_S
        ahead = [n * FRAME_S - (one - asked_s) for n, one in enumerate(at)]
        assert max(ahead) <= 2 * FRAME_S


@pytest.mark.alone
async def test_a_loop_that_stands_still_keeps_nobody_from_hearing(ears: Ears) -> None:
    """What is said goes on meanwhile, and is known and recorded afterwards."""
    async with serving() as server:
        told: list[int] = []
        piece = Piece(bytes(range(1, 201)) * 160)  # 2 s
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.settimeout(5)
            sock.sendall(b"\x01\x00\x10" + uuid.uuid4().bytes)
            line = (await opened(server)).line
            line.say(piece)
            await eventually(lambda: piece.begun is not None)
            begun = time.monotonic()
            while time.monotonic() - begun < 1.0:  # the loop stands still
                told.append(len(sock.recv(1 << 16)))
            frames = sum(told) / len(SILENCE)
            assert frames >= 40
            await eventually(lambda: piece.ended is not None)
        assert piece.ended is not None
        assert piece.begun is not None
        assert piece.ended - piece.begun == len(piece.pcm) // 2


async def test_the_end_is_a_goodbye_behind_the_last_frame(ears: Ears) -> None:
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x01\x00\x10" + uuid.uuid4().bytes)
        (await opened(server)).line.hang_up()
        async with asyncio.timeout(5):
            got = await reader.read()  # to the end of the stream
        assert got == SILENCE * (len(got) // len(SILENCE)) + GOODBYE
        writer.close()


# --- what comes in --------------------------------------------------------------------


@pytest.mark.parametrize("frame_ms", [10, 30, 60])
async def test_frames_of_any_length_are_heard_to_the_sample(
    ears: Ears, frame_ms: int
) -> None:
    sound = noise(0.6)
    async with serving() as server:
        async with calling(server, frame_ms=frame_ms) as caller:
            await caller.say(sound, RATE)
        await over(server)
    (ear,) = ears.of_caller()
    assert np.array_equal(ear.pcm, sound)


async def test_frames_with_odd_tails_shift_nothing(ears: Ears) -> None:
    """156 bytes behind a key, and half a sample that belongs to no frame."""
    sound = noise(0.4)
    pieces, at = [], 0
    for size in (78, 160, 240, 480):
        pieces.append(sound[at : at + size])
        at += size
    async with serving() as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x01\x00\x10" + uuid.uuid4().bytes)
        for piece in pieces:
            payload = piece.tobytes() + b"\x7f"
            writer.write(b"\x10" + len(payload).to_bytes(2, "big") + payload)
        await writer.drain()
        await eventually(lambda: bool(ears.of_caller()))
        writer.close()
        await over(server)
    (ear,) = ears.of_caller()
    assert np.array_equal(ear.pcm, sound[:at])


@pytest.mark.parametrize("rate", sorted({*RATES.values()} - {RATE}))
async def test_every_rate_is_heard_at_its_pitch(ears: Ears, rate: int) -> None:
    tone = np.sin(np.arange(rate // 2) * 2 * np.pi * 1000 / rate) * 10_000
    async with serving() as server:
        async with calling(server) as caller:
            await caller.say(tone.astype(np.int16), rate)
        await over(server)
    (ear,) = ears.of_caller()
    assert {placed.rate for placed in ear.heard} == {
        rate if TIMELINE_RATE % rate == 0 else TIMELINE_RATE
    }
    heard, at_rate = ear.pcm.astype(float), ear.heard[0].rate
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert np.argmax(spectrum) * at_rate / len(heard) == pytest.approx(1000, abs=5)
    assert len(heard) / at_rate == pytest.approx(0.5, abs=0.02)


@pytest.mark.alone
async def test_hold_is_a_gap_of_its_length(ears: Ears) -> None:
    before, after = noise(0.7, seed=1), noise(0.7, seed=2)

    away_s: list[float] = []

    async def hold(caller: Caller) -> None:
        await caller.say(before, RATE)
        left = time.monotonic()
        await caller.be_away(1.0)
        away_s.append(time.monotonic() - left)  # a busy machine comes back late
        await caller.say(after, RATE)

    async with serving() as server:
        await from_elsewhere(server, hold)
        await over(server)
    (ear,) = ears.of_caller()
    assert np.array_equal(ear.pcm, np.concatenate([before, after]))
    (gap_s,) = gaps_s(ear)
    assert gap_s == pytest.approx(away_s[0], abs=0.04)


@pytest.mark.alone
async def test_a_key_is_a_gap_of_80_ms(ears: Ears) -> None:
    async def press(caller: Caller) -> None:
        await caller.say(noise(1.4), RATE, digits=[(0.7, "5")])

    async with serving() as server:
        await from_elsewhere(server, press)
        await over(server)
    (ear,) = ears.of_caller()
    heard = sum(len(placed.pcm) for placed in ear.heard) / RATE
    assert heard == pytest.approx(1.4 - 0.08, abs=0.021)
    (gap_s,) = gaps_s(ear)
    assert gap_s == pytest.approx(0.08, abs=0.04)


def gaps_s(ear: Listener) -> list[float]:
    """How long nothing stands between two pieces of a track."""
    ends = [one.position + len(one.pcm) * TIMELINE_RATE // RATE for one in ear.heard]
    begins = [one.position for one in ear.heard[1:]]
    gaps = [begin - end for end, begin in zip(ends, begins, strict=False)]
    return [gap / TIMELINE_RATE for gap in gaps if gap]


async def from_elsewhere(
    server: PhoneServer, talk: Callable[[Caller], Awaitable[None]]
) -> None:
    """A caller beside our loop, whose frames do not wait for it: the call has its
    session before the talk begins."""

    async def whole_call() -> None:
        caller = Caller("127.0.0.1", server.port)
        await caller.connect()
        await asyncio.to_thread(is_open.wait, 5)
        await talk(caller)
        caller.hang_up()

    is_open = threading.Event()
    call = asyncio.create_task(asyncio.to_thread(asyncio.run, whole_call()))
    await opened(server)
    is_open.set()
    await call


async def test_what_waited_for_the_opening_stands_where_it_came(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hold while the call is being opened is as long as any other."""
    may_open = asyncio.Event()
    answer = phone_server.answer

    async def answer_late(uuid: uuid.UUID, **known: Any) -> Answered:
        await may_open.wait()
        return await answer(uuid, **known)

    monkeypatch.setattr(phone_server, "answer", answer_late)
    first_said, then_said = noise(0.7, seed=1), noise(0.7, seed=2)
    async with serving() as server:
        async with calling(server) as caller:
            await caller.say(first_said, RATE)
            await caller.be_away(1.0)
            await caller.say(then_said, RATE)
            may_open.set()
            await opened(server)
        await over(server)
    (ear,) = ears.of_caller()
    assert np.array_equal(ear.pcm, np.concatenate([first_said, then_said]))
    (gap_s,) = gaps_s(ear)
    assert gap_s == pytest.approx(1.0, abs=0.04)


# --- who is let in --------------------------------------------------------------------


async def test_a_connection_without_a_uuid_is_let_go_after_five_seconds(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert line.UUID_WITHIN_S == 5
    monkeypatch.setattr(line, "UUID_WITHIN_S", 0.5)
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        began = time.monotonic()
        async with asyncio.timeout(4):
            await reader.read()
        assert time.monotonic() - began == pytest.approx(0.5, abs=0.3)
        writer.close()
        assert not await in_db(Call.objects.count)()


async def test_strict_refuses_a_uuid_nobody_announced(
    ears: Ears, settings: Settings
) -> None:
    settings.AUDIOSOCKET_STRICT = True
    async with serving() as server, calling(server) as caller:
        await caller.over(within_s=5)
        assert caller.end == "goodbye"
        assert not server.conversations
    assert not await in_db(Call.objects.count)()


@pytest.mark.parametrize(
    ("networks", "is_let_in"),
    [(["10.0.0.0/8"], False), (["10.0.0.0/8", "127.0.0.0/8"], True)],
)
async def test_only_named_networks_are_let_in(
    ears: Ears, settings: Settings, networks: list[str], *, is_let_in: bool
) -> None:
    settings.AUDIOSOCKET_ALLOW = networks
    async with serving() as server, calling(server) as caller:
        if is_let_in:
            await caller.hears(3, within_s=5)
        else:
            await caller.over(within_s=5)
            assert not caller.heard


async def test_the_newest_connection_of_a_uuid_has_the_call(ears: Ears) -> None:
    call = uuid.uuid4()
    first_said, then_said = noise(0.7, seed=1), noise(0.7, seed=2)
    async with serving() as server:
        async with calling(server, call=call) as first:
            await first.say(first_said, RATE)
            await opened(server)
            async with calling(server, call=call) as second:
                await first.over(within_s=5)
                await second.say(then_said, RATE)
                assert len(server.conversations) == 1
        await over(server)
    rows = await in_db(lambda: list(Call.objects.select_related("session")))()
    assert [row.uuid for row in rows] == [call]
    (ear,) = ears.of_caller()  # one track, one timeline
    assert np.array_equal(ear.pcm, np.concatenate([first_said, then_said]))


# --- when we are the fault ------------------------------------------------------------


async def test_who_never_reads_is_heard_all_the_same(ears: Ears) -> None:
    sound = noise(0.5)
    async with serving() as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"\x01\x00\x10" + uuid.uuid4().bytes)
        for frame in sound.reshape(-1, FRAME):
            writer.write(b"\x10\x01\x40" + frame.tobytes())
            await asyncio.sleep(FRAME_S)
        writer.close()
        await over(server)
    (ear,) = ears.of_caller()
    assert np.array_equal(ear.pcm, sound)


async def test_who_hangs_up_while_we_lag_behind_loses_nothing(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own next frame, to nobody, ends the connection before all of it is read."""
    monkeypatch.setattr(intake, "BURST_S", 0.2)
    sound = noise(1.0)
    async with serving() as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x01\x00\x10" + uuid.uuid4().bytes)
        call = await opened(server)
        await asyncio.sleep(1.0)  # on hold
        for frame in sound.reshape(-1, FRAME):
            writer.write(b"\x10\x01\x40" + frame.tobytes())
        await eventually(lambda: call.line._is_paused)
        writer.close()
        await over(server)
    (ear,) = ears.of_caller()
    assert np.array_equal(ear.pcm, sound)


async def test_a_call_that_was_over_before_we_had_a_moment_is_kept(ears: Ears) -> None:
    sound = noise(0.5)
    async with serving() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(b"\x01\x00\x10" + uuid.uuid4().bytes)
            for frame in sound.reshape(-1, FRAME):
                sock.sendall(b"\x10\x01\x40" + frame.tobytes())
        await eventually(lambda: bool(ears.of_caller()))
        await over(server)
    (ear,) = ears.of_caller()
    assert np.array_equal(ear.pcm, sound)


async def test_a_hung_loop_lets_its_calls_go_elsewhere(ears: Ears) -> None:
    """A server that hangs is dead air; Asterisk would wait for ever."""
    async with serving() as server:
        watchdog = Watchdog(lambda: server.pacing.beat_at, server.cut_all)
        cut_at: list[float] = []
        async with calling(server) as caller:
            held = await opened(server)
            other = threading.Thread(target=hang_up_of, args=(server, cut_at))
            other.start()
            await asyncio.sleep(0.3)  # it is on the line, too
            watchdog.start()
            hung_at = time.monotonic()
            time.sleep(HUNG_S + 2 * LOOK_S + 0.3)  # noqa: ASYNC251 (the loop hangs)
            watchdog.stop()
            await caller.over(within_s=5)
            await asyncio.to_thread(other.join)
        assert held.line.was_cut
        await over(server)
        row = await in_db(lambda: Call.objects.get(uuid=caller.call))()
        assert row.ended_at is None  # whoever is dialled next goes on with it
    assert HUNG_S - 0.5 <= cut_at[0] - hung_at <= HUNG_S + 2 * LOOK_S + 0.5


def hang_up_of(server: PhoneServer, told: list[float]) -> None:
    """A line outside of the loop: when it hears the end."""
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.settimeout(10)
        sock.sendall(b"\x01\x00\x10" + uuid.uuid4().bytes)
        with contextlib.suppress(OSError):
            while sock.recv(4096):
                pass
        told.append(time.monotonic())


# --- how many there may be ------------------------------------------------------------


async def test_of_many_calls_at_once_no_more_are_taken_than_there_may_be(
    ears: Ears,
) -> None:
    async with serving(max_calls=2) as server, contextlib.AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(server)) for _ in range(5)]
        await eventually(lambda: server.refused == 3)
        await eventually(lambda: len(server.conversations) == 2)
        await eventually(lambda: [one.end for one in callers].count("goodbye") == 3)
        assert await in_db(Call.objects.count)() == 2


async def test_who_comes_back_over_and_over_is_let_go(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving() as server, calling(server) as caller:
        await opened(server)
        monkeypatch.setattr(server._door, "may_ask", lambda peer: False)
        async with calling(server, call=caller.call) as again:
            await again.over(within_s=5)
            assert again.end == "goodbye"
        assert [one.is_over for one in server.conversations] == [False]
