"""What our WebSockets add to Daphne's, on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from weakref import WeakSet

import pytest
from scene import eventually
from stack import Stack, listens
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from voiceproject import sockets
from voiceproject.sockets import Socket


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(programs=("web",)) as running:
        yield running


class Wire:
    """What a socket would send."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []

    def __call__(self, *, code: int, reasonUtf8: bytes, isReply: bool) -> None:  # noqa: N803 (autobahn's)
        assert not isReply
        self.frames.append((code, reasonUtf8))


@pytest.mark.parametrize("code", [1000, 1011, 1012, 4003])
def test_every_code_of_ours_goes_out_with_its_reason(code: int) -> None:
    made = Socket()
    made.state = Socket.STATE_OPEN
    made.sendCloseFrame = wire = Wire()
    made.handle_reply({"type": "websocket.close", "code": code, "reason": "Why."})
    assert wire.frames == [(code, b"Why.")]


def test_a_long_reason_is_cut_between_letters() -> None:
    made = Socket()
    made.state = Socket.STATE_OPEN
    made.sendCloseFrame = wire = Wire()
    made.handle_reply({"type": "websocket.close", "code": 4000, "reason": "ü" * 100})
    ((_, reason),) = wire.frames
    assert reason.decode() == "ü" * 61


async def test_a_stopping_web_says_1012_and_why(stack: Stack) -> None:
    session = stack.new_session()
    async with connect(f"{session['audio_url']}&consent=true") as speaker:
        await speaker.send(bytes(640))
        assert await speaker.recv()
        took = await asyncio.to_thread(stack.stop_one, "web")
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(speaker.recv(), 5)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, "again" in closed.value.rcvd.reason) == (1012, True)
    assert took < 4
    stack.start("web")
    await asyncio.to_thread(stack.wait_healthy)


PRESENT = """
from sessions.models import Participant
print(Participant.objects.exclude(held_by="").count())
"""


async def test_a_stopping_web_lets_nobody_in_while_it_settles_who_is_there() -> None:
    slow = {"DJANGO_SETTINGS_MODULE": "slow_settling"}
    with Stack(programs=("web",), **slow) as stack:
        url = f"{stack.new_session()['audio_url']}&consent=true"
        kept = kept_connection(stack)
        async with connect(url) as speaker:
            await speaker.send(bytes(640))
            assert await speaker.recv()
            stopping = asyncio.create_task(asyncio.to_thread(stack.stop_one, "web"))
            await eventually(lambda: not listens(stack.port))
            async with connect(url, sock=kept) as late:
                assert await close_code(late) == 1012
                assert not stopping.done()
            assert await close_code(speaker) == 1012
        await stopping
        assert "web.stopped_early" not in stack.log("web")
        assert stack.manage("shell", "-v0", "-c", PRESENT).strip() == "0"


def kept_connection(stack: Stack) -> socket.socket:
    """As a proxy keeps them: it was used, and may be used again."""
    made = socket.create_connection(("127.0.0.1", stack.port), timeout=10)
    made.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    heard = b""
    while b'"ok"}' not in heard:
        heard += made.recv(1000)
    return made


async def close_code(client: ClientConnection) -> int:
    """With which code the server closes it."""
    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(client.recv(), 5)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


class Transport:
    """A way out that has taken nothing yet."""

    dataBuffer = b""  # noqa: N815 (Twisted's)

    def __init__(self) -> None:
        self.reads = True

    def pauseProducing(self) -> None:
        self.reads = False

    def resumeProducing(self) -> None:
        self.reads = True


def open_socket() -> tuple[Socket, Transport]:
    made, transport = Socket(), Transport()
    made.state, made.transport, made.peer = Socket.STATE_OPEN, transport, "test"
    made.application_queue = asyncio.Queue()
    made.client_addr = None
    made.sendMessage = lambda *_: None
    return made, transport


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What the reactor was asked to do later."""
    asked: list[Callable[[], None]] = []
    monkeypatch.setattr(
        sockets.reactor, "callLater", lambda _, work: asked.append(work)
    )
    return asked


def test_who_never_reads_is_cut_off_in_the_end() -> None:
    made, transport = open_socket()
    cut: list[bool] = []
    made.dropConnection = lambda *, abort: cut.append(abort)
    reply = {"type": "websocket.send", "text": "{}"}
    transport.dataBuffer = bytes(sockets.UNREAD_MAX_BYTES)
    made.handle_reply(reply)
    assert cut == []
    transport.dataBuffer += b"1"
    made.handle_reply(reply)
    assert cut == [True]


def test_of_many_who_read_nothing_those_go_who_have_read_the_least(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "UNREAD_LOOK_S", 0.0)
    monkeypatch.setattr(sockets, "UNREAD_SUM_BYTES", 3_000_000)
    monkeypatch.setattr(sockets, "_open", WeakSet())
    gone: list[int] = []
    everybody = []
    for number, size in enumerate((100_000, 900_000, 1_500_000, 400_000)):
        made, transport = open_socket()
        transport.dataBuffer = bytes(size)
        made.dropConnection = lambda *, abort, number=number: gone.append(number)
        sockets._open.add(made)
        everybody.append((made, transport))
    reply = {"type": "websocket.send", "text": "{}"}
    for made, _ in everybody:
        made.handle_reply(reply)
    assert gone == []
    everybody[0][1].dataBuffer = bytes(300_000)
    everybody[0][0].handle_reply(reply)
    assert gone == [2]
    everybody[1][0].handle_reply(reply)
    assert gone == [2]


def test_a_client_with_large_messages_is_read_only_until_they_are_many_bytes(
    later: list[Callable[[], None]],
) -> None:
    made, transport = open_socket()
    large = bytes(sockets.WAITING_MAX_BYTES // 4)
    for _ in range(4):
        made.onMessage(large, isBinary=True)
        assert transport.reads
    made.onMessage(b"1", isBinary=True)
    assert not transport.reads
    made.application_queue.get_nowait()
    later.pop()()
    assert not transport.reads
    while not made.application_queue.empty():
        made.application_queue.get_nowait()
    later.pop()()
    assert transport.reads
    made.onMessage(large, isBinary=True)
    assert transport.reads


async def test_a_message_that_never_ends_is_not_waited_for(stack: Stack) -> None:
    session = stack.new_session()
    async with connect(f"{session['audio_url']}&consent=true") as speaker:
        never = asyncio.Event()

        async def unfinished() -> AsyncIterator[bytes]:
            yield bytes(sockets.MESSAGE_MAX_BYTES)
            yield b"1"
            await never.wait()

        sending = asyncio.create_task(speaker.send(unfinished()))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(speaker.recv(), 5)
        sending.cancel()


def test_a_client_is_read_only_as_fast_as_it_is_handled(
    later: list[Callable[[], None]],
) -> None:
    made, transport = open_socket()
    for _ in range(sockets.WAITING_MAX):
        assert transport.reads
        made.onMessage(b"", isBinary=True)
    assert not transport.reads
    later.pop()()
    assert not transport.reads
    while made.application_queue.qsize() > sockets.WAITING_MAX // 2:
        made.application_queue.get_nowait()
    later.pop()()
    assert transport.reads
    assert not later


def test_nothing_is_kept_of_one_who_was_told_to_go() -> None:
    made, _ = open_socket()
    made.state = Socket.STATE_CLOSING
    made.onMessage(b"", isBinary=True)
    assert made.application_queue.empty()


async def test_a_flood_that_is_never_read_costs_little_and_is_cut_off(
    stack: Stack,
) -> None:
    """Frames without sound, as many as go: neither memory nor others' time."""
    session = stack.new_session()
    pid = stack.processes["web"].pid
    before = resident_mb(pid)
    flooding = asyncio.create_task(asyncio.to_thread(flood, stack, session))
    slowest = most = 0.0
    while not flooding.done():
        began = time.monotonic()
        assert await asyncio.to_thread(stack.health)
        slowest = max(slowest, time.monotonic() - began)
        most = max(most, resident_mb(pid) - before)
    print(f"{flooding.result()} frames, {most:.0f} MB more, /health in {slowest:.2f} s")
    assert most < 60
    assert slowest < 2.0
    assert flooding.result() < 5_000_000


def flood(stack: Stack, session: dict[str, str]) -> int:
    """Send for as long as the server lets us; how many frames went out."""
    path = session["audio_url"].removeprefix(stack.ws_url) + "&consent=true"
    head = (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    thousand = b"\x82\x80\0\0\0\0" * 1000  # binary, empty, masked
    sent, until = 0, time.monotonic() + 30
    with socket.create_connection(("127.0.0.1", stack.port), timeout=30) as deaf:
        deaf.sendall(head.encode())
        assert b" 101 " in deaf.recv(1000)
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < until:
                deaf.sendall(thousand)
                sent += 1000
            raise AssertionError("nobody stopped the flood")
    return sent


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6
