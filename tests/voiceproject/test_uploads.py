"""A body that is too large is refused before it costs anything."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from collections.abc import Iterator

import pytest
from stack import Stack

from voiceproject.uploads import BODY_MAX_BYTES


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
