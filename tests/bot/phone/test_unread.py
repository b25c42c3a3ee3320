"""What the kernel still has of a connection."""

from __future__ import annotations

import os
import socket

from bot.phone.unread import Unread


def test_what_was_not_read_is_there_when_the_other_end_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        caller = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
        with ours:
            unread = Unread(ours.fileno())
            caller.sendall(b"last words")
            caller.close()
            ours.sendall(b"to nobody")  # the answer to this ends the connection
            assert unread.read() == b"last words"
            assert unread.read() == b""


def test_a_socket_that_is_closed_is_not_mistaken_for_the_next() -> None:
    first, other = socket.socketpair()
    unread = Unread(first.fileno())
    number = first.fileno()
    first.close()
    other.close()
    left, right = socket.socketpair()
    with left, right:
        right.sendall(b"not yours")
        if left.fileno() != number:
            os.dup2(left.fileno(), number)
        assert unread.read() == b""
        unread.cut()
        left.settimeout(1)
        assert left.recv(100) == b"not yours"
        if left.fileno() != number:
            os.close(number)
