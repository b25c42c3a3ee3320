"""What is too large, too slow or one too many is refused before it costs anything."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from stack import Stack, hurried, wait_for
from websockets.asyncio.client import connect

from voiceproject.uploads import (
    BODY_LEAST_BYTES_PER_S,
    BODY_MAX_BYTES,
    FOR_EACH,
    Request,
)

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(programs=("web",)) as running:
        yield running


def refusal(stack: Stack, head: str, *chunks: bytes) -> tuple[bytes, dict[str, str]]:
    """The status line and JSON of an answer that comes although more would follow."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=10) as client:
        begin = f"POST /api/sessions HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n"
        client.sendall(begin.encode())
        try:
            for chunk in chunks:
                client.sendall(chunk)
        except ConnectionError:
            pass  # it hung up already
        answer = b""
        try:
            while more := client.recv(4096):
                answer += more
        except ConnectionError:
            pass
    first, _, rest = answer.partition(b"\r\n")
    found: dict[str, str] = json.loads(rest.partition(b"\r\n\r\n")[2] or b"{}")
    return first, found


def test_a_length_that_is_too_large_is_refused_at_once(stack: Stack) -> None:
    status, answer = refusal(stack, f"Content-Length: {10**12}")
    assert status == b"HTTP/1.1 413 Content Too Large"
    assert answer["code"] == "too_large"


def test_an_endless_body_is_cut_off(stack: Stack) -> None:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    chunk = b"10000\r\n" + bytes(65_536) + b"\r\n"
    status, _ = refusal(stack, "Transfer-Encoding: chunked", *[chunk] * 1000)
    assert status in (b"HTTP/1.1 413 Content Too Large", b"")  # b"": reset came first
    assert free - shutil.disk_usage(tempfile.gettempdir()).free < 30e6
    assert stack.health()


def test_what_is_not_too_large_gets_its_answer(stack: Stack) -> None:
    body = json.dumps({"title": "x" * 60_000}).encode()
    auth = f"Authorization: Bearer {stack.token}\r\nContent-Type: application/json\r\n"
    head = f"{auth}Content-Length: {len(body)}\r\nConnection: close"
    status, answer = refusal(stack, head, body)
    assert (status.split()[1], answer["code"]) == (b"422", "invalid")
    assert len(body) < BODY_MAX_BYTES


def test_more_than_all_bodies_together_may_be_is_refused_until_they_are_gone() -> None:
    small: dict[str, float] = {"voiceproject.uploads.BODIES_MAX_BYTES": 300_000}
    with Stack(programs=("web",), **hurried(small)) as stack:
        head = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 120000"
        with contextlib.ExitStack() as clients:
            for _ in range(2):  # all but the last byte
                client = clients.enter_context(connected(stack))
                client.sendall(head + b"\r\n\r\n" + bytes(119_999))
            time.sleep(0.3)
            status, answer = refusal(stack, "Content-Length: 120000", bytes(119_999))
            assert (status.split()[1], answer["code"]) == (b"503", "busy")
            assert stack.health()
        wait_for("room", lambda: stack.health() and fits(stack), within_s=5)


def fits(stack: Stack) -> bool:
    auth = f"Authorization: Bearer {stack.token}\r\nContent-Type: application/json\r\n"
    body = json.dumps({"title": "x" * 60_000}).encode()
    head = f"{auth}Content-Length: {len(body)}\r\nConnection: close"
    return refusal(stack, head, body)[0].split()[1] == b"422"


HEAD_S = 1.5
ASK = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def impatient() -> Iterator[Stack]:
    soon = hurried({"voiceproject.uploads.HEAD_S": HEAD_S})
    with Stack(programs=("web",), **soon) as running:
        yield running


@contextlib.contextmanager
def connected(stack: Stack) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", stack.port), timeout=10) as client:
        yield client


def drip(
    client: socket.socket, data: bytes, *, first: bytes = b""
) -> tuple[float, bytes]:
    """Byte by byte, ten a second, until we are hung up on: after how many seconds, and
    what was said."""
    began, said = time.monotonic(), b""
    client.sendall(first)
    client.settimeout(0.1)
    with contextlib.suppress(ConnectionError):
        for at in range(len(data)):
            client.sendall(data[at : at + 1])
            with contextlib.suppress(TimeoutError):
                if not (more := client.recv(4096)):
                    break
                said += more
    return time.monotonic() - began, said


def answered(client: socket.socket) -> bytes:
    """The status line of an answer that is read whole."""
    client.settimeout(30)
    answer = client.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(one for one in head.split(b"\r\n") if one.startswith(b"Content-Len"))
    while len(body) < int(length.split(b":")[1]):
        body += client.recv(65536)
    return head.partition(b"\r\n")[0]


def test_a_head_that_comes_byte_by_byte_is_cut_off(impatient: Stack) -> None:
    began = time.monotonic()
    with connected(impatient) as client:
        _, said = drip(client, ASK + b"X: " + b"x" * 200)
        took = time.monotonic() - began
    assert said.startswith(b"HTTP/1.1 408 ")
    assert json.loads(said.partition(b"\r\n\r\n")[2])["code"] == "too_slow"
    assert HEAD_S <= took < HEAD_S + 2


def test_so_is_one_behind_a_good_request_but_a_pause_between_them_is_not(
    impatient: Stack,
) -> None:
    with connected(impatient) as client:
        for _ in range(2):
            client.sendall(ASK + b"\r\n")
            assert answered(client) == b"HTTP/1.1 200 OK"
            time.sleep(HEAD_S + 0.5)
        took, said = drip(client, ASK + b"X: " + b"x" * 200)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert HEAD_S <= took < HEAD_S + 2


def test_who_says_nothing_is_hung_up_on_without_a_word(impatient: Stack) -> None:
    with connected(impatient) as client:
        assert client.recv(4096) == b""


def body_of(stack: Stack, size: int) -> tuple[bytes, bytes]:
    """A request to open a session: its head, and a body of so many bytes."""
    body = json.dumps({"title": "x" * (size - 13)}).encode()
    head = (
        "POST /api/sessions HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {stack.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode(), body


def test_a_body_that_comes_byte_by_byte_is_cut_off(impatient: Stack) -> None:
    head, body = body_of(impatient, 200)
    with connected(impatient) as client:
        took, said = drip(client, body, first=head)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert HEAD_S <= took < HEAD_S + 2


def test_an_upload_over_a_slow_line_is_taken(impatient: Stack) -> None:
    head, body = body_of(impatient, 12_000)
    began = time.monotonic()
    with connected(impatient) as client:
        client.sendall(head)
        while body:
            client.sendall(body[: BODY_LEAST_BYTES_PER_S // 4])
            body = body[BODY_LEAST_BYTES_PER_S // 4 :]
            time.sleep(0.1)
        assert answered(client).startswith(b"HTTP/1.1 422 ")
    assert time.monotonic() - began > 2 * HEAD_S


async def test_what_stays_open_stays_open(impatient: Stack) -> None:
    session = impatient.new_session()
    events = f"/api/sessions/{session['id']}/events?token={session['token']}"
    async with connect(f"{session['audio_url']}&consent=true") as speaker:
        with connected(impatient) as reader:
            reader.sendall(f"GET {events} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert b" 200 " in reader.recv(65536)
            await asyncio.sleep(HEAD_S + 1)
            await speaker.send(bytes(640))
            assert json.loads(await speaker.recv())["ok"]
            await speaker.send('{"type": "stop"}')
            assert reader.recv(65536)  # that somebody left


async def test_one_address_has_only_so_many_connections() -> None:
    with Stack(programs=("web",), CONNECTIONS_PER_ADDRESS="1") as stack:
        session = stack.new_session()
        async with connect(f"{session['audio_url']}&consent=true") as speaker:
            with contextlib.ExitStack() as held:
                for _ in range(FOR_EACH):  # a WebSocket is none of them
                    client = held.enter_context(connected(stack))
                    client.sendall(ASK + b"\r\n")
                    assert answered(client) == b"HTTP/1.1 200 OK"
                with connected(stack) as one_more:
                    assert answered(one_more) == b"HTTP/1.1 429 Too Many Requests"
                await speaker.send(bytes(640))
                assert json.loads(await speaker.recv())["ok"]
            assert stack.health()


def test_a_proxy_of_ours_may_have_as_many_as_it_needs() -> None:
    of_proxy = {"CONNECTIONS_PER_ADDRESS": "1", "TRUSTED_PROXIES": "1"}
    with Stack(programs=("web",), **of_proxy) as stack, contextlib.ExitStack() as held:
        for _ in range(2 * FOR_EACH):
            client = held.enter_context(connected(stack))
            client.sendall(ASK + b"\r\n")
            assert answered(client) == b"HTTP/1.1 200 OK"


class Line:
    """A connection that can be cut."""

    def __init__(self) -> None:
        self.cut = 0

    def abortConnection(self) -> None:
        self.cut += 1


def test_an_answer_that_fails_in_its_middle_is_cut_off_and_nothing_else_is() -> None:
    request, channel = Request.__new__(Request), SimpleNamespace(transport=Line())
    request.channel, request.finished, request._response_started = channel, 0, True
    request.handle_exception(OSError("a disk"))
    assert channel.transport.cut == 1
    request.channel, request.finished = None, 1  # as it is behind its end
    request.handle_exception(OSError("a disk"))
    assert channel.transport.cut == 1
